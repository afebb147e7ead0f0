"""`geo2map tile`: the cut alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from geo2map_cli.gathering import GroupedCommand, gather, render_kind, requested
from geo2map_cli.options import plan_options, scene_options
from geo2map_cli.progress import open_progress, progress_option
from geo2map_cli.reporting import conclude, report_options
from geo2map_cli.storing import as_storage, minzoom_option, out_option, output_options

if TYPE_CHECKING:
    from geo2map.api.models import ResolvedModel
    from geo2map.api.requests import RenderRequest


def _for_model(model: str) -> ResolvedModel:
    from geo2map.api.models import ResolvedModel
    from geo2map.model import ModelOptions

    return ResolvedModel(ModelOptions(model=model), translates=False)


@click.command("tile", cls=GroupedCommand)
@report_options
@progress_option
@click.argument("scenes", nargs=-1, required=True, type=click.Path())
@out_option("Folder for XYZ tiles.")
@gather(
    "model",
    _for_model,
    "Model",
    click.option("--model", default="sat2map", show_default=True, help="Model that sets zoom and colours."),
)
@scene_options
@plan_options
@as_storage(minzoom_option)
@output_options
@requested(render_kind)
def command(request: RenderRequest, as_json: bool) -> None:
    """Cut SCENES, as one, into lossless XYZ tiles at a model's zoom, colours applied, nothing translated.

    `geo2map translate` then gives the same pixels as `geo2map render`.
    """
    from geo2map.api.rendering import render_request

    with open_progress() as bar:
        report = render_request(request, progress=bar, begin=bar.begin)
    conclude(report, str(request.out), as_json)
