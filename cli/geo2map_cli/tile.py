"""`geo2map tile`: the cut alone."""

from __future__ import annotations

from typing import Any

import click

from geo2map_cli.options import minzoom_option, output_options, plan_options, scene_options
from geo2map_cli.reporting import Bar, conclude, report_options


@click.command("tile")
@click.argument("scenes", nargs=-1, required=True, type=click.Path())
@click.option("--out", required=True, type=click.Path(), help="A folder for XYZ tiles.")
@click.option("--model", default="sat2map", show_default=True, help="Whose zoom and colours the tiles get.")
@scene_options
@plan_options
@minzoom_option
@output_options
@report_options
def command(scenes: tuple[str, ...], out: str, model: str, as_json: bool, **options: Any) -> None:
    """Cut SCENES, as one, into lossless XYZ tiles at a model's zoom, colours applied, nothing translated.

    `geo2map translate` then gives the same pixels as `geo2map render`.
    """
    from geo2map.api import tile
    from geo2map.model import find_model, load_card

    with Bar() as bar:
        report = tile(scenes, out, card=load_card(find_model(model)), progress=bar, begin=bar.begin, **options)
    conclude(report, out, as_json)
