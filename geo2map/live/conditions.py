"""Conditional requests, as RFC 9110 has them: what a client may be told without being sent it again."""

from __future__ import annotations

import re
from typing import Literal

from starlette.datastructures import Headers

_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
"""An entity tag; commas may be within it."""


def judge(headers: Headers, tag: str) -> Literal[200, 304, 412]:
    """What a request's conditions ask for, of something that exists: to send it, to say that the client has it, or to
    refuse, since it is not what the client takes it for. If-Match comes first (section 13.2.2).

    Args:
        tag: of what exists, without quotation marks; a strong one.
    """
    if (wanted := headers.get("if-match")) is not None and not _lists(wanted, tag, weakly=False):
        return 412
    return 304 if knows(headers, tag) else 200


def knows(headers: Headers, tag: str | None) -> bool:
    """Whether a client says that it has what exists, by its tag or by "*", which any tag meets.

    Args:
        tag: None where it is not known yet: then "*" alone is met.
    """
    return (given := headers.get("if-none-match")) is not None and _lists(given, tag, weakly=True)


def _lists(text: str, tag: str | None, *, weakly: bool) -> bool:
    """Whether a list of tags has one. Weak ones are equal for reading (If-None-Match), not for changing (If-Match)."""
    if text.strip() == "*":
        return True
    return any(found == tag and (weakly or not weak) for weak, found in _TAG.findall(text))
