"""Options that several commands share, and what they have in common besides."""

from __future__ import annotations

import functools
import json
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import click

if TYPE_CHECKING:
    from geo2map.aoi import Aoi
    from geo2map.pipeline.report import Report

INCOMPLETE = 3
"""Exit code of a run that left blocks out."""

F = TypeVar("F", bound=Callable[..., Any])
LngLat: TypeAlias = tuple[float, float, float, float]

KERNELS = (
    "nearest",
    "bilinear",
    "cubic",
    "cubic_spline",
    "lanczos",
    "average",
    "mode",
    "max",
    "min",
    "med",
    "q1",
    "q3",
    "rms",
)
"""What --resampling may be: `geo2map.types.Resampling`, which the help must not import."""


def stack(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator, listed by the help in their order."""
    return lambda function: functools.reduce(lambda f, option: option(f), reversed(options), function)


def engine_options(function: F) -> F:
    """The keywords of `geo2map.load_engine`: --model and where and how it runs."""
    return stack(
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
        click.option(
            "--mode",
            type=click.Choice(["exact", "faithful"]),
            help="faithful: each tile by itself, as pix2pix was tested; seams. [default: the model's]",
        ),
    )(function)


def model_options(function: F) -> F:
    """The same as `engine_options`; the command gets them as `model`, a `geo2map.ModelOptions`."""
    names = ("model", "device", "precision", "threads", "batch", "mode")

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        from geo2map.model import ModelOptions

        return function(*args, model=ModelOptions(**{name: kwargs.pop(name) for name in names}), **kwargs)

    return engine_options(wrapped)  # type: ignore[return-value]


def plan_options(function: F) -> F:
    """The fields of `geo2map.PlanOptions`."""
    return stack(
        click.option("--zoom", type=click.IntRange(0, 24), help="Zoom to translate at. [default: the model's]"),
        click.option(
            "--block-span",
            type=click.IntRange(1, 64),
            default=4,
            show_default=True,
            help="Tiles along a side of a block: 1, 2, 4, 8 ...",
        ),
        click.option("--margin", type=click.IntRange(0), help="Context px around a block. [default: the model's]"),
        click.option(
            "--stretch",
            default="auto",
            show_default=True,
            help="auto, none, minmax, percentile:2,98 or LOW,HIGH[,LOW,HIGH,LOW,HIGH]; auto keeps 8-bit as it is.",
        ),
        click.option(
            "--match",
            type=click.Choice(["auto", "model", "none"]),
            default="auto",
            show_default=True,
            help="Match the scene's colours to the model's imagery.",
        ),
        click.option(
            "--resampling",
            type=click.Choice(KERNELS),
            default="cubic",
            show_default=True,
            help="Kernel of the warp.",
        ),
        click.option("--force", is_flag=True, help="Go on where resolution or zoom make no sense."),
        aoi_options,
    )(function)


def reading_options(function: F) -> F:
    """The keywords of `geo2map.open_scene`: how each scene is read."""
    return stack(
        click.option("--indexes", callback=_parse_indexes, metavar="R,G,B", help="Bands, or one. [default: by colour]"),
        click.option("--crs", help="CRS to use instead of the file's own, e.g. EPSG:32618."),
        click.option("--nodata", type=float, help="Value of pixels without data, nan too. [default: the file's]"),
    )(function)


def scene_options(function: F) -> F:
    """The keywords of `geo2map.open_scenes`."""
    return stack(
        reading_options,
        click.option(
            "--order",
            type=click.Choice(["first", "last", "newest", "finest"]),
            default="first",
            show_default=True,
            help="Which of several scenes is on top.",
        ),
        click.option(
            "--feather",
            type=click.IntRange(0, 512),
            default=0,
            show_default=True,
            help="Pixels over which the upper of two scenes fades into the lower.",
        ),
    )(function)


def _parse_indexes(_: click.Context, __: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    if value is None:
        return None
    try:
        indexes = tuple(int(part) for part in value.split(","))
    except ValueError:
        indexes = ()
    if len(indexes) not in (1, 3):
        raise click.BadParameter(f"{value!r} is neither one band nor three: give e.g. 3,2,1.")
    return indexes


def aoi_options(function: F) -> F:
    """--aoi, --bounds and --clip; the command gets `aoi` (a `geo2map.aoi.Aoi` or None) and `clip`."""

    @functools.wraps(function)
    def wrapped(
        *args: Any, aoi: str | None, bounds: tuple[float, float, float, float] | None, clip: bool, **kwargs: Any
    ) -> Any:
        if aoi is not None and bounds is not None:
            raise click.UsageError("--aoi and --bounds given: pass one of them.")
        if clip and aoi is None and bounds is None:
            raise click.UsageError("--clip given, but nothing to clip to: pass --aoi or --bounds, too.")
        return function(*args, aoi=_make_aoi(aoi if bounds is None else bounds), clip=clip, **kwargs)

    return stack(
        click.option("--aoi", type=click.Path(), help="Vector file with polygons: write only tiles that they touch."),
        click.option("--bounds", callback=_parse_bounds, metavar="W,S,E,N", help="Degrees, instead of --aoi."),
        click.option("--clip", is_flag=True, help="Write only pixels inside --aoi or --bounds."),
    )(wrapped)  # type: ignore[return-value]


def _make_aoi(source: str | LngLat | None) -> Aoi | None:
    if source is None:
        return None
    from geo2map.aoi import make_aoi

    return make_aoi(source)


def _parse_bounds(_: click.Context, __: click.Parameter, value: str | None) -> LngLat | None:
    if value is None:
        return None
    try:
        west, south, east, north = (float(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not west,south,east,north: four numbers in degrees.") from None
    return west, south, east, north


minzoom_option = click.option(
    "--minzoom", type=click.IntRange(0, 24), help="Lowest overview. [default: where the scene fits one tile]"
)


def storage_options(function: F) -> F:
    """The fields of `geo2map.plan.Storage`."""
    return stack(
        click.option(
            "--format", "format", type=click.Choice(["png", "webp", "jpeg"]), help="Of the tiles. [default: png]"
        ),
        minzoom_option,
    )(function)


overwrite_option = click.option("--overwrite", is_flag=True, help="Replace an existing output.")


def output_options(function: F) -> F:
    """The fields of `geo2map.outputs.OutputOptions`, and --on-error."""
    return stack(
        overwrite_option,
        click.option(
            "--resume/--no-resume",
            default=True,
            show_default=True,
            help="Go on with an interrupted run of the same job, or throw it away.",
        ),
        click.option(
            "--on-error",
            type=click.Choice(["fail", "skip"]),
            default="fail",
            show_default=True,
            help="What to do about a block that cannot be read; skip lists it in failed.geojson and exits with 3.",
        ),
    )(function)


def report_options(function: F) -> F:
    """--json, -v and --log-file; sets up logging before the command runs."""

    @functools.wraps(function)
    def wrapped(*args: Any, verbose: int, log_file: Path | None, **kwargs: Any) -> Any:
        _set_up_logging(verbose, log_file)
        return function(*args, **kwargs)

    return stack(
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
            raise click.ClickException(f"cannot write the log file {log_file}: {error}") from error
        handlers[0].setLevel(logging.WARNING if not verbose else logging.NOTSET)
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    if log_file is not None:
        level = min(level, logging.INFO)
    for handler in handlers:
        handler.setFormatter(Discreet("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=level, handlers=handlers, force=True)
    logging.getLogger("rasterio").setLevel(max(level, logging.ERROR if verbose < 2 else logging.DEBUG))


class Discreet(logging.Formatter):
    """Leaves signatures, tokens and logins out of URLs, whoever logs them."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if not {"?", "@"} & set(text):
            return text
        from geo2map.files.address import redact

        return redact(text)


class Bar:
    """A progress bar on a terminal, silence elsewhere (a `geo2map.protocols.Progress`)."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._stage = ""

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        if stage == "resumed":
            click.echo(f"going on: {done} of {total} blocks are done already", err=True)
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


def finish(reports: Sequence[Report]) -> None:
    """Ends a command by what became of its runs: code 1 where a scene failed, 3 where blocks could not be read."""
    failed = [report.name for report in reports if report.error]
    if failed:
        raise click.ClickException(f"{len(failed)} of {len(reports)} scenes failed: {', '.join(failed)}")
    if skipped := sum(len(report.failed) for report in reports):
        blocks = "block" if skipped == 1 else "blocks"
        click.echo(
            f"geo2map: {skipped} {blocks} could not be read and were left out, see failed.geojson; run the same "
            "command again to take them up",
            err=True,
        )
        sys.exit(INCOMPLETE)
