"""Options of outputs that commands share, and the values that the library takes them as."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from geo2map_cli.gathering import F, expert_option, gather, grouped, stack
from geo2map_cli.parsing import parse_bounds

if TYPE_CHECKING:
    from geo2map.ledger import OutputOptions
    from geo2map.plan import Storage


def _storage(**values: Any) -> Storage:
    from geo2map.plan import Storage

    return Storage(**values)


def _output(**values: Any) -> OutputOptions:
    from geo2map.ledger import OutputOptions

    return OutputOptions(**values)


bounds_option = grouped(
    "Area",
    click.option(
        "--bounds", callback=parse_bounds, metavar="W,S,E,N", help="Area in degrees: take the tiles that touch it."
    ),
)
minzoom_option = expert_option(
    "--minzoom",
    type=click.IntRange(0, 24),
    help="Lowest overview. [default: where the scene fits one tile; for vector tiles one less]",
)
quality_option = expert_option(
    "--quality",
    type=click.IntRange(1, 100),
    help="Quality of webp, jpeg or avif tiles. [default: webp 85, jpeg 90, avif 75]",
)
lossless_option = expert_option("--lossless", is_flag=True, help="Lossless webp tiles.")
compress_option = expert_option(
    "--compress",
    type=click.Choice(["deflate", "zstd", "webp"]),
    help="GeoTIFF compression (lossless). [default: deflate]",
)
scheme_option = expert_option(
    "--scheme",
    type=click.Choice(["xyz", "tms"]),
    default="xyz",
    show_default=True,
    help="Rows of a folder of tiles from the north (xyz) or the south (tms).",
)
bare_option = expert_option("--bare", is_flag=True, help="Tiles and tilejson.json alone: no page, no QGIS layer.")


def format_option(default: str) -> Callable[[F], F]:
    """--format, with its default in words."""
    formats = click.Choice(["png", "webp", "jpeg", "avif"])
    text = f"png, webp, jpeg or avif. [default: {default}]"
    return click.option("--format", "format", type=formats, metavar="FORMAT", help=text)


def as_storage(*options: Callable[[F], F], **fixed: Any) -> Callable[[F], F]:
    """Options of storage; the command gets `storage`, a `geo2map.plan.Storage`.

    Args:
        fixed: values that the command does not offer.
    """
    return gather("storage", partial(_storage, **fixed), "Output", *options)


palette_option = expert_option(
    "--palette",
    metavar="maps|none|FILE",
    help="Snap to the 255 colours of the maps style, or to those in FILE; indexed PNG. [default: none]",
)
vector_option = click.option("--vector", is_flag=True, help="Vector tiles: roads, buildings, water, parks ...")
redraw_option = click.option("--redraw", is_flag=True, help="Draw tiles from features: even streets.")
style_option = click.option("--style", metavar="NAME|FILE", help="How features look: maps, dark, print or a file.")


STORAGE = (
    format_option("png"),
    quality_option,
    lossless_option,
    minzoom_option,
    palette_option,
    vector_option,
    redraw_option,
    style_option,
    expert_option("--classes", is_flag=True, help="Store classes, not colours: land, road, water ..."),
    compress_option,
    expert_option("--grid", type=click.Choice(["scene"]), help="A .tif on the scene's CRS and pixel grid."),
    expert_option("--crs-out", help="A .tif or vector file in this CRS. [default: web-mercator; WGS 84]"),
    expert_option(
        "--resolution",
        type=click.FloatRange(min=0, min_open=True),
        help="Pixel size of a .tif in another CRS, in its units. [default: the map's, or the scene's if coarser]",
    ),
    scheme_option,
    bare_option,
    click.option(
        "--layer",
        "layers",
        multiple=True,
        metavar="NAME",
        help="Also write source (imagery), classes, confidence or evidence (scores). Repeatable.",
    ),
    click.option(
        "--confidence", "with_confidence", is_flag=True, help="Same as --layer confidence: how sure the model is."
    ),
    click.option(
        "--min-confidence",
        type=click.IntRange(1, 100),
        metavar="PERCENT",
        help="Make less certain pixels transparent.",
    ),
    expert_option("--with-source", is_flag=True, help="Same as --layer source: the imagery; the page gets a slider."),
)
storage_options = as_storage(*STORAGE)


def out_option(text: str, *names: str, kind: click.Path | None = None) -> Callable[[F], F]:
    """--out, -o: required.

    Args:
        names: the Python name, where it is not `out`.
        kind: of path; None takes any, as a string.
    """
    return grouped("Output", click.option("--out", "-o", *names, required=True, type=kind or click.Path(), help=text))


tmp_option = grouped(
    "Machine",
    expert_option(
        "--tmp",
        type=click.Path(file_okay=False),
        help="Working folder for one-file outputs and buckets. [default: beside the output; for buckets the system's]",
    ),
)
overwrite_option = grouped("Output", click.option("--overwrite", is_flag=True, help="Replace an existing output."))
resume_option = grouped(
    "Run",
    expert_option(
        "--resume/--no-resume",
        default=True,
        show_default=True,
        help="Resume an interrupted run of the same job, or delete its partial results.",
    ),
)
on_error_option = grouped(
    "Run",
    click.option(
        "--on-error",
        type=click.Choice(["fail", "skip"]),
        default="fail",
        show_default=True,
        help="skip: leave out unreadable blocks, list them in failed.geojson, exit with 3.",
    ),
)


def as_output(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Options of an existing output; the command gets `output`, a `geo2map.ledger.OutputOptions`."""
    return gather("output", _output, "Output", *options)


output_options = stack(as_output(overwrite_option, resume_option), on_error_option)
"""The command gets `output`, and `on_error`."""
