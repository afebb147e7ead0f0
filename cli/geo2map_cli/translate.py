"""`geo2map translate`: XYZ tiles in, XYZ tiles out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from geo2map_cli.options import model_options, output_options, plan_options, storage_options
from geo2map_cli.reporting import Bar, conclude, report_options

if TYPE_CHECKING:
    from geo2map.model import ModelOptions


@click.command("translate")
@click.argument("tiles", type=click.Path())
@click.option("--out", required=True, type=click.Path(), help="A folder for tiles, .tif, .mbtiles or .pmtiles.")
@model_options
@plan_options
@storage_options
@output_options
@report_options
def command(tiles: str, out: str, model: ModelOptions, as_json: bool, **options: Any) -> None:
    """Translate a folder of XYZ TILES at its largest zoom; every block reads its neighbours for context."""
    from geo2map.api import translate_tiles

    with Bar() as bar:
        report = translate_tiles(tiles, out, engine=model, progress=bar, begin=bar.begin, **options)
    conclude(report, out, as_json)
