"""A folder of tiles as one raster."""

from __future__ import annotations

from pathlib import Path

from geo2map.errors import OutputError
from geo2map.files.atomic import output_errors
from geo2map.grid import one_tile_zoom
from geo2map.outputs.containers import CONTAINERS
from geo2map.outputs.geotiff import SUFFIXES, write_geotiff
from geo2map.outputs.opening import OutputOptions, check_final
from geo2map.outputs.publish import publish_file
from geo2map.outputs.workspace import Workspace
from geo2map.protocols import Progress
from geo2map.tiles.codec import TileCodec
from geo2map.tiles.folder import XyzFolder
from geo2map.tiles.pyramid import build_parents
from geo2map.tiles.store import FolderStore, LayeredStore
from geo2map.tiles.tilejson import TileSet


def mosaic_tiles(
    tiles: str | Path,
    out: str | Path,
    *,
    zoom: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> None:
    """Writes the tiles of one zoom as an RGBA GeoTIFF with overviews, the same as `render` writes.

    Args:
        tiles: XYZ folder, ours or anyone's; formats may be mixed.
        out: a .tif or .tiff; missing folders are made.
        zoom: the folder's largest where None; the overviews follow from it.
        overwrite: replaces an existing file.
        progress: told about the stages.

    Raises:
        ZoomError: no tiles at the zoom asked for.
        TileSetError: no tiles, a broken tile, tiles of another size than 256 px, or too wide a scatter of tiles.
        OutputError: `out` exists, is no GeoTIFF's name, or cannot be written.
    """
    out, options = Path(out), OutputOptions(overwrite=overwrite)
    if out.suffix.lower() not in SUFFIXES:
        raise OutputError(f"{out} does not end in .tif, as a GeoTIFF does: choose another name")
    check_final(out, CONTAINERS[".tif"], options)
    folder = XyzFolder(tiles)
    tileset = _describe(folder, folder.pick_zoom(zoom))
    workspace = Workspace(out.resolve())
    workspace.acquire()
    try:
        workspace.create()
        with output_errors(out):
            (workspace.folder / "result").mkdir()
        codec = TileCodec("png")
        store = LayeredStore(FolderStore(workspace.folder / "result", codec.suffix), folder, tileset.maxzoom)
        for _ in build_parents(store, codec, folder.tiles(tileset.maxzoom), tileset.minzoom, progress=progress):
            pass
        write_geotiff(store, tileset, workspace.result, progress)
        check_final(out, CONTAINERS[".tif"], options)
        publish_file(workspace.result, out)
    finally:
        workspace.discard()
        workspace.release()


def _describe(folder: XyzFolder, zoom: int) -> TileSet:
    """What the raster will say of itself: what the folder says, if that is about this zoom."""
    known = TileSet.load(folder.path)
    if known is not None and known.maxzoom == zoom:
        return known
    window = folder.window(zoom)
    name = known.name if known else folder.path.resolve().name
    return TileSet(name, "png", one_tile_zoom(window, zoom), zoom, window)
