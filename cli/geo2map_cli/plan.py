"""`geo2map plan`: a job for many machines, as a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from geo2map_cli.options import model_options, plan_options, scene_options, storage_options
from geo2map_cli.reporting import report_options, show, show_notes

if TYPE_CHECKING:
    from geo2map.model import ModelOptions


@click.command("plan")
@click.argument("scenes", nargs=-1, required=True, type=click.Path())
@click.option("--out", required=True, type=click.Path(dir_okay=False), help="The job file to write, a .json.")
@click.option(
    "--shard-zoom",
    type=click.IntRange(0, 24),
    help="Zoom of a shard's tile. [default: 6 above the map's, fewer for small maps]",
)
@click.option("--measure/--no-measure", default=True, show_default=True, help="Render a few blocks to say hours, too.")
@model_options
@scene_options
@plan_options
@storage_options
@report_options
def command(
    scenes: tuple[str, ...],
    out: str,
    shard_zoom: int | None,
    measure: bool,
    model: ModelOptions,
    as_json: bool,
    **options: Any,
) -> None:
    """Plan how to render SCENES on many machines. A .txt lists scenes, one a line.

    Paths must be the same on all machines. --device says where they will translate, whatever this one has.

    \b
    geo2map plan scene.tif --out country.job.json --device cuda
    geo2map render --job country.job.json --shard 17/512 --out parts/     on each machine
    geo2map merge parts/ --out country.pmtiles                           once, at the end
    """
    from geo2map.cluster import plan_job, summarise
    from geo2map.files.address import is_file_path
    from geo2map.files.place import check_place, require_writable

    check_place(out, keep=filter(is_file_path, scenes))
    require_writable(out)
    order = plan_job(scenes, model=model, shard_zoom=shard_zoom, **options)
    show_notes(order.job.plan.notes)
    summary = summarise(order, measure=measure)
    order.write(out)
    show(summary, as_json)
