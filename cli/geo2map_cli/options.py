"""Options that several commands share, and what they have in common besides."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import click

from geo2map_cli.processors import threads_option

if TYPE_CHECKING:
    from geo2map.aoi import Aoi

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
        threads_option,
        click.option("--batch", type=click.IntRange(1), help="Blocks at once. [default: 2 on CPU, 8 on GPU]"),
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
            help="Match the scene's colours to the model's: auto as far as it asks, model all the way.",
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
        click.option("--allow-outside", is_flag=True, help="Open a VRT whose sources lie elsewhere than beside it."),
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
        click.option("--bounds", callback=parse_bounds, metavar="W,S,E,N", help="Degrees, instead of --aoi."),
        click.option("--clip", is_flag=True, help="Write only pixels inside --aoi or --bounds."),
    )(wrapped)  # type: ignore[return-value]


def _make_aoi(source: str | LngLat | None) -> Aoi | None:
    if source is None:
        return None
    from geo2map.aoi import make_aoi

    return make_aoi(source)


def parse_bounds(_: click.Context, __: click.Parameter, value: str | None) -> LngLat | None:
    if value is None:
        return None
    try:
        west, south, east, north = (float(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not west,south,east,north: four numbers in degrees.") from None
    return west, south, east, north


def parse_zooms(_: click.Context, __: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """14 or 10-14."""
    if value is None:
        return None
    first, _dash, last = value.partition("-")
    try:
        return int(first), int(last or first)
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither a zoom nor two: give e.g. 14 or 10-14.") from None


bounds_option = click.option(
    "--bounds", callback=parse_bounds, metavar="W,S,E,N", help="Degrees: take the tiles that touch them."
)
minzoom_option = click.option(
    "--minzoom", type=click.IntRange(0, 24), help="Lowest overview. [default: where the scene fits one tile]"
)


def format_option(default: str) -> Callable[[F], F]:
    """--format, with what it is otherwise."""
    formats = click.Choice(["png", "webp", "jpeg", "avif"])
    return click.option("--format", "format", type=formats, help=f"Of the tiles. {default}")


quality_option = click.option(
    "--quality",
    type=click.IntRange(1, 100),
    help="Of webp, jpeg or avif tiles. [default: 85 of webp, 90 of jpeg, 75 of avif]",
)
lossless_option = click.option("--lossless", is_flag=True, help="Webp tiles without loss.")
compress_option = click.option(
    "--compress",
    type=click.Choice(["deflate", "zstd", "webp"]),
    help="Of a GeoTIFF, all without loss. [default: deflate]",
)


scheme_option = click.option(
    "--scheme",
    type=click.Choice(["xyz", "tms"]),
    default="xyz",
    show_default=True,
    help="Rows of a folder of tiles from the north (xyz) or the south (tms).",
)


def storage_options(function: F) -> F:
    """The fields of `geo2map.plan.Storage`."""
    return stack(
        format_option("[default: png]"),
        quality_option,
        lossless_option,
        minzoom_option,
        click.option(
            "--palette",
            metavar="maps|none|FILE",
            help="Snap to the 255 colours of the maps style, or to those in FILE; indexed PNG. [default: none]",
        ),
        click.option("--classes", is_flag=True, help="Which class a pixel is, not its colour: land, road, water ..."),
        compress_option,
        click.option("--grid", type=click.Choice(["scene"]), help="A .tif on the scene's own CRS and pixels."),
        click.option("--crs-out", help="A .tif in this CRS, e.g. EPSG:32618. [default: web-mercator]"),
        click.option(
            "--resolution",
            type=click.FloatRange(min=0, min_open=True),
            help="Of a .tif in another CRS, in its units. [default: the map's, or the scene's where that is coarser]",
        ),
        scheme_option,
        click.option("--bare", is_flag=True, help="Tiles and tilejson.json alone: no page, no QGIS layer."),
    )(function)


tmp_option = click.option(
    "--tmp",
    type=click.Path(file_okay=False),
    help="Where one file, or what goes to a bucket, is made. [default: beside it; for a bucket the system's]",
)
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace an existing output.")


def output_options(function: F) -> F:
    """The fields of `geo2map.ledger.OutputOptions`, and --on-error."""
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
