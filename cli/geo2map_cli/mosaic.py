"""`geo2map mosaic`: XYZ tiles in, one GeoTIFF out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from geo2map_cli.gathering import GroupedCommand
from geo2map_cli.progress import open_progress, progress_option
from geo2map_cli.reporting import report_options, show
from geo2map_cli.storing import compress_option, out_option, overwrite_option, tmp_option

if TYPE_CHECKING:
    from geo2map.types import Compression


@click.command("mosaic", cls=GroupedCommand)
@report_options
@progress_option
@click.argument("tiles", type=click.Path(path_type=Path))
@out_option("GeoTIFF to write.", kind=click.Path(dir_okay=False, path_type=Path))
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

    with open_progress() as bar:
        made = mosaic_tiles(tiles, out, zoom=zoom, compress=compress, overwrite=overwrite, tmp=tmp, progress=bar)
    show(made, as_json)
