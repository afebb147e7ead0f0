"""A folder of tiles as one raster."""

from __future__ import annotations

from pathlib import Path

from geo2map.api.converting import Converted, convert
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
    """Writes the tiles of one zoom as a GeoTIFF with overviews, the same as `render` writes: `geo2map.api.convert`'s
    case of a raster.

    Args:
        tiles: a folder of tiles, ours or anyone's; formats may be mixed.
        out: a .tif or .tiff; missing folders are made.
        zoom: the folder's largest where None; the overviews follow from it.
        compress: see `geo2map.plan.Storage`.
        overwrite: replaces an existing file.
        tmp: a folder to make it in; None is beside it.
        progress: told about the stages.

    Returns:
        See `geo2map.api.converting.convert`.

    Raises:
        ZoomError: no tiles at the zoom asked for.
        TileSetError: no tiles, a broken tile, tiles of another size than 256 px, or too wide a scatter of tiles.
        OutputError: `out` exists, is no GeoTIFF's name, or cannot be written.
    """
    out = Path(out)
    if out.suffix.lower() not in GEOTIFF_SUFFIXES:
        raise OutputError(f"{out} does not end in .tif, as a GeoTIFF does: choose another name")
    chosen = XyzFolder(tiles).pick_zoom(zoom)
    zooms = (chosen, chosen)
    return convert(tiles, out, zooms=zooms, compress=compress, overwrite=overwrite, tmp=tmp, progress=progress)
