"""`geo2map draw`: features of a GeoPackage as raster tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from geo2map_cli.gathering import GroupedCommand, draw_kind, requested
from geo2map_cli.progress import open_progress, progress_option
from geo2map_cli.reporting import report_options, show
from geo2map_cli.storing import (
    as_output,
    as_storage,
    bare_option,
    compress_option,
    format_option,
    lossless_option,
    minzoom_option,
    out_option,
    overwrite_option,
    palette_option,
    quality_option,
    scheme_option,
    style_option,
    tmp_option,
)

if TYPE_CHECKING:
    from geo2map.api.requests import DrawRequest


@click.command("draw", cls=GroupedCommand)
@report_options
@progress_option
@click.argument("source", type=click.Path())
@out_option("Folder for tiles, .tif, .mbtiles or .pmtiles.")
@click.option("--zoom", type=click.IntRange(0, 24), help="Zoom to draw at. [default: the map's]")
@as_storage(
    style_option,
    format_option("png"),
    quality_option,
    lossless_option,
    minzoom_option,
    palette_option,
    compress_option,
    scheme_option,
    bare_option,
    redraw=True,
)
@as_output(tmp_option, overwrite_option)
@requested(draw_kind)
def command(request: DrawRequest, as_json: bool) -> None:
    """Draw SOURCE, a GeoPackage that geo2map wrote, as map tiles: in any style, at any zoom.

    \b
    geo2map draw town.gpkg --out map/
    geo2map draw town.gpkg --style dark --zoom 18 --out dark/
    geo2map draw town.gpkg --style night.json --out night.pmtiles
    """
    from geo2map.api.drawing import draw_request

    with open_progress() as bar:
        drawn = draw_request(request, progress=bar)
    show(drawn, as_json)
