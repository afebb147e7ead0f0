"""`geo2map mosaic`: XYZ tiles in, one GeoTIFF out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from geo2map_cli.options import compress_option, overwrite_option, tmp_option
from geo2map_cli.reporting import Bar, report_options, show

if TYPE_CHECKING:
    from geo2map.types import Compression


@click.command("mosaic")
@report_options
@click.argument("tiles", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="GeoTIFF to write.")
@click.option("--zoom", type=click.IntRange(0, 24), help="Zoom to join. [default: the largest]")
@compress_option
@tmp_option
@overwrite_option
def command(
    tiles: Path,
    out: Path,
    zoom: int | None,
    compress: Compression | None,
    tmp: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Join a folder of XYZ TILES into one tiled, compressed GeoTIFF with overviews and alpha."""
    from geo2map.api import mosaic_tiles

    with Bar() as bar:
        made = mosaic_tiles(tiles, out, zoom=zoom, compress=compress, overwrite=overwrite, tmp=tmp, progress=bar)
    show(made, as_json)
