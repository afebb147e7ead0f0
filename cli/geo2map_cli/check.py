"""`geo2map check`: an output verified, and repaired."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geo2map_cli.gathering import GroupedCommand
from geo2map_cli.options import model_options
from geo2map_cli.progress import open_progress, progress_option
from geo2map_cli.reporting import report_options, show

if TYPE_CHECKING:
    from geo2map.model import ModelOptions


@click.command("check", cls=GroupedCommand)
@report_options
@progress_option
@click.argument("path", type=click.Path())
@click.option("--repair", is_flag=True, help="Render damaged blocks again and fix other problems.")
@click.option(
    "--geojson",
    type=click.Path(dir_okay=False, path_type=Path),
    help="GeoJSON of problems and the worst seams to write.",
)
@model_options
def command(path: str, repair: bool, geojson: Path | None, model: ModelOptions, as_json: bool) -> None:
    """Verify PATH, an output of any kind: complete, readable, unchanged, overviews consistent; and measure seams.

    For features: valid geometries and columns, no overlaps within a class, roads that meet only at their ends.

    Exits with 1 if there are problems. --repair needs the scenes and the model at their original paths; --model and
    the options after it apply to --repair only.
    """
    from geo2map.api import repair as repair_output
    from geo2map.checking import check
    from geo2map.files.atomic import write_whole
    from geo2map.files.place import check_place, require_writable

    if geojson is not None:
        check_place(geojson, keep=[path], kept="the output that is checked")
        require_writable(geojson)
    with open_progress() as bar:
        report = repair_output(path, engine=_named(model), progress=bar) if repair else check(path)
    if geojson is not None:
        write_whole(geojson, report.geojson().encode())
    show(report, as_json)
    if not report.ok:
        sys.exit(1)


def _named(model: ModelOptions) -> ModelOptions | None:
    """The model that was named; None leaves it to the output's record."""
    source = click.get_current_context().get_parameter_source("model")
    return None if source is click.core.ParameterSource.DEFAULT else model
