"""`geo2map info`: a scene's facts, and what rendering it would do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from geo2map_cli.gathering import GroupedCommand
from geo2map_cli.options import reading_options
from geo2map_cli.reporting import json_text, report_options, show_notes

if TYPE_CHECKING:
    from geo2map.scene import SceneOptions


@click.command("info", cls=GroupedCommand)
@report_options
@click.argument("scenes", nargs=-1, required=True, type=click.Path())
@click.option("--model", default="sat2map", show_default=True, help="Model to compare resolution and colours with.")
@reading_options
def command(scenes: tuple[str, ...], model: str, reading: SceneOptions, as_json: bool) -> None:
    """Describe SCENES: CRS, resolution, bands, stretch, nodata, footprint, and what render would do by default."""
    from geo2map.errors import Geo2MapError
    from geo2map.model import find_model, load_card
    from geo2map.plan.describe import describe
    from geo2map.scene.discover import find_imagery
    from geo2map.scene.reader import read_scene

    card = load_card(find_model(model))
    paths, remarks = find_imagery(scenes)
    show_notes(remarks)
    described: list[dict[str, Any]] = []
    failed = 0
    for path in paths:
        try:
            with read_scene(path, reading) as scene:
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
