"""How far a command has come: a bar for people, lines of JSON for programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import click

from geo2map_cli.gathering import RUN, grouped
from geo2map_cli.reporting import show_notes

RESUMED = "resumed"
"""The stage that only tells what an earlier run finished."""
_EVERY = 0.2
"""Seconds between two lines of a stage."""
_KIND = "geo2map.progress"


class Silence:
    """Tells nothing of the progress, only what a user should know before the work begins."""

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """A `geo2map.protocols.Progress`."""

    def begin(self, _: str, notes: Sequence[str], /) -> None:
        """Prints the plan's notes before the work begins (a `geo2map.protocols.Begin`)."""
        self.close()
        show_notes(notes)

    def begin_each(self, name: str, notes: Sequence[str], /) -> None:
        """The same for one of several runs, by name; notes without a name are about all of them."""
        self.begin(name, [f"{name}: {note}" if name else note for note in notes])

    def close(self) -> None:
        """Ends the stage."""

    def __enter__(self) -> Silence:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Bar(Silence):
    """A progress bar on a terminal, silence elsewhere."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._stage = ""

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        if stage == RESUMED:
            click.echo(f"resuming: {done}/{total} blocks done", err=True)
            return
        if not sys.stderr.isatty():
            return
        if stage != self._stage:
            from tqdm import tqdm

            self.close()
            self._stage = stage
            self._bar = tqdm(total=total, desc=stage, unit=stage.rstrip("s"), leave=False, dynamic_ncols=True)
        self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Removes the bar from the terminal; the next stage starts another."""
        if self._bar is not None:
            self._bar.close()
        self._bar, self._stage = None, ""


class ProgressLines(Silence):
    """One JSON object a line on stderr: stage, done, total, seconds_left (null where unknown)."""

    def __init__(self) -> None:
        self._stage, self._first, self._resumed = "", 0, 0
        self._since = self._told = self._heard = time.monotonic()

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:  # noqa: ARG002
        now = time.monotonic()
        if stage != self._stage:  # it began when the one before ended, and where an earlier run stopped
            self._stage, self._since, self._first = stage, self._heard, self._resumed
            self._resumed = done if stage == RESUMED else 0
        elif done < total and now - self._told < _EVERY:
            self._heard = now
            return
        self._told = self._heard = now
        click.echo(json.dumps(self._line(stage, done, total, now)), err=True)

    def _line(self, stage: str, done: int, total: int, now: float) -> dict[str, object]:
        advanced = done - self._first
        known = stage != RESUMED and advanced > 0
        left = round((now - self._since) / advanced * (total - done), 1) if known else None
        return {"stage": stage, "done": done, "total": total, "seconds_left": left}

    def close(self) -> None:
        self._stage, self._heard = "", time.monotonic()


KINDS: dict[str, type[Silence]] = {"bar": Bar, "json": ProgressLines, "none": Silence}
"""Choices of --progress."""


def _choose(context: click.Context, _: click.Parameter, kind: str) -> None:
    context.meta[_KIND] = kind


progress_option = grouped(
    RUN,
    click.option(
        "--progress",
        type=click.Choice(list(KINDS)),
        default="bar",
        expose_value=False,
        is_eager=True,
        callback=_choose,
        metavar="KIND",
        help="bar, none, or json: lines on stderr, for programs.",
    ),
)
"""--progress of a command that takes long; `open_progress` obeys it."""


def open_progress() -> Silence:
    """What tells the progress of the current command; a context manager."""
    return KINDS[click.get_current_context().meta[_KIND]]()
