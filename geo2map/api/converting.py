"""A finished set of tiles as another kind of output, its bytes kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from geo2map.errors import TileSetError
from geo2map.files.atomic import output_errors
from geo2map.grid import one_tile_zoom
from geo2map.outputs.containers import find_container
from geo2map.outputs.mbtiles import MbtilesStore
from geo2map.outputs.opening import OutputOptions, check_final
from geo2map.outputs.pmtiles_store import PmtilesStore
from geo2map.outputs.publish import publish_file, publish_folder
from geo2map.outputs.stored import StoredTiles, require_tile, require_zooms
from geo2map.outputs.workspace import Workspace
from geo2map.protocols import Progress
from geo2map.tiles.codec import SUFFIXES
from geo2map.tiles.folder import XyzFolder
from geo2map.tiles.store import FolderStore
from geo2map.tiles.tilejson import TileSet


def convert(source: str | Path, out: str | Path, *, overwrite: bool = False, progress: Progress | None = None) -> None:
    """Writes a set of tiles as another kind of output; no tile is encoded anew where the kinds allow it.

    Args:
        source: a folder of XYZ tiles, an .mbtiles or a .pmtiles file.
        out: any kind of output, see `geo2map.outputs.CONTAINERS`.
        overwrite: replaces an existing output.
        progress: told about the stages.

    Raises:
        TileSetError: no such set, or a tile is damaged.
        OutputError: `out` exists, is no kind of output, or cannot be written.
    """
    container, options = find_container(out), OutputOptions(overwrite=overwrite)
    check_final(Path(out), container, options)
    with open_tiles(source) as (store, tileset):
        workspace = Workspace(Path(out).resolve())
        workspace.acquire()
        try:
            workspace.create()
            made = store if not container.is_folder else _copy(store, tileset, workspace.result)
            container.write(made, tileset, workspace.result, progress)  # type: ignore[arg-type]
            check_final(Path(out), container, options)
            publish = publish_folder if container.is_folder else publish_file
            publish(workspace.result, workspace.final, overwrite=overwrite)
        finally:
            workspace.discard()
            workspace.release()


@contextmanager
def open_tiles(path: str | Path) -> Iterator[tuple[StoredTiles, TileSet]]:
    """A finished set of tiles, and what it says of itself.

    Raises:
        TileSetError: there is none, or it is of a kind that holds no tiles.
    """
    path = Path(path)
    if path.is_dir():
        folder = XyzFolder(path)
        zooms = folder.require_zooms()
        yield folder, TileSet.load(path) or _describe(folder, zooms)
        return
    readers: dict[str, type[MbtilesStore] | type[PmtilesStore]] = {".mbtiles": MbtilesStore, ".pmtiles": PmtilesStore}
    if not path.is_file():
        raise TileSetError(f"{path} is not there: check the path")
    if (reader := readers.get(path.suffix.lower())) is None:
        raise TileSetError(f"{path} holds no tiles: give a folder of tiles, an .mbtiles or a .pmtiles file")
    with reader(path) as store:
        yield store, store.tileset


def _describe(folder: XyzFolder, zooms: tuple[int, ...]) -> TileSet:
    """What can be said of a folder of somebody else's."""
    window = folder.window(zooms[-1])
    lowest = max(zooms[0], min(zooms[-1], one_tile_zoom(window, zooms[-1]))) if len(zooms) == 1 else zooms[0]
    return TileSet(folder.path.resolve().name, folder.format, lowest, zooms[-1], window)


def _copy(store: StoredTiles, tileset: TileSet, folder: Path) -> FolderStore:
    with output_errors(folder):
        folder.mkdir()
    made = FolderStore(folder, SUFFIXES[tileset.format])
    for zoom in require_zooms(store, tileset):
        for tile in store.tiles(zoom):
            made.put(tile, require_tile(store, tile))
        made.sync()
    return made
