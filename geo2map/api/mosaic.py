"""A folder of tiles as one raster."""

from __future__ import annotations

from pathlib import Path

from geo2map.api.converted import Converted
from geo2map.api.converting import convert
from geo2map.errors import OutputError
from geo2map.formats.geotiff.write import GEOTIFF_SUFFIXES
from geo2map.protocols import Progress
from geo2map.tiles.folder import XyzFolder
from geo2map.types import Compression


def mosaic_tiles(
    tiles: str | Path,
    out: str | Path,
    *,
    zoom: int | None = None,
    compress: Compression | None = None,
    overwrite: bool = False,
    tmp: str | Path | None = None,
    progress: Progress | None = None,
) -> Converted:
    """Writes the tiles of one zoom as a GeoTIFF with overviews, as `render` would: `geo2map.convert` to a raster.

    Args:
        tiles: a folder of tiles by any program; formats may be mixed.
        out: a .tif or .tiff; missing folders are created.
        zoom: None takes the folder's largest; the overviews are derived from it.
        compress: see `geo2map.plan.Storage`.
        overwrite: replaces an existing file.
        tmp: working folder; None is beside the output.
        progress: called with the stages.

    Returns:
        See `geo2map.api.converting.convert`.

    Raises:
        ZoomError: no tiles at this zoom.
        TileSetError: no tiles, a damaged tile, tiles of another size than 256 px, or too widely scattered tiles.
        OutputError: `out` exists, is not the name of a GeoTIFF, or cannot be written.
    """
    out = Path(out)
    if out.suffix.lower() not in GEOTIFF_SUFFIXES:
        raise OutputError(f"{out}: a GeoTIFF ends in .tif; choose another name")
    chosen = XyzFolder(tiles).pick_zoom(zoom)
    zooms = (chosen, chosen)
    return convert(tiles, out, zooms=zooms, compress=compress, overwrite=overwrite, tmp=tmp, progress=progress)
