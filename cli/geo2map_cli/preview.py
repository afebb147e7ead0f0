"""`geo2map preview`: a few blocks before a long run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geo2map_cli.gathering import GroupedCommand, render_kind, requested
from geo2map_cli.options import model_options, plan_options, scene_options
from geo2map_cli.reporting import flag_of, json_text, report_options, show_notes
from geo2map_cli.storing import out_option, overwrite_option

if TYPE_CHECKING:
    from geo2map.api.comparing import Variants
    from geo2map.api.requests import RenderRequest
    from geo2map.types import Image

COMPARED_MATCHES = ("auto", "model", "none")
COMPARED_OPTIONS = ("model", "zoom", "match")


def _parse_axes(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, list[str]]:
    axes: dict[str, list[str]] = {}
    for value in values:
        name, _equals, listed = value.partition("=")
        axes[name] = [part for part in listed.split(",") if part]
        numbers = name != "zoom" or all(part.isdigit() for part in axes[name])
        known = name != "match" or set(axes[name]) <= set(COMPARED_MATCHES)
        if name not in COMPARED_OPTIONS or not axes[name] or not numbers or not known:
            raise click.BadParameter(f"{value!r}: give match=auto,model,none, zoom=16,17 or model=sat2map,FILE.")
    return axes


@click.command("preview", cls=GroupedCommand)
@report_options
@click.argument("scenes", nargs=-1, required=True, type=click.Path())
@out_option("PNG to write.", "picture", kind=click.Path(dir_okay=False, path_type=Path))
@click.option("--span", type=click.IntRange(1, 16), default=3, show_default=True, help="Tiles along each side.")
@click.option(
    "--compare",
    "axes",
    multiple=True,
    callback=_parse_axes,
    metavar="OPTION=A,B",
    help="One picture for each value of model, zoom or match. Repeatable.",
)
@model_options
@scene_options
@plan_options
@overwrite_option
@requested(render_kind)
def command(
    request: RenderRequest, picture: Path, span: int, axes: dict[str, list[str]], overwrite: bool, as_json: bool
) -> None:
    """Translate the middle of SCENES, as one, and put source (left) and map (right) into one PNG.

    Pixels without data are hatched. With --compare, the sheet holds a map for each way to render, captioned with the
    options to give; zooms and models are rows.

    \b
    geo2map preview scene.tif --out look.png
    geo2map preview scene.tif --out sheet.png --compare match=none,auto,model --compare zoom=16,17
    """
    from geo2map.files.picture import require_new_picture, write_picture

    require_new_picture(picture, overwrite)
    write_picture(_sheet(request, axes, span) if axes else _pair(request, span), picture)
    told = "options above each map" if axes else "source left, map right"
    click.echo(json_text({"path": picture.as_posix()}) if as_json else f"{picture}: {told}")


def _pair(request: RenderRequest, span: int) -> Image:
    from geo2map.api.looking import preview_request
    from geo2map.files.picture import side_by_side

    source, drawn, _ = preview_request(request, span, begin=lambda _, notes: show_notes(notes))
    return side_by_side(source, drawn)


def _sheet(request: RenderRequest, axes: Mapping[str, Sequence[str]], span: int) -> Image:
    from geo2map.api.comparing import compare_request
    from geo2map.files.picture import captioned_sheet

    rows = compare_request(request, _variants(axes), span=span)
    return captioned_sheet([[(_caption(shown.options), shown.image) for shown in row] for row in rows])


def _variants(axes: Mapping[str, Sequence[str]]) -> Variants:
    from geo2map.api.comparing import Variants

    zooms = tuple(map(int, axes.get("zoom", ())))
    return Variants(models=tuple(axes.get("model", ())), zooms=zooms, matches=tuple(axes.get("match", ())))  # type: ignore[arg-type]


def _caption(options: Mapping[str, str | int]) -> str:
    return " ".join(f"{flag_of(name)} {value}" for name, value in options.items()) or "imagery"
