"""`geo2map bench`: how fast this machine is, and at what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from geo2map_cli.options import model_options, plan_options, scene_options, storage_options
from geo2map_cli.reporting import report_options, show

if TYPE_CHECKING:
    from geo2map.model import ModelOptions


@click.command("bench")
@click.argument("scenes", nargs=-1, type=click.Path())
@click.option(
    "--blocks", type=click.IntRange(1), default=12, show_default=True, help="About how many blocks to render."
)
@model_options
@scene_options
@plan_options
@storage_options
@report_options
def command(scenes: tuple[str, ...], blocks: int, model: ModelOptions, as_json: bool, **options: Any) -> None:
    """Measure each stage of rendering SCENES by itself, and all together; say what holds it back.

    Renders blocks in the middle into a folder that is thrown away. Without SCENES a town is drawn.
    """
    from geo2map.api.benching import bench

    show(bench(scenes or None, engine=model, blocks=blocks, **options), as_json)
