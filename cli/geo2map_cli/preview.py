"""`geo2map preview`: look before anyone waits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geo2map_cli.options import model_options, overwrite_option, plan_options, scene_options
from geo2map_cli.reporting import json_text, report_options, show_notes

if TYPE_CHECKING:
    from geo2map.model import ModelOptions


@click.command("preview")
@click.argument("scenes", nargs=-1, required=True, type=click.Path())
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="A .png.")
@click.option("--span", type=click.IntRange(1, 16), default=3, show_default=True, help="Tiles a side.")
@model_options
@scene_options
@plan_options
@overwrite_option
@report_options
def command(
    scenes: tuple[str, ...],
    out: Path,
    span: int,
    model: ModelOptions,
    overwrite: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Translate the middle of SCENES, as one, and put source (left) and map (right) into one PNG."""
    from geo2map.api import preview
    from geo2map.files.picture import require_new_picture, side_by_side, write_picture

    require_new_picture(out, overwrite)
    source, drawn, _ = preview(scenes, engine=model, span=span, begin=lambda _, notes: show_notes(notes), **options)
    write_picture(side_by_side(source, drawn), out)
    click.echo(json_text({"out": out.as_posix()}) if as_json else f"{out}: source left, map right")
