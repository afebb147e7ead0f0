"""Where encoded tiles are kept (`geo2map.protocols.TileStore`): a folder of files, or memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Lock

from geo2map.files.atomic import output_errors
from geo2map.files.flushing import flush_files
from geo2map.protocols import StoredTiles
from geo2map.tiles.folder import XyzFolder
from geo2map.types import Scheme, Tile


class FolderStore(XyzFolder):
    """A folder of `{z}/{x}/{y}` files of one suffix, for tiles in the making.

    Tiles are written straight under their names: nobody looks at the folder before it is complete, and whoever
    takes a run up again writes a torn tile once more, since its block is not in the journal.
    """

    def __init__(self, path: str | Path, suffix: str, scheme: Scheme = "xyz") -> None:
        """
        Args:
            path: an existing folder.
            suffix: of the tiles' names, e.g. ".png".
            scheme: how the files count rows.
        """
        super().__init__(path, scheme)
        self.suffix, self.suffixes = suffix, (suffix,)
        self._known: set[Path] = set()
        self._dirty: list[Path] = []
        self._lock = Lock()

    def put(self, tile: Tile, data: bytes) -> None:
        column = self.path / str(tile.z) / str(tile.x)
        path = column / f"{self._row(tile.z, tile.y)}{self.suffix}"
        with output_errors(path):
            if column not in self._known:
                column.parent.mkdir(exist_ok=True)  # the folder itself must be there: whoever removed it ends the run
                column.mkdir(exist_ok=True)
                self._known.add(column)
            path.write_bytes(data)
        with self._lock:
            self._dirty.append(path)

    def sync(self) -> None:
        """Flushes the files put since the last call, then the folders that name them."""
        with self._lock:
            dirty, self._dirty = self._dirty, []
        flush_files(dirty)


class MemoryStore:
    """Tiles in a dict, by tile."""

    def __init__(self) -> None:
        self.data: dict[Tile, bytes] = {}

    @property
    def zooms(self) -> tuple[int, ...]:
        return tuple(sorted({tile.z for tile in self.data}))

    def put(self, tile: Tile, data: bytes) -> None:
        self.data[Tile(*tile)] = data

    def get(self, tile: Tile) -> bytes | None:
        return self.data.get(Tile(*tile))

    def tiles(self, zoom: int) -> Iterator[Tile]:
        return iter(sorted(tile for tile in self.data if tile.z == zoom))

    def sync(self) -> None:
        """Memory does not survive anything."""


class LayeredStore:
    """Tiles of one zoom that are there, and overviews of them in the making."""

    def __init__(self, made: FolderStore, base: StoredTiles, zoom: int) -> None:
        """
        Args:
            made: takes the overviews.
            base: has the tiles of `zoom`; what it has at other zooms plays no part.
        """
        self._made, self._base, self._zoom = made, base, zoom

    @property
    def zooms(self) -> tuple[int, ...]:
        return (*self._made.zooms, self._zoom)

    def put(self, tile: Tile, data: bytes) -> None:
        self._made.put(tile, data)

    def get(self, tile: Tile) -> bytes | None:
        return (self._base if tile.z == self._zoom else self._made).get(tile)

    def tiles(self, zoom: int) -> Iterator[Tile]:
        return (self._base if zoom == self._zoom else self._made).tiles(zoom)

    def sync(self) -> None:
        self._made.sync()
