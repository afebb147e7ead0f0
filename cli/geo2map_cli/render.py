"""`geo2map render`: the main job."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from geo2map_cli.options import model_options, output_options, plan_options, scene_options, storage_options
from geo2map_cli.reporting import (
    Bar,
    conclude,
    finish,
    json_text,
    report_options,
    show,
    show_failure,
    show_notes,
    show_way,
)
from geo2map_cli.spread import Spread, render_elsewhere, spread_options

if TYPE_CHECKING:
    from geo2map.model import ModelOptions
    from geo2map.pipeline.blocks import OnError


@click.command("render")
@click.argument("scenes", nargs=-1, type=click.Path())
@click.option(
    "--out", required=True, type=click.Path(), help="Folder for tiles, .tif, .mbtiles, .pmtiles; or s3:// ..."
)
@click.option("--each", is_flag=True, help="Render scenes one by one into OUT/<scene name>.")
@click.option("--geotiff", is_flag=True, help="With --each: one OUT/<scene name>.tif for each.")
@click.option(
    "--update", is_flag=True, help="Add SCENES to the finished tiles in OUT, or replace them; colours and zooms stay."
)
@click.option("--dry-run", is_flag=True, help="Print the plan and what it will cost; write nothing.")
@spread_options
@model_options
@scene_options
@plan_options
@storage_options
@click.option(
    "--with-source", is_flag=True, help="The imagery's own tiles, too, in OUT/source: the page has a swipe slider."
)
@click.option("--address", metavar="URL", help="Where OUT will be found by others: writes tiles.xml, for GDAL.")
@output_options
@report_options
def command(
    scenes: tuple[str, ...],
    out: str,
    each: bool,
    geotiff: bool,
    update: bool,
    dry_run: bool,
    spread: Spread,
    as_json: bool,
    **options: Any,
) -> None:
    """Render SCENES as seamless map tiles: GeoTIFFs, any rasters with a CRS, folders of them, "patterns*", URLs.

    Several scenes are rendered as one: where they overlap, the first is on top (--order). A run that was interrupted
    goes on where it was when the same command is given again.

    \b
    geo2map render scene.tif --out tiles/      {z}/{x}/{y}.png and a TileJSON
    geo2map render scene.tif --out map.tif     one GeoTIFF with overviews
    geo2map render sheets/ --out tiles/        one map of all sheets in a folder
    geo2map render sheets/ --each --out maps/  maps/<scene name>/ for each
    geo2map render --job country.job.json --shard 17/512 --out parts/
    """
    if geotiff and not each:
        raise click.UsageError("--geotiff belongs to --each: without it, give an --out that ends in .tif.")
    if render_elsewhere(spread, scenes, out, options, as_json, alone=not (each or update or dry_run)):
        return
    engine = options.pop("model")
    options["tmp"] = spread.tmp
    if update:
        _update(scenes, out, engine, options["on_error"], as_json)
    elif dry_run:
        _dry_run(scenes, out, each, ".tif" if geotiff else "", engine, options, as_json)
    elif each:
        _render_each(scenes, out, ".tif" if geotiff else "", engine, options, as_json)
    else:
        from geo2map.api import render

        with Bar() as bar:
            report = render(scenes, out, engine=engine, progress=bar, begin=bar.begin, **options)
        conclude(report, out, as_json)


def _update(scenes: tuple[str, ...], out: str, engine: ModelOptions, on_error: OnError, as_json: bool) -> None:
    context = click.get_current_context()
    allowed = {"scenes", "out", "update", "on_error", "model", "device", "precision", "threads", "batch", "mode"}
    given = [name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if others := sorted(set(given) - allowed - {"as_json", "verbose", "log_file"}):
        option = others[0].replace("_", "-")
        raise click.UsageError(f"--update keeps what the tiles were made with: leave out --{option}.")
    from geo2map.api import update

    with Bar() as bar:
        report = update(scenes, out, engine=engine, on_error=on_error, progress=bar, begin=bar.begin)
    conclude(report, out, as_json)


def _render_each(
    scenes: tuple[str, ...], out: str, suffix: str, engine: ModelOptions, options: dict[str, Any], as_json: bool
) -> None:
    from geo2map.api import name_targets, render_each

    reports, targets = [], name_targets(scenes, out, suffix)
    with Bar() as bar:
        each = render_each(scenes, out, engine=engine, suffix=suffix, progress=bar, begin=bar.begin_each, **options)
        for report in each:
            bar.close()
            reports.append(report)
            if report.error:
                show_failure(report)
            elif not as_json:
                show(report, as_json=False)
    if as_json:
        click.echo(json_text([report.to_dict() for report in reports]))
    else:
        show_way(*(target for target, report in zip(targets.values(), reports, strict=True) if not report.error))
    finish(reports)


def _dry_run(
    scenes: tuple[str, ...],
    out: str,
    each: bool,
    suffix: str,
    engine: ModelOptions,
    options: dict[str, Any],
    as_json: bool,
) -> None:
    from geo2map.api import dry_run, name_targets, open_engine
    from geo2map.scene.discover import find_imagery

    jobs: list[tuple[tuple[str, ...], str]] = [(scenes, out)]
    if each:
        paths, remarks = find_imagery(scenes)
        show_notes(remarks)
        jobs = [((scene,), target) for scene, target in name_targets(paths, out, suffix).items()]
    found = []
    with open_engine(engine) if each else nullcontext(engine) as loaded:
        for asked, target in jobs:
            found.append(dry_run(asked, target, engine=loaded, **options))
            if not as_json:
                click.echo(found[-1])
    if as_json:
        values = [run.to_dict() for run in found]
        click.echo(json_text(values if each and len(values) > 1 else values[0]))
