"""`geo2map demo`: a town drawn from a seed, rendered, and where to look."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from geo2map_cli.options import model_options, overwrite_option
from geo2map_cli.reporting import Bar, json_text, report_options

if TYPE_CHECKING:
    from geo2map.model import ModelOptions


@click.command("demo")
@report_options
@click.option(
    "--out",
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
    """Draw a synthetic town as a GeoTIFF near 1 m, render it as tiles and as a GeoTIFF, and print what to open.

    A model that translates maps into imagery, such as map2sat, renders the town's true map.
    """
    from geo2map.api import mosaic_tiles, open_engine, preview, render
    from geo2map.demo import make_town
    from geo2map.files.atomic import output_errors
    from geo2map.files.picture import require_new_picture, side_by_side, write_picture
    from geo2map.files.place import require_name

    require_name(out)
    home = Path(out)
    scene, truth, tiles, raster = home / "town.tif", home / "town-truth.tif", home / "tiles", home / "map.tif"
    picture = home / "before-after.png"
    require_new_picture(picture, overwrite)
    with output_errors(home):
        home.mkdir(parents=True, exist_ok=True)
    click.echo(f"drawing a town of {size} x {size} px ...", err=True)
    make_town(scene, truth, size=size, seed=seed)
    with open_engine(model) as engine, Bar() as bar:
        taken = truth if engine.card.direction == "b2a" else scene
        report = render(taken, tiles, engine=engine, overwrite=overwrite, progress=bar, begin=bar.begin)
        mosaic_tiles(tiles, raster, overwrite=overwrite, progress=bar)
        source, drawn, _ = preview(taken, engine=engine)
    write_picture(side_by_side(source, drawn), picture)
    files = {"scene": scene, "tiles": tiles, "map": raster, "picture": picture, "truth": truth}
    if as_json:
        click.echo(json_text(report.to_dict() | {"files": {name: path.as_posix() for name, path in files.items()}}))
        return
    click.echo(report)
    click.echo(f"open {picture}, or drag {taken} and {raster} into QGIS; XYZ tiles are in {tiles}")
