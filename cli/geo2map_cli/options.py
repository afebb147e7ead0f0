"""Options that several commands share, and what they have in common besides."""

from __future__ import annotations

import functools
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def _stack(*options: Callable[[F], F]) -> Callable[[F], F]:
    return lambda function: functools.reduce(lambda f, option: option(f), reversed(options), function)


def model_options(function: F) -> F:
    """--model and where it runs; `engine_of` takes these."""
    return _stack(
        click.option("--model", default="sat2map", show_default=True, help="Packaged model or .safetensors file."),
        click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps."),
        click.option(
            "--precision",
            type=click.Choice(["auto", "fp32", "bf16", "fp16"]),
            default="auto",
            show_default=True,
            help="auto is fp32.",
        ),
        click.option("--threads", type=click.IntRange(1), help="CPU threads. [default: all allowed]"),
        click.option("--batch", type=click.IntRange(1), help="Blocks at once. [default: 1 on CPU, 8 on GPU]"),
    )(function)


def plan_options(function: F) -> F:
    """The fields of `geo2map.PlanOptions`, except `format`."""
    return _stack(
        click.option("--zoom", type=click.IntRange(0, 24), help="Zoom to translate at. [default: the model's]"),
        click.option("--minzoom", type=click.IntRange(0, 24), help="Lowest overview. [default: scene in one tile]"),
        click.option("--block-span", type=click.IntRange(1, 64), default=4, show_default=True, help="Tiles a side."),
        click.option("--margin", type=click.IntRange(0), help="Context px around a block. [default: the model's]"),
        click.option(
            "--match",
            type=click.Choice(["auto", "model", "none"]),
            default="auto",
            show_default=True,
            help="Match the scene's colours to the model's imagery.",
        ),
        click.option(
            "--resampling",
            type=click.Choice(["nearest", "bilinear", "cubic", "cubic_spline", "lanczos", "average"]),
            default="cubic",
            show_default=True,
            help="Kernel of the warp.",
        ),
        click.option("--force", is_flag=True, help="Go on where resolution or zoom make no sense."),
    )(function)


format_option = click.option(
    "--format",
    "format",
    type=click.Choice(["png", "webp", "jpeg"]),
    default="png",
    show_default=True,
    help="Of the tiles.",
)

overwrite_option = click.option("--overwrite", is_flag=True, help="Replace an existing output.")


def report_options(function: F) -> F:
    """--json, -v and --log-file; sets up logging before the command runs."""

    @functools.wraps(function)
    def wrapped(*args: Any, verbose: int, log_file: Path | None, **kwargs: Any) -> Any:
        _set_up_logging(verbose, log_file)
        return function(*args, **kwargs)

    return _stack(
        click.option("--json", "as_json", is_flag=True, help="Print the report as JSON on stdout."),
        click.option("-v", "--verbose", count=True, help="Say more; twice for everything."),
        click.option("--log-file", type=click.Path(dir_okay=False, path_type=Path), help="Append the log here."),
    )(wrapped)  # type: ignore[return-value]


def _set_up_logging(verbose: int, log_file: Path | None) -> None:
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    if log_file is not None:
        try:
            handlers.append(logging.FileHandler(log_file, encoding="utf-8"))
        except OSError as error:
            raise click.ClickException(f"log file {log_file} asked, but it cannot be written: {error}") from error
        handlers[0].setLevel(logging.WARNING if not verbose else logging.NOTSET)
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    if log_file is not None:
        level = min(level, logging.INFO)
    logging.basicConfig(level=level, handlers=handlers, format="%(asctime)s %(levelname)s %(message)s", force=True)
    logging.getLogger("rasterio").setLevel(max(level, logging.ERROR if verbose < 2 else logging.DEBUG))


class Bar:
    """A progress bar on a terminal, silence elsewhere (a `geo2map.protocols.Progress`)."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._stage = ""

    def __call__(self, stage: str, done: int, total: int) -> None:
        if not sys.stderr.isatty():
            return
        if stage != self._stage:
            from tqdm import tqdm

            self.close()
            self._stage = stage
            self._bar = tqdm(total=total, desc=stage, unit=stage.rstrip("s"), leave=False, dynamic_ncols=True)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def show(result: Any, as_json: bool) -> None:
    """Prints a result once: its text, or its `to_dict` as JSON."""
    click.echo(json.dumps(result.to_dict()) if as_json else str(result))


def show_notes(notes: tuple[str, ...]) -> None:
    """Prints a plan's notes on stderr."""
    for note in notes:
        click.echo(note, err=True)
