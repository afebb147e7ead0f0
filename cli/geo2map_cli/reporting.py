"""Output of commands: logging, a progress bar, reports and exit codes."""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geo2map_cli.gathering import RUN, F, expert_option, options_of

if TYPE_CHECKING:
    from geo2map.pipeline.report import Report

INCOMPLETE = 3
"""Exit code of a run that left blocks out."""

LOG_FAULTS: tuple[tuple[type[OSError], str], ...] = (
    (FileNotFoundError, "its folder does not exist"),
    (NotADirectoryError, "a part of its path is a file, not a folder"),
    (IsADirectoryError, "it is a folder"),
    (PermissionError, "you may not write there"),
)

_SPELLED = {"layers": "layer", "zooms": "zoom", "colours": "palette"}


def report_options(function: F) -> F:
    """--json, -v and --log-file, last in the help; as the outermost decorator it sets up logging before all else."""

    @functools.wraps(function)
    def wrapped(*args: Any, verbose: int, log_file: Path | None, **kwargs: Any) -> Any:
        _set_up_logging(verbose, log_file)
        return function(*args, **kwargs)

    options = options_of(
        RUN,
        click.option("--json", "as_json", is_flag=True, help="Print the report as JSON on stdout."),
        click.option("-v", "--verbose", count=True, help="Log more; twice for everything."),
        expert_option("--log-file", type=click.Path(dir_okay=False, path_type=Path), help="File to append the log to."),
    )
    wrapped.__click_params__ = [*options, *getattr(function, "__click_params__", ())]  # type: ignore[attr-defined]
    return wrapped  # type: ignore[return-value]


def _set_up_logging(verbose: int, log_file: Path | None) -> None:
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    if log_file is not None:
        try:
            handlers.append(logging.FileHandler(log_file, encoding="utf-8"))
        except OSError as error:
            fault = next((text for kind, text in LOG_FAULTS if isinstance(error, kind)), error.strerror)
            raise click.ClickException(f"{log_file}: cannot write the log, {fault}; choose another path") from error
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    handlers[0].setLevel(level)  # Dask sets the level of its own logger when it is imported
    if log_file is not None:
        level = min(level, logging.INFO)
    for handler in handlers:
        handler.setFormatter(Discreet("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=level, handlers=handlers, force=True)
    logging.getLogger("rasterio").setLevel(max(level, logging.ERROR if verbose < 2 else logging.DEBUG))


class Discreet(logging.Formatter):
    """Removes signatures, tokens and logins from logged URLs."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if not {"?", "@"} & set(text):
            return text
        from geo2map.files.address import redact

        return redact(text)


def json_text(value: Any) -> str:
    """A report as JSON that every parser takes."""
    from geo2map.files.plain_json import plain_json

    return plain_json(value)


def show(result: Any, as_json: bool) -> None:
    """Prints a result once: its text, or its `to_dict` as JSON."""
    click.echo(json_text(result.to_dict()) if as_json else str(result))


def flag_of(option: str) -> str:
    """The command line's spelling of an option, e.g. "--on-error" of "on_error", "--layer" of "layers"."""
    return f"--{_SPELLED.get(option, option).replace('_', '-')}"


def spell_option(option: str | None) -> str:
    """An error's option as the command line spells it, to follow its sentence; "" without one."""
    return f" ({flag_of(option)})" if option else ""


def show_failure(report: Report) -> None:
    """Prints on stderr why a run failed."""
    click.echo(f"{report}{spell_option(report.option)}", err=True)


def show_notes(notes: Sequence[str]) -> None:
    """Prints a plan's notes on stderr; on a terminal, what warns stands out."""
    marked = click.style("warning:", fg="yellow", bold=True)
    for note in notes:
        click.echo(note.replace("warning:", marked, 1), err=True)


def show_batch(reports: Sequence[Report], table: Path) -> None:
    """Prints on stderr how many scenes of a batch were rendered, and where the table of all is."""
    failed = sum(report.error is not None for report in reports)
    before = sum(report.complete for report in reports)
    counts = {"rendered": len(reports) - failed - before, "done before": before, "failed": failed}
    told = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    click.echo(f"{told}; {table} lists them", err=True)


def conclude(report: Report, out: str, as_json: bool) -> None:
    """Ends a command of one run: prints its report and how to open the output, and sets the exit code."""
    show(report, as_json)
    if not as_json:
        show_way(out)
    finish([report])


def show_way(*outputs: str) -> None:
    """Prints on stderr how to open an output, or the first of several that exists."""
    from geo2map.formats.documents.hint import way_to_open

    if there := next((out for out in outputs if Path(out).exists()), None):
        click.echo(way_to_open(there), err=True)


def finish(reports: Sequence[Report]) -> None:
    """Sets the exit code for the runs of a command: 1 where a scene failed, 3 where blocks could not be read."""
    if failed := [report for report in reports if report.error]:
        for report in failed:  # again: hundreds of others may have followed
            show_failure(report)
        names = ", ".join(report.name for report in failed)
        raise click.ClickException(f"{len(failed)} of {len(reports)} scenes failed: {names}")
    if skipped := sum(len(report.failed) for report in reports):
        blocks = "block" if skipped == 1 else "blocks"
        click.echo(
            f"geo2map: {skipped} {blocks} could not be read and left out; failed.geojson, in the output or beside it, "
            "lists them; run the same command again to retry",
            err=True,
        )
        sys.exit(INCOMPLETE)
