"""The commands and their options on the page cli.md, made from the commands themselves when the site is built."""

from __future__ import annotations

import html
import inspect
import re
from collections.abc import Iterator
from typing import Any

import click
from geo2map_cli.gathering import HEADINGS, ExpertOption
from geo2map_cli.main import SECTIONS, cli
from mkdocs.structure.pages import Page

PLACE = re.compile(r"<!-- commands: .*? -->")
HELP = {"--help", "--help-all"}


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Put the commands where the page has a place for them."""
    return PLACE.sub(lambda _: commands(), markdown) if page.file.src_uri == "cli.md" else markdown


def commands() -> str:
    """Every command as Markdown, under the headings of the help."""
    lines = []
    root = click.Context(cli, info_name="geo2map")
    for title, names in SECTIONS.items():
        lines += [f"## {title}", ""]
        for name in names:
            command = cli.get_command(root, name)
            assert command is not None
            lines += _section(command, name, root, level=3)
    return "\n".join(lines)


def _section(command: click.Command, name: str, parent: click.Context, *, level: int) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=parent)
    yield from (f"{'#' * level} {context.command_path}", "")
    yield from ("```console", command.get_usage(context).removeprefix("Usage: "), "```", "")
    yield from _paragraphs(command.help or "")
    if isinstance(command, click.Group):
        for part in command.list_commands(context):
            found = command.get_command(context, part)
            assert found is not None
            yield from _section(found, part, context, level=level + 1)
    else:
        yield from _options(command, context)


def _paragraphs(text: str) -> Iterator[str]:
    """Help as Markdown: paragraphs that click must not wrap, marked by a backspace, are examples."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if paragraph.startswith("\b\n"):
            yield from ("```console", paragraph.removeprefix("\b\n"), "```", "")
        else:
            yield from (_prose(paragraph), "")


def _prose(text: str) -> str:
    """Text in which options are code and nothing else is markup."""
    text = re.sub(r"([\\*_|\[\]`])", r"\\\1", html.escape(" ".join(text.split()), quote=False))
    return re.sub(r"(?<![\w-])(--[a-z][\w-]*)", r"`\1`", text)


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    """A table for each heading of the help."""
    groups: dict[str, list[str]] = {title: [] for title in ("Options", *HEADINGS)}
    for option in command.get_params(context):
        if not isinstance(option, click.Option) or HELP & set(option.opts):
            continue
        if (record := option.get_help_record(context)) is not None:
            names, text = record
            expert = " *expert*" if isinstance(option, ExpertOption) else ""
            groups[getattr(option, "group", "Options")].append(f"| `{names}`{expert} | {_prose(text)} |")
    for title, rows in groups.items():
        if rows:
            yield from (f"| {title} | |", "|---|---|", *rows, "")
