"""`geo2map preview`: a few blocks before a long run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from geo2map_cli.gathering import GroupedCommand, render_kind, requested
from geo2map_cli.options import model_options, plan_options, scene_options
from geo2map_cli.reporting import json_text, report_options, show_notes
from geo2map_cli.storing import out_option, overwrite_option

if TYPE_CHECKING:
    from geo2map.api.requests import RenderRequest


@click.command("preview", cls=GroupedCommand)
@report_options
@click.argument("scenes", nargs=-1, required=True, type=click.Path())
@out_option("PNG to write.", "picture", kind=click.Path(dir_okay=False, path_type=Path))
@click.option("--span", type=click.IntRange(1, 16), default=3, show_default=True, help="Tiles along each side.")
@model_options
@scene_options
@plan_options
@overwrite_option
@requested(render_kind)
def command(request: RenderRequest, picture: Path, span: int, overwrite: bool, as_json: bool) -> None:
    """Translate the middle of SCENES, as one, and put source (left) and map (right) into one PNG."""
    from geo2map.api.looking import preview_request
    from geo2map.files.picture import require_new_picture, side_by_side, write_picture

    require_new_picture(picture, overwrite)
    source, drawn, _ = preview_request(request, span, begin=lambda _, notes: show_notes(notes))
    write_picture(side_by_side(source, drawn), picture)
    click.echo(json_text({"path": picture.as_posix()}) if as_json else f"{picture}: source left, map right")
