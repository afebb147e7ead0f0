"""`geo2map pairs`: a scene and its map in, training pictures out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geo2map_cli.gathering import GroupedCommand, expert_option, grouped
from geo2map_cli.options import KERNELS, READING
from geo2map_cli.progress import open_progress, progress_option
from geo2map_cli.reporting import report_options, show, show_notes
from geo2map_cli.storing import out_option, overwrite_option

if TYPE_CHECKING:
    from geo2map.colour.palette import Palette


def _parse_shares(_: click.Context, __: click.Parameter, value: str) -> tuple[float, float, float]:
    try:
        train, val, test = (float(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not three numbers: give train,val,test, e.g. 80,10,10.") from None
    return train, val, test


@click.command("pairs", cls=GroupedCommand)
@report_options
@progress_option
@click.argument("scene", type=click.Path())
@click.option("--map", "drawn", required=True, type=click.Path(), help="Map of the same place: raster or tile folder.")
@click.option("--zoom", required=True, type=click.IntRange(0, 24), help="Zoom of the pictures.")
@out_option("Folder to write.", kind=click.Path(path_type=Path))
@click.option("--size", type=click.IntRange(64, 4096), default=512, show_default=True, help="Side of A and of B, px.")
@click.option(
    "--split",
    "--shares",
    "shares",
    callback=_parse_shares,
    default="80,10,10",
    show_default=True,
    metavar="TRAIN,VAL,TEST",
    help="Shares of the splits.",
)
@expert_option(
    "--split-block",
    "block",
    type=click.IntRange(1),
    metavar="N",
    help="Divide blocks of N x N pictures, so that neighbours stay together. [default: 4, fewer in small scenes]",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the random division.")
@click.option(
    "--min-valid",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="Share of a picture that must have data.",
)
@expert_option(
    "--keep-blank",
    type=click.FloatRange(0, 1),
    default=1.0,
    show_default=True,
    help="Share of single-colour maps to keep.",
)
@click.option(
    "--registration",
    type=click.Choice(["warn", "drop", "off"]),
    default="warn",
    show_default=True,
    help="How to handle misregistered pairs.",
)
@expert_option(
    "--max-shift",
    type=click.FloatRange(0, min_open=True),
    default=4.0,
    show_default=True,
    metavar="PX",
    help="Largest offset of a map that counts as registered.",
)
@click.option("--stretch", default="auto", show_default=True, help="Stretch of the scene, as in geo2map render.")
@expert_option(
    "--resampling",
    type=click.Choice(KERNELS),
    metavar="KERNEL",
    default="cubic",
    show_default=True,
    help="Kernel for the scene.",
)
@expert_option(
    "--map-resampling",
    type=click.Choice(KERNELS),
    metavar="KERNEL",
    default="bilinear",
    show_default=True,
    help="Kernel for the map.",
)
@click.option("--palette", help="Palette of the map, to count its classes: maps, or a .tsv of class, red, green, blue.")
@click.option(
    "--format",
    "format",
    type=click.Choice(["png", "jpeg"]),
    default="png",
    show_default=True,
    help="Format of the pictures.",
)
@grouped("Input", *READING)
@overwrite_option
def command(scene: str, drawn: str, out: Path, palette: str | None, as_json: bool, **options: Any) -> None:
    """Cut SCENE and a map of the same place into training pairs, A|B side by side.

    Both are cut on the global grid of the zoom. Pictures with gaps are left out; the others are checked for a shift
    between scene and map, and divided into train, val and test by blocks of neighbours.

    \b
    geo2map pairs scene.tif --map map.tif --zoom 17 --out pairs/
    geo2map pairs scene.tif --map osm-tiles/ --zoom 17 --out pairs/ --registration drop
    geo2map train pairs/ --out mine.safetensors
    """
    from geo2map.pairs import make_pairs

    with open_progress() as bar:
        pair_set = make_pairs(scene, drawn, out, palette=_palette(palette), progress=bar, **options)
    show_notes(pair_set.notes)
    show(pair_set, as_json)


def _palette(asked: str | None) -> Palette | None:
    from geo2map.colour.palette import MAPS_PALETTE, load_palette

    if asked is None:
        return None
    return MAPS_PALETTE if asked == "maps" else load_palette(Path(asked))
