"""`geo2map render`: the main job."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from geo2map_cli.options import (
    ENGINE_OPTIONS,
    Bar,
    format_option,
    model_options,
    overwrite_option,
    plan_options,
    report_options,
    scene_options,
    show,
    show_notes,
)


@click.command("render")
@click.argument("scenes", nargs=-1, required=True, type=click.Path())
@click.option("--out", required=True, type=click.Path(), help="A folder for XYZ tiles, or a .tif.")
@click.option("--each", is_flag=True, help="Render scenes one by one into OUT/<scene name>.")
@click.option("--geotiff", is_flag=True, help="With --each: one OUT/<scene name>.tif for each.")
@click.option("--dry-run", is_flag=True, help="Print the plan and what it will cost; write nothing.")
@model_options
@scene_options
@plan_options
@format_option
@overwrite_option
@report_options
def command(
    scenes: tuple[str, ...],
    out: str,
    each: bool,
    geotiff: bool,
    dry_run: bool,
    overwrite: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Render SCENES as seamless map tiles: GeoTIFFs, any rasters with a CRS, folders of them, "patterns*", URLs.

    Several scenes are rendered as one: where they overlap, the first is on top (--order).

    \b
    geo2map render scene.tif --out tiles/      {z}/{x}/{y}.png and a TileJSON
    geo2map render scene.tif --out map.tif     one GeoTIFF with overviews
    geo2map render sheets/ --out tiles/        one map of all sheets in a folder
    geo2map render sheets/ --each --out maps/  maps/<scene name>/ for each
    """
    if geotiff and not each:
        raise click.UsageError("--geotiff belongs to --each: without it, give an --out that ends in .tif.")
    suffix = ".tif" if geotiff or (Path(out).suffix and not each and not Path(out).is_dir()) else ""
    engine = {name: options.pop(name) for name in ENGINE_OPTIONS}
    if dry_run:
        from geo2map.scene import find_scenes

        _dry_run(find_scenes(scenes) if each else [scenes], suffix, engine, options, as_json)
    elif each:
        options |= {"overwrite": overwrite, "suffix": suffix}
        _render_each(scenes, out, engine, options, as_json)
    else:
        _render(scenes, out, engine, {**options, "overwrite": overwrite}, as_json)


def _render(scenes: tuple[str, ...], out: str, engine: dict[str, Any], options: dict[str, Any], as_json: bool) -> None:
    from geo2map.api import render
    from geo2map.engine import load_engine

    with Bar() as bar:
        report = render(scenes, out, engine=load_engine(**engine), progress=bar, **options)
    show_notes(report.notes)
    show(report, as_json)


def _render_each(
    scenes: tuple[str, ...], out: str, engine: dict[str, Any], options: dict[str, Any], as_json: bool
) -> None:
    from geo2map.api import render_each
    from geo2map.engine import load_engine

    reports = []
    with Bar() as bar:
        for report in render_each(scenes, out, engine=load_engine(**engine), progress=bar, **options):
            reports.append(report)
            show_notes(report.notes)
            if not as_json:
                show(report, as_json=False)
    if as_json:
        click.echo(json.dumps([report.to_dict() for report in reports]))
    failed = [report.name for report in reports if report.error]
    if failed:
        raise click.ClickException(f"{len(failed)} of {len(reports)} scenes failed: {', '.join(failed)}")


def _dry_run(
    jobs: Sequence[str | tuple[str, ...]], suffix: str, engine: dict[str, Any], options: dict[str, Any], as_json: bool
) -> None:
    from geo2map.api import split_options
    from geo2map.engine import load_engine
    from geo2map.estimate import estimate
    from geo2map.plan import make_plan
    from geo2map.scene import open_scenes

    loaded = load_engine(**engine)
    reading, planning = split_options(options)
    found = []
    for scenes in jobs:
        with open_scenes(scenes, **reading) as opened:
            plan = make_plan(opened, loaded.card, planning)
            costs = estimate(plan, opened, loaded, suffix)
        found.append({"plan": json.loads(plan.to_json()), "estimate": costs.to_dict()})
        if not as_json:
            click.echo(f"{plan}\n{costs}")
    if as_json:
        click.echo(json.dumps(found if len(found) > 1 else found[0]))
