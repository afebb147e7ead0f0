"""`geo2map plan`: a job for many machines, as a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from geo2map_cli.gathering import GroupedCommand, render_kind, requested
from geo2map_cli.options import model_options, plan_options, scene_options
from geo2map_cli.reporting import report_options, show, show_notes
from geo2map_cli.storing import out_option, storage_options

if TYPE_CHECKING:
    from geo2map.api.requests import RenderRequest


@click.command("plan", cls=GroupedCommand)
@report_options
@click.argument("scenes", nargs=-1, required=True, type=click.Path())
@out_option("Job file to write, a .json.", "job_path", kind=click.Path(dir_okay=False))
@click.option(
    "--shard-zoom",
    type=click.IntRange(0, 24),
    help="Zoom of a shard's tile. [default: 6 above the map's, fewer for small maps]",
)
@click.option("--measure/--no-measure", default=True, show_default=True, help="Time a few blocks.")
@model_options
@scene_options
@plan_options
@storage_options
@requested(render_kind)
def command(request: RenderRequest, job_path: str, shard_zoom: int | None, measure: bool, as_json: bool) -> None:
    """Plan a job for many machines. SCENES may be a .txt that lists scenes, one a line.

    Paths must be the same on all machines. --device is the device of those machines, not of this one.

    \b
    geo2map plan scene.tif --out country.job.json --device cuda
    geo2map render --job country.job.json --shard 17/512 --out parts/     on each machine
    geo2map merge parts/ --out country.pmtiles                           once, at the end
    """
    from geo2map.api.requests import resolve
    from geo2map.cluster import summarise
    from geo2map.cluster.planning import plan_request
    from geo2map.files.place import check_place, require_writable

    resolved = resolve(request)
    check_place(job_path, keep=resolved.scenes.files)
    require_writable(job_path)
    job_file = plan_request(resolved, shard_zoom)
    show_notes(job_file.job.plan.notes)
    summary = summarise(job_file, measure=measure)
    job_file.write(job_path)
    show(summary, as_json)
