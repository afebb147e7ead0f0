"""`geo2map bench`: this machine's speed, and its bottleneck."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from geo2map_cli.gathering import GroupedCommand, render_kind, requested
from geo2map_cli.options import model_options, plan_options, scene_options
from geo2map_cli.reporting import report_options, show
from geo2map_cli.storing import storage_options

if TYPE_CHECKING:
    from geo2map.api.requests import RenderRequest


@click.command("bench", cls=GroupedCommand)
@report_options
@click.argument("scenes", nargs=-1, type=click.Path())
@click.option(
    "--blocks", type=click.IntRange(1), default=12, show_default=True, help="About how many blocks to render."
)
@model_options
@scene_options
@plan_options
@storage_options
@requested(render_kind)
def command(request: RenderRequest, blocks: int, as_json: bool) -> None:
    """Measure each stage of rendering SCENES alone, and all together; name the bottleneck.

    Renders blocks in the middle into a temporary folder. Without SCENES, renders a synthetic town.
    """
    from geo2map.api.benching import bench_request

    show(bench_request(request, blocks), as_json)
