"""`geo2map convert`: one kind of tile set into another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from geo2map_cli.gathering import GroupedCommand, convert_kind, requested
from geo2map_cli.parsing import parse_zooms
from geo2map_cli.progress import open_progress, progress_option
from geo2map_cli.reporting import report_options, show
from geo2map_cli.storing import (
    as_output,
    as_storage,
    bare_option,
    bounds_option,
    compress_option,
    format_option,
    lossless_option,
    overwrite_option,
    quality_option,
    redraw_option,
    scheme_option,
    style_option,
    tmp_option,
    vector_option,
)

if TYPE_CHECKING:
    from geo2map.api.requests import ConvertRequest


@click.command("convert", cls=GroupedCommand)
@report_options
@progress_option
@click.argument("source", type=click.Path())
@click.argument("out", type=click.Path())
@bounds_option
@click.option("--zoom", "zooms", callback=parse_zooms, metavar="Z|A-B", help="Zooms to take. [default: all]")
@as_storage(
    format_option("that of SOURCE"),
    quality_option,
    lossless_option,
    vector_option,
    redraw_option,
    style_option,
    click.option("--crs-out", help="CRS of a vector file, e.g. EPSG:32618. [default: WGS 84]"),
    scheme_option,
    compress_option,
    bare_option,
)
@click.option(
    "--palette",
    "colours",
    type=click.Path(),
    metavar="maps|FILE",
    help="Which colour is which class, where SOURCE does not say: a table as in legend.tsv.",
)
@as_output(tmp_option, overwrite_option)
@requested(convert_kind)
def command(request: ConvertRequest, as_json: bool) -> None:
    """Convert SOURCE, a set of tiles, to OUT, another kind of set; tiles keep their bytes unless --format is given.

    SOURCE is a folder of tiles, an .mbtiles or .pmtiles file, or a .tif or .gpkg that geo2map made. OUT may also be a
    vector file: .gpkg, .fgb, .geojson or .parquet.

    \b
    geo2map convert tiles/ map.pmtiles
    geo2map convert tiles/ town.gpkg            roads, buildings, water, parks
    geo2map convert town.gpkg town.pmtiles      as vector tiles
    geo2map convert tiles/ clean/ --redraw      drawn again from the features
    geo2map convert map.mbtiles tiles/
    geo2map convert map.pmtiles map.tif
    geo2map convert tiles/ tms/ --scheme tms
    geo2map convert map.tif town.pmtiles --bounds 10.1,53.5,10.2,53.6 --zoom 12-16 --format webp
    """
    from geo2map.api.converting import convert_request

    with open_progress() as bar:
        converted = convert_request(request, progress=bar)
    show(converted, as_json)
