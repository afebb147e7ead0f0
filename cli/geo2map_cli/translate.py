"""`geo2map translate`: XYZ tiles in, XYZ tiles out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from geo2map_cli.gathering import GroupedCommand, render_kind, requested
from geo2map_cli.options import model_options, plan_options
from geo2map_cli.progress import open_progress, progress_option
from geo2map_cli.reporting import conclude, report_options
from geo2map_cli.storing import out_option, output_options, storage_options

if TYPE_CHECKING:
    from geo2map.api.requests import RenderRequest


@click.command("translate", cls=GroupedCommand)
@report_options
@progress_option
@click.argument("scenes", metavar="TILES", type=click.Path())
@out_option("Folder for tiles, .tif, .mbtiles or .pmtiles.")
@model_options
@plan_options
@storage_options
@output_options
@requested(render_kind)
def command(request: RenderRequest, as_json: bool) -> None:
    """Translate a folder of XYZ TILES at its largest zoom; every block reads its neighbours for context."""
    from geo2map.api.rendering import render_request, tiles_request

    with open_progress() as bar:
        report = render_request(tiles_request(request), progress=bar, begin=bar.begin)
    conclude(report, str(request.out), as_json)
