"""`geo2map render`: the main job."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from geo2map_cli.gathering import GroupedCommand, expert_option, grouped, render_kind, requested
from geo2map_cli.options import model_options, plan_options, scene_options
from geo2map_cli.progress import open_progress, progress_option
from geo2map_cli.remote import RemoteOptions, remote_options, renderer, run_remotely
from geo2map_cli.reporting import (
    conclude,
    finish,
    flag_of,
    json_text,
    report_options,
    show,
    show_batch,
    show_failure,
    show_notes,
    show_way,
)
from geo2map_cli.storing import (
    STORAGE,
    as_output,
    as_storage,
    on_error_option,
    out_option,
    overwrite_option,
    resume_option,
    tmp_option,
)

if TYPE_CHECKING:
    from geo2map.api.requests import RenderRequest
    from geo2map.pipeline.report import Report

UPDATE_MAY_HAVE = frozenset({"update", "on_error", "model", "device", "precision", "threads", "batch", "mode"})


@click.command("render", cls=GroupedCommand)
@report_options
@progress_option
@click.argument("scenes", nargs=-1, type=click.Path())
@out_option("A folder, .tif, .mbtiles, .pmtiles, .gpkg, s3:// ...")
@grouped(
    "Run",
    click.option("--dry-run", is_flag=True, help="Print the plan and its cost; write nothing."),
    click.option("--each", is_flag=True, help="Render scenes one by one into OUT/<scene name>."),
    click.option("--suffix", metavar=".EXT", help="With --each: make files, e.g. .tif, .pmtiles, .gpkg."),
    click.option("--update", is_flag=True, help="Add SCENES to the finished OUT; its options stay."),
)
@remote_options
@model_options
@scene_options
@plan_options
@as_storage(
    *STORAGE,
    expert_option("--address", metavar="URL", help="Public URL of OUT: writes tiles.xml, for GDAL."),
)
@as_output(overwrite_option, resume_option, tmp_option)
@on_error_option
@requested(render_kind)
def command(
    request: RenderRequest,
    each: bool,
    suffix: str | None,
    update: bool,
    dry_run: bool,
    remote: RemoteOptions,
    as_json: bool,
) -> None:
    """Render SCENES as seamless map tiles: GeoTIFFs, any rasters with a CRS, folders of them, "patterns*", URLs.

    Several scenes are rendered as one: where they overlap, the first is on top (--order). The same command again
    resumes an interrupted run.

    \b
    geo2map render scene.tif --out tiles/      {z}/{x}/{y}.png and a TileJSON
    geo2map render scene.tif --out map.tif     one GeoTIFF with overviews
    geo2map render sheets/ --out tiles/        one map of all sheets in a folder
    geo2map render sheets/ --each --out maps/  maps/<scene name>/ for each, and maps/report.csv
    """
    if suffix is not None and not each:
        raise click.UsageError(f"--suffix belongs to --each: without it, give an --out that ends in {suffix}.")
    if run_remotely(remote, request, as_json, each=each, alone=not (update or dry_run)):
        return
    if update:
        _update(request, as_json)
    elif each:
        _each(request, suffix or "", remote.dask, dry_run, as_json)
    elif dry_run:
        _estimate([request], as_json)
    else:
        from geo2map.api.rendering import render_request

        with open_progress() as bar:
            report = render_request(request, progress=bar, begin=bar.begin)
        conclude(report, str(request.out), as_json)


def _update(request: RenderRequest, as_json: bool) -> None:
    context = click.get_current_context()
    given = [name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if others := sorted(set(given) - UPDATE_MAY_HAVE - {"scenes", "out", "as_json", "verbose", "log_file"}):
        message = f"--update keeps the options that the tiles were made with: leave out {flag_of(others[0])}."
        raise click.UsageError(message)
    from geo2map.api import update
    from geo2map.model import ModelOptions

    model, on_error, out = request.model, request.on_error, str(request.out)
    assert isinstance(model, ModelOptions), "the command line names models"
    with open_progress() as bar:
        report = update(request.scenes, out, engine=model, on_error=on_error, progress=bar, begin=bar.begin)
    conclude(report, out, as_json)


def _each(request: RenderRequest, suffix: str, cluster: str | None, dry_run: bool, as_json: bool) -> None:
    from geo2map.api.batch import split_request
    from geo2map.scene import select_scenes

    selection = select_scenes(request.scenes)
    show_notes(selection.remarks)
    requests = split_request(replace(request, scenes=selection), suffix)
    if dry_run:
        _estimate(requests, as_json)
    else:
        _render_each(requests, str(request.out), cluster, as_json)


def _render_each(requests: list[RenderRequest], folder: str, cluster: str | None, as_json: bool) -> None:
    from geo2map.api.batch import render_requests
    from geo2map.api.batch_report import check_batch_report, write_batch_report

    check_batch_report(folder)
    reports: list[Report] = []
    try:
        with open_progress() as bar:
            for report in render_requests(requests, render=renderer(cluster), progress=bar, begin=bar.begin_each):
                bar.close()
                reports.append(report)
                if report.error:
                    show_failure(report)
                if as_json or not report.error:
                    show(report, as_json)
    finally:
        table = write_batch_report(folder, reports)
    if not as_json:
        show_batch(reports, table)
        show_way(*(report.path for report in reports if not report.error))
    finish(reports)


def _estimate(requests: list[RenderRequest], as_json: bool) -> None:
    from geo2map.api.looking import estimate_request

    runs = []
    for request in requests:
        runs.append(estimate_request(request))
        if not as_json:
            click.echo(runs[-1])
    if as_json:
        values = [run.to_dict() for run in runs]
        click.echo(json_text(values if len(values) > 1 else values[0]))
