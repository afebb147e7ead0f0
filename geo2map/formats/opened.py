"""Opening a finished tile set for reading, in any container."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from geo2map.errors import TileSetError
from geo2map.files.plain_text import plain_text
from geo2map.formats.containers import CONTAINERS
from geo2map.protocols import StoredTiles
from geo2map.tiles.folder import XyzFolder
from geo2map.tiles.layer import LAYERS, MAP, layer_path
from geo2map.tiles.place import footprint
from geo2map.tiles.tilejson import FILE_NAME, TileSet, foreign_words


@contextmanager
def open_tiles(path: str | Path) -> Iterator[tuple[StoredTiles, TileSet]]:
    """Open a finished tile set; yields its tiles and its description.

    Raises:
        TileSetError: it does not exist, or holds no tiles.
    """
    path = Path(path)
    if path.is_dir():
        folder = XyzFolder(path)
        zooms = folder.require_zooms()
        yield folder, TileSet.load(path) or _describe(folder, zooms)
        return
    if not path.is_file():
        raise TileSetError(f"{path}: not found; check the path")
    readers = {suffix: container.read for suffix, container in CONTAINERS.items() if container.read is not None}
    if (reader := readers.get(path.suffix.lower())) is None:
        known = ", ".join(readers)
        raise TileSetError(f"{path}: not a tile set; give a folder of tiles or a file that ends in one of {known}")
    with reader(path) as store:
        yield store, store.tileset


def find_layers(path: str | Path, tileset: TileSet) -> dict[str, Path]:
    """Paths of the layers of a finished tile set, the map first; deleted layers are omitted.

    Earlier versions did not list the layer in the folder `source`, which has its own TileJSON.
    """
    path = Path(path)
    unlisted = (name for name in LAYERS if path.is_dir() and tileset.extra and (path / name / FILE_NAME).is_file())
    names = dict.fromkeys([*tileset.layers, *unlisted])
    places = {name: layer_path(path, name, is_folder=path.is_dir()) for name in names}
    return {MAP: path} | {name: place for name, place in places.items() if place.exists()}


def _describe(folder: XyzFolder, zooms: tuple[int, ...]) -> TileSet:
    """Describe another program's folder by its documents, as far as the tiles confirm them."""
    stated = folder.statements
    name = next((statement.name for statement in stated if statement.name), plain_text(folder.path.resolve().name))
    window = footprint(folder, [box for statement in stated for box in statement.boxes])
    words = {key: text for statement in reversed(stated) for key, text in statement.words.items()}
    words = foreign_words(words, {})
    listed = next((statement.vector_layers for statement in stated if statement.vector_layers), ())
    return TileSet(
        name, folder.format, zooms[0], zooms[-1], window, scheme=folder.scheme, words=words, others_layers=listed
    )
