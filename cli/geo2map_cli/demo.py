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
@click.option(
    "--out",
    default="geo2map-demo",
    show_default=True,
    type=click.Path(file_okay=False),
    help="A folder for everything.",
)
@click.option("--size", type=click.IntRange(512, 16384), default=4096, show_default=True, help="Side of the scene, px.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed draws another town.")
@model_options
@overwrite_option
@report_options
def command(out: str, size: int, seed: int, model: ModelOptions, overwrite: bool, as_json: bool) -> None:
    """Draw a town as a GeoTIFF near 1 m, render it as tiles and as a GeoTIFF, and print what to open.

    A model that translates maps into imagery, such as map2sat, renders the town's true map.
    """
    from geo2map.api import as_engine, mosaic_tiles, preview, render
    from geo2map.demo import make_town
    from geo2map.files.atomic import output_errors
    from geo2map.files.picture import require_new_picture, side_by_side, write_picture
    from geo2map.files.place import require_name

    require_name(out)
    home = Path(out)
    scene, truth, tiles, raster = home / "town.tif", home / "town-truth.tif", home / "tiles", home / "map.tif"
    picture = home / "before-after.png"
    require_new_picture(picture, overwrite)
    engine = as_engine(model)
    with output_errors(home):
        home.mkdir(parents=True, exist_ok=True)
    click.echo(f"drawing a town of {size} x {size} px ...", err=True)
    make_town(scene, truth, size=size, seed=seed)
    taken = truth if engine.card.direction == "b2a" else scene
    with Bar() as bar:
        report = render(taken, tiles, engine=engine, overwrite=overwrite, progress=bar, begin=bar.begin)
        mosaic_tiles(tiles, raster, overwrite=overwrite, progress=bar)
    source, drawn, _ = preview(taken, engine=engine)
    write_picture(side_by_side(source, drawn), picture)
    files = {"scene": scene, "tiles": tiles, "map": raster, "picture": picture, "truth": truth}
    if as_json:
        click.echo(json_text(report.to_dict() | {"files": {name: path.as_posix() for name, path in files.items()}}))
        return
    click.echo(report)
    click.echo(f"look at {picture}, or drag {taken} and {raster} into QGIS; XYZ tiles are in {tiles}")
