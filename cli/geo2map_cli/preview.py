"""`geo2map preview`: look before anyone waits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from geo2map_cli.options import (
    ENGINE_OPTIONS,
    model_options,
    overwrite_option,
    plan_options,
    report_options,
    scene_options,
    show_notes,
)


@click.command("preview")
@click.argument("scenes", nargs=-1, required=True, type=click.Path())
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="A .png.")
@click.option("--span", type=click.IntRange(1, 16), default=3, show_default=True, help="Tiles a side.")
@model_options
@scene_options
@plan_options
@overwrite_option
@report_options
def command(scenes: tuple[str, ...], out: Path, span: int, overwrite: bool, as_json: bool, **options: Any) -> None:
    """Translate the middle of SCENES, as one, and put source (left) and map (right) into one PNG."""
    from geo2map.api import middle_block, preview_block, split_options
    from geo2map.engine import load_engine
    from geo2map.files.picture import require_new, side_by_side, write_picture
    from geo2map.plan import make_plan
    from geo2map.scene import open_scenes

    require_new(out, overwrite)
    engine = load_engine(**{name: options.pop(name) for name in ENGINE_OPTIONS})
    reading, planning = split_options(options)
    with open_scenes(scenes, **reading) as opened:
        plan = make_plan(opened, engine.card, planning)
        block = middle_block(plan, opened, span)
        pictures = preview_block(plan, opened, engine, block)
    write_picture(side_by_side(*pictures), out)
    show_notes(plan.notes)
    click.echo(json.dumps({"out": out.as_posix()}) if as_json else f"{out}: source left, map right")
