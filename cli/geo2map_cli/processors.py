"""How many processors a command may use."""

from __future__ import annotations

import os

import click

from geo2map.threads import VARIABLE
from geo2map_cli.gathering import grouped


def bound_threads(context: click.Context, _: click.Parameter, threads: int | None) -> int | None:
    """Bounds whatever this command starts, as the environment variable does; restored when the command ends."""
    if threads is not None:
        before = os.environ.get(VARIABLE)
        os.environ[VARIABLE] = str(threads)
        restored = {} if before is None else {VARIABLE: before}
        context.call_on_close(lambda: (os.environ.pop(VARIABLE, None), os.environ.update(restored)))
    return threads


threads_option = grouped(
    "Machine",
    click.option(
        "--threads", type=click.IntRange(1), callback=bound_threads, help="CPU threads. [default: all allowed]"
    ),
)
