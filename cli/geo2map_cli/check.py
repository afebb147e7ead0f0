"""`geo2map check`: whether an output is whole, true and seamless, and to mend it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geo2map_cli.options import model_options
from geo2map_cli.reporting import Bar, report_options, show

if TYPE_CHECKING:
    from geo2map.model import ModelOptions


@click.command("check")
@click.argument("path", type=click.Path())
@click.option("--repair", is_flag=True, help="Render broken blocks again and mend what else is wrong.")
@click.option(
    "--geojson", type=click.Path(dir_okay=False, path_type=Path), help="Write problems and the worst seams as outlines."
)
@model_options
@report_options
def command(path: str, repair: bool, geojson: Path | None, model: ModelOptions, as_json: bool) -> None:
    """Check PATH, an output of any kind: all there, readable, as written, overviews true; and measure seams.

    Exits with 0 where nothing is wrong, else with 1. --repair needs the scenes and the model where they were; --model
    and the options after it matter to it alone.
    """
    from geo2map.api import repair as mend
    from geo2map.checking import check
    from geo2map.files.atomic import write_whole
    from geo2map.files.place import check_place, require_writable

    if geojson is not None:
        check_place(geojson, keep=[path], kept="the output that is checked")
        require_writable(geojson)
    with Bar() as bar:
        report = mend(path, engine=_asked(model), progress=bar) if repair else check(path)
    if geojson is not None:
        write_whole(geojson, report.geojson().encode())
    show(report, as_json)
    if not report.ok:
        sys.exit(1)


def _asked(model: ModelOptions) -> ModelOptions | None:
    """The model, if one was named: else the tiles say which it was."""
    source = click.get_current_context().get_parameter_source("model")
    return None if source is click.core.ParameterSource.DEFAULT else model
