"""`geo2map preview`: look before anyone waits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from geo2map_cli.options import model_options, overwrite_option, plan_options, report_options, show_notes


@click.command("preview")
@click.argument("scene", type=click.Path())
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="A .png.")
@click.option("--span", type=click.IntRange(1, 16), default=3, show_default=True, help="Tiles a side.")
@model_options
@plan_options
@overwrite_option
@report_options
def command(scene: str, out: Path, span: int, overwrite: bool, as_json: bool, **options: Any) -> None:
    """Translate the middle of SCENE and put source (left) and map (right) into one PNG."""
    from geo2map.api import middle_block, preview_block
    from geo2map.engine import load_engine
    from geo2map.picture import require_new, side_by_side, write_picture
    from geo2map.plan import PlanOptions, make_plan
    from geo2map.scene import open_scene

    require_new(out, overwrite)
    names = ("model", "device", "precision", "threads", "batch")
    with open_scene(scene) as opened:
        engine = load_engine(**{name: options.pop(name) for name in names})
        plan = make_plan(opened, engine.card, PlanOptions(**options))
        block = middle_block(plan, opened, span)
        pictures = preview_block(plan, opened, engine, block)
    write_picture(side_by_side(*pictures), out)
    show_notes(plan.notes)
    click.echo(json.dumps({"out": out.as_posix()}) if as_json else f"{out}: source left, map right")
