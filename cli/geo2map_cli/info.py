"""`geo2map info`: what a scene is and what rendering it would do."""

from __future__ import annotations

from typing import Any

import click

from geo2map_cli.options import reading_options
from geo2map_cli.reporting import json_text, report_options, show_notes


@click.command("info")
@click.argument("scenes", nargs=-1, required=True, type=click.Path())
@click.option("--model", default="sat2map", show_default=True, help="Whose resolution and colours to compare with.")
@reading_options
@report_options
def command(scenes: tuple[str, ...], model: str, as_json: bool, **options: Any) -> None:
    """Say what SCENES are: CRS, resolution, bands, stretch, nodata, footprint, and what render would do by default."""
    from geo2map.errors import Geo2MapError
    from geo2map.model import find_model, load_card
    from geo2map.plan.describe import describe
    from geo2map.scene import open_scene
    from geo2map.scene.discover import find_imagery

    card = load_card(find_model(model))
    paths, remarks = find_imagery(scenes)
    show_notes(remarks)
    described: list[dict[str, Any]] = []
    failed = 0
    for path in paths:
        try:
            with open_scene(path, **options) as scene:
                found = describe(scene, card)
        except Geo2MapError as error:
            if len(paths) == 1:
                raise
            failed += 1
            click.echo(f"geo2map: {error}", err=True)
            continue
        described.append(found.to_dict())
        if not as_json:
            click.echo(str(found))
    if as_json:
        click.echo(json_text(described[0] if len(paths) == 1 else described))
    if failed:
        raise click.ClickException(f"{failed} of {len(paths)} scenes failed")
