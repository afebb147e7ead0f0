"""Options that several commands share, and the values that the library takes them as."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from geo2map_cli.gathering import F, gather, grouped, stack
from geo2map_cli.parsing import LngLat, parse_bounds, parse_indexes
from geo2map_cli.processors import threads_option

if TYPE_CHECKING:
    from geo2map.aoi import Aoi
    from geo2map.ledger import OutputOptions
    from geo2map.model import ModelOptions
    from geo2map.plan import PlanOptions, Storage
    from geo2map.scene import ReadingOptions, SceneOptions


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
"""Choices of --resampling: `geo2map.types.Resampling`, which the help must not import."""


def _model(**values: Any) -> ModelOptions:
    from geo2map.model import ModelOptions

    return ModelOptions(**values)


def _planning(aoi: str | None, bounds: LngLat | None, **values: Any) -> PlanOptions:
    if aoi is not None and bounds is not None:
        raise click.UsageError("--aoi and --bounds given: pass one of them.")
    if values["clip"] and aoi is None and bounds is None:
        raise click.UsageError("--clip given, but nothing to clip to: pass --aoi or --bounds, too.")
    from geo2map.plan import PlanOptions

    return PlanOptions(aoi=_make_aoi(aoi if bounds is None else bounds), **values)


def _make_aoi(source: str | LngLat | None) -> Aoi | None:
    if source is None:
        return None
    from geo2map.aoi import make_aoi

    return make_aoi(source)


def _reading(**values: Any) -> ReadingOptions:
    from geo2map.scene import ReadingOptions

    return ReadingOptions(**values)


def _scene(**values: Any) -> SceneOptions:
    from geo2map.scene import SceneOptions

    return SceneOptions(**values)


def _storage(**values: Any) -> Storage:
    from geo2map.plan import Storage

    return Storage(**values)


def _output(**values: Any) -> OutputOptions:
    from geo2map.ledger import OutputOptions

    return OutputOptions(**values)


model_options = gather(
    "model",
    _model,
    "Model and machine",
    click.option("--model", default="sat2map", show_default=True, help="Packaged model or .safetensors file."),
    click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps."),
    click.option(
        "--precision",
        type=click.Choice(["auto", "fp32", "bf16", "fp16"]),
        default="auto",
        show_default=True,
        help="Number format of the network; auto is fp32.",
    ),
    threads_option,
    click.option("--batch", type=click.IntRange(1), help="Blocks at once. [default: 2 on CPU, 8 on GPU]"),
    click.option(
        "--mode",
        type=click.Choice(["exact", "faithful"]),
        help="faithful: each tile by itself, as pix2pix was tested; leaves seams. [default: the model's]",
    ),
)
"""--model and how it runs; the command gets `model`, a `geo2map.ModelOptions`."""


plan_options = gather(
    "planning",
    _planning,
    "Area, zoom and colours",
    click.option("--zoom", type=click.IntRange(0, 24), help="Zoom to translate at. [default: the model's]"),
    click.option(
        "--block-span",
        type=click.IntRange(1, 64),
        default=4,
        show_default=True,
        help="Tiles along a side of a block: 1, 2, 4, 8 ...",
    ),
    click.option("--margin", type=click.IntRange(0), help="Pixels of context around a block. [default: the model's]"),
    click.option(
        "--stretch",
        default="auto",
        show_default=True,
        help="auto, none, minmax, percentile:2,98 or LOW,HIGH[,LOW,HIGH,LOW,HIGH]; auto leaves 8-bit unchanged.",
    ),
    click.option(
        "--match",
        type=click.Choice(["auto", "model", "none"]),
        default="auto",
        show_default=True,
        help="Match the scene's colours to the model's: auto as far as its card states, model all the way.",
    ),
    click.option(
        "--resampling",
        type=click.Choice(KERNELS),
        default="cubic",
        show_default=True,
        help="Kernel of the warp.",
    ),
    click.option("--force", is_flag=True, help="Render at a resolution or zoom that would be refused."),
    click.option("--aoi", type=click.Path(), help="Vector file with polygons: write only tiles that they touch."),
    click.option("--bounds", callback=parse_bounds, metavar="W,S,E,N", help="Degrees, instead of --aoi."),
    click.option("--clip", is_flag=True, help="Write only pixels inside --aoi or --bounds."),
)
"""The command gets `planning`, a `geo2map.PlanOptions`."""

SCENE = (
    click.option("--indexes", callback=parse_indexes, metavar="R,G,B", help="Bands, or one. [default: by colour]"),
    click.option("--crs", help="CRS to use instead of the file's, e.g. EPSG:32618."),
    click.option("--nodata", type=float, help="Value of pixels without data, or nan. [default: the file's]"),
    click.option("--allow-outside", is_flag=True, help="Open a VRT whose sources lie outside its folder."),
)
READING = (
    *SCENE,
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
)
reading_options = gather("reading", _scene, "Input", *SCENE)
"""The command gets `reading`, a `geo2map.scene.SceneOptions`."""
scene_options = gather("reading", _reading, "Input", *READING)
"""The command gets `reading`, a `geo2map.scene.ReadingOptions`."""

bounds_option = click.option(
    "--bounds", callback=parse_bounds, metavar="W,S,E,N", help="Area in degrees: take the tiles that touch it."
)
minzoom_option = click.option(
    "--minzoom", type=click.IntRange(0, 24), help="Lowest overview. [default: where the scene fits one tile]"
)
quality_option = click.option(
    "--quality",
    type=click.IntRange(1, 100),
    help="Quality of webp, jpeg or avif tiles. [default: webp 85, jpeg 90, avif 75]",
)
lossless_option = click.option("--lossless", is_flag=True, help="Lossless webp tiles.")
compress_option = click.option(
    "--compress",
    type=click.Choice(["deflate", "zstd", "webp"]),
    help="GeoTIFF compression (lossless). [default: deflate]",
)
scheme_option = click.option(
    "--scheme",
    type=click.Choice(["xyz", "tms"]),
    default="xyz",
    show_default=True,
    help="Rows of a folder of tiles from the north (xyz) or the south (tms).",
)
bare_option = click.option("--bare", is_flag=True, help="Tiles and tilejson.json alone: no page, no QGIS layer.")


def format_option(default: str) -> Callable[[F], F]:
    """--format, with its default in words."""
    formats = click.Choice(["png", "webp", "jpeg", "avif"])
    return click.option("--format", "format", type=formats, help=f"Tile format. [default: {default}]")


def as_storage(*options: Callable[[F], F], **fixed: Any) -> Callable[[F], F]:
    """Options of storage; the command gets `storage`, a `geo2map.plan.Storage`.

    Args:
        fixed: values that the command does not offer.
    """
    return gather("storage", partial(_storage, **fixed), "Output format", *options)


palette_option = click.option(
    "--palette",
    metavar="maps|none|FILE",
    help="Snap to the 255 colours of the maps style, or to those in FILE; indexed PNG. [default: none]",
)
vector_option = click.option("--vector", is_flag=True, help="Vector tiles: roads, buildings, water, parks ...")
redraw_option = click.option("--redraw", is_flag=True, help="Draw tiles from features: even streets, square corners.")
style_option = click.option(
    "--style", metavar="NAME|FILE", help="Style of features: maps, dark, print or a JSON file. [default: the map's]"
)


STORAGE = (
    format_option("png"),
    quality_option,
    lossless_option,
    minzoom_option,
    palette_option,
    vector_option,
    redraw_option,
    style_option,
    click.option("--classes", is_flag=True, help="Store classes, not colours: land, road, water ..."),
    compress_option,
    click.option("--grid", type=click.Choice(["scene"]), help="A .tif on the scene's CRS and pixel grid."),
    click.option("--crs-out", help="A .tif or vector file in this CRS. [default: web-mercator; WGS 84]"),
    click.option(
        "--resolution",
        type=click.FloatRange(min=0, min_open=True),
        help="Pixel size of a .tif in another CRS, in its units. [default: the map's, or the scene's if coarser]",
    ),
    scheme_option,
    bare_option,
)
storage_options = as_storage(*STORAGE)

tmp_option = click.option(
    "--tmp",
    type=click.Path(file_okay=False),
    help="Working folder for one-file outputs and buckets. [default: beside the output; for buckets the system's]",
)
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace an existing output.")
resume_option = click.option(
    "--resume/--no-resume",
    default=True,
    show_default=True,
    help="Resume an interrupted run of the same job, or delete its partial results.",
)
on_error_option = grouped(
    "Output",
    click.option(
        "--on-error",
        type=click.Choice(["fail", "skip"]),
        default="fail",
        show_default=True,
        help="skip: leave out blocks that cannot be read, list them in failed.geojson and exit with 3.",
    ),
)


def as_output(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Options of an existing output; the command gets `output`, a `geo2map.ledger.OutputOptions`."""
    return gather("output", _output, "Output", *options)


output_options = stack(as_output(overwrite_option, resume_option), on_error_option)
"""The command gets `output`, and `on_error`."""
