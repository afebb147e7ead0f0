"""Stores for encoded tiles (`geo2map.protocols.TileStore`): a folder of files, or memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Lock

from geo2map.files.atomic import output_errors
from geo2map.files.flushing import flush_files
from geo2map.tiles.folder import XyzFolder
from geo2map.tiles.place import row_number
from geo2map.types import Scheme, Tile


class FolderStore(XyzFolder):
    """A folder of `{z}/{x}/{y}` files of one suffix, for tiles under construction.

    Tiles are written directly under their names: the folder is not read before it is complete, and a resumed run
    rewrites truncated tiles, since their block is not in the journal.
    """

    def __init__(self, path: str | Path, suffix: str, scheme: Scheme = "xyz") -> None:
        """
        Args:
            path: an existing folder.
            suffix: file name suffix of the tiles, e.g. ".png".
            scheme: row order of the files.
        """
        super().__init__(path, scheme)
        self.suffix, self.suffixes = suffix, (suffix,)
        self._known: set[Path] = set()
        self._dirty: list[Path] = []
        self._lock = Lock()

    def put(self, tile: Tile, data: bytes) -> None:
        column = self.path / str(tile.z) / str(tile.x)
        path = column / f"{row_number(tile.z, tile.y, self.scheme)}{self.suffix}"
        with output_errors(path):
            if column not in self._known:
                column.parent.mkdir(exist_ok=True)  # but never recreate the folder itself: deleting it ends the run
                column.mkdir(exist_ok=True)
                self._known.add(column)
            path.write_bytes(data)
        with self._lock:
            self._dirty.append(path)

    def sync(self) -> None:
        """Flush the files put since the last call, then their folders."""
        with self._lock:
            dirty, self._dirty = self._dirty, []
        flush_files(dirty)


class MemoryStore:
    """Tiles in memory."""

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
        """Nothing to flush."""
