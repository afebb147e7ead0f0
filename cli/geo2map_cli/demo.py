"""`geo2map demo`: a town drawn from a seed, rendered, and where to look."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from geo2map_cli.gathering import GroupedCommand
from geo2map_cli.options import model_options
from geo2map_cli.progress import open_progress, progress_option
from geo2map_cli.reporting import json_text, report_options
from geo2map_cli.storing import overwrite_option

if TYPE_CHECKING:
    from geo2map.model import ModelOptions


@click.command("demo", cls=GroupedCommand)
@report_options
@progress_option
@click.option(
    "--out",
    "-o",
    default="geo2map-demo",
    show_default=True,
    type=click.Path(file_okay=False),
    help="Folder for all files.",
)
@click.option("--size", type=click.IntRange(512, 16384), default=4096, show_default=True, help="Side of the scene, px.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the random town.")
@model_options
@overwrite_option
def command(out: str, size: int, seed: int, model: ModelOptions, overwrite: bool, as_json: bool) -> None:
    """Draw a synthetic town as a GeoTIFF near 1 m, render it as tiles, a GeoTIFF and features, and print what to open.

    A model that translates maps into imagery, such as map2sat, renders the town's true map.
    """
    from geo2map.api import open_engine
    from geo2map.api.demonstrating import make_demo

    click.echo(f"drawing a town of {size} x {size} px ...", err=True)
    with open_engine(model) as engine, open_progress() as bar:
        made = make_demo(out, engine=engine, size=size, seed=seed, overwrite=overwrite, progress=bar, begin=bar.begin)
    files = made.files
    if as_json:
        named = {name: path.as_posix() for name, path in files.items()}
        click.echo(json_text(made.report.to_dict() | {"files": named}))
        return
    click.echo(made.report)
    layers = [str(path) for path in (made.rendered, files["map"], files.get("features")) if path is not None]
    click.echo(
        f"open {files['picture']}, or drag {', '.join(layers[:-1])} and {layers[-1]} into QGIS; "
        f"XYZ tiles are in {files['tiles']}"
    )
