"""Options of the command line as the values that the library takes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
HEADINGS = ("Input", "Area", "Model", "Recipe", "Server", "Output", "Machine", "Run")
"""Titles of groups of options, in the order of the help; what has none is listed before them."""
RUN = HEADINGS[-1]
"""Title of the options that every command has."""
METAVARS = {"integer": "N", "float": "X"}
"""Short placeholders for values of click's types, which are named "integer range" and the like."""
_ALL = "geo2map.help_all"


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
    """Several options as one decorator, listed by a `GroupedCommand` under a title; options that have one keep it."""

    def added(function: F) -> F:
        before = len(getattr(function, "__click_params__", ()))
        stack(*options)(function)
        for option in function.__click_params__[before:]:  # type: ignore[attr-defined]
            option.group = getattr(option, "group", title)
        return function

    return added


class ExpertOption(click.Option):
    """An option that few need: --help leaves it to --help-all."""


class GroupedCommand(click.Command):
    """A command whose help lists the options under `HEADINGS`, those of experts only on --help-all."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        options = [option for option in self.params if isinstance(option, click.Option)]
        for option in options:
            if option.metavar is None and not option.count:
                option.metavar = METAVARS.get(option.type.name.split()[0])
        if more := sum(isinstance(option, ExpertOption) for option in options):
            self.params.append(_help_all(more))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {title: [] for title in ("Options", *HEADINGS)}
        for option in self.get_params(ctx):
            if not isinstance(option, click.Option) or (isinstance(option, ExpertOption) and _ALL not in ctx.meta):
                continue
            if (record := option.get_help_record(ctx)) is not None:
                last = RUN if "--help" in option.opts else "Options"
                groups[getattr(option, "group", last)].append(record)
        for title, records in groups.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def _help_all(more: int) -> click.Option:
    """--help-all of a command with so many options for experts."""

    def show_all(context: click.Context, _: click.Parameter, value: bool) -> None:
        if value and not context.resilient_parsing:
            context.meta[_ALL] = True
            click.echo(context.get_help())
            context.exit()

    text = f"Show {more} more option{'s' * (more > 1)}, for experts."
    names = {"is_flag": True, "is_eager": True, "expose_value": False, "help": text, "callback": show_all}
    option = click.Option(["--help-all"], **names)  # type: ignore[arg-type]
    option.group = RUN  # type: ignore[attr-defined]
    return option


expert_option = functools.partial(click.option, cls=ExpertOption)
"""`click.option`, for what few need."""


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
