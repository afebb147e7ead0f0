"""docs/troubleshooting.md quotes messages as the code has them."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GAP = "…"
"""Stands for what is put into a message."""


def quoted() -> list[str]:
    """The messages in the first column of the tables."""
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    return re.findall(r"(?m)^\| `([^`]+)` \|", page)


def texts(tree: ast.AST) -> Iterator[str]:
    """Every string of a module but docstrings, gaps for the values of f-strings."""
    skipped = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in node.values}
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else GAP for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield node.value


@functools.cache
def messages() -> str:
    """All strings of the library and the command line, a line each."""
    files = [*(ROOT / "geo2map").rglob("*.py"), *(ROOT / "cli").rglob("*.py")]
    return "\n".join(text for path in files for text in texts(ast.parse(path.read_text(encoding="utf-8"))))


def test_the_page_has_messages() -> None:
    assert len(quoted()) > 40
    assert len(set(quoted())) == len(quoted())


@pytest.mark.parametrize("message", quoted())
def test_a_quoted_message_is_in_the_code(message: str) -> None:
    assert message in messages()
