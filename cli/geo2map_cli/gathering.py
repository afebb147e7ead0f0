"""Options of the command line as the values that the library takes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
OTHER = "Other options"
"""Title of the options that every command has."""


def stack(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator, listed by the help in their order."""
    return lambda function: functools.reduce(lambda f, option: option(f), reversed(options), function)


def options_of(title: str, *options: Callable[[F], F]) -> list[click.Parameter]:
    """What the decorators add to a command, as click keeps it: the last first."""

    def probe() -> None:
        """Takes the options."""

    grouped(title, *options)(probe)  # type: ignore[arg-type]
    added: list[click.Parameter] = probe.__click_params__  # type: ignore[attr-defined]
    return added


def grouped(title: str, *options: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator, listed by a `GroupedCommand` under a title of their own."""

    def added(function: F) -> F:
        before = len(getattr(function, "__click_params__", ()))
        stack(*options)(function)
        for option in function.__click_params__[before:]:  # type: ignore[attr-defined]
            option.group = title
        return function

    return added


class GroupedCommand(click.Command):
    """A command with so many options that its help lists them by group."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for option in self.get_params(ctx):
            if isinstance(option, click.Option) and (record := option.get_help_record(ctx)) is not None:
                last = OTHER if "--help" in option.opts else "Options"
                groups.setdefault(getattr(option, "group", last), []).append(record)
        for title, records in groups.items():
            with formatter.section(title):
                formatter.write_dl(records)


def gather(into: str, make: Callable[..., Any], title: str, *options: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator; the command gets what `make` returns for their values, as `into`.

    Args:
        make: called with the options by their Python names, when the command runs.
        title: of the options in the help.
    """
    names = [option.name for option in options_of(title, *options)]

    def gathered(function: F) -> F:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            value = make(**{name: kwargs.pop(name) for name in names})
            return function(*args, **{into: value}, **kwargs)

        return grouped(title, *options)(wrapped)  # type: ignore[arg-type]

    return gathered


def requested(kind: Callable[[], type]) -> Callable[[F], F]:
    """The command gets a `request` in place of the values that are its fields; to be the innermost decorator.

    Args:
        kind: returns the request's dataclass, which the help must not import.
    """

    def decorated(function: F) -> F:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            request = kind()
            values = {field.name: kwargs.pop(field.name) for field in fields(request) if field.name in kwargs}
            return function(*args, request=request(**values), **kwargs)

        return wrapped  # type: ignore[return-value]

    return decorated


def render_kind() -> type:
    """The request of commands that render."""
    from geo2map.api.requests import RenderRequest

    return RenderRequest


def convert_kind() -> type:
    """The request of a conversion."""
    from geo2map.api.requests import ConvertRequest

    return ConvertRequest


def draw_kind() -> type:
    """The request of a drawing."""
    from geo2map.api.requests import DrawRequest

    return DrawRequest


def serve_kind() -> type:
    """The request of a live map."""
    from geo2map.api.serving import ServeRequest

    return ServeRequest
