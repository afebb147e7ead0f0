"""Reading any PMTiles archive."""

from __future__ import annotations

import gzip
import json
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from pmtiles.tile import (
    Compression,
    Entry,
    MagicNumberNotFound,
    SpecVersionUnsupported,
    TileType,
    deserialize_directory,
    deserialize_header,
    zxy_to_tileid,
)

from geo2map.errors import TileSetError
from geo2map.files.closing import Closing
from geo2map.formats.pmtiles.hilbert import Squares, first_id, squares_of, tile_places
from geo2map.formats.pmtiles.write import TILE_TYPES, header_facts, metadata_of
from geo2map.formats.stored import agrees, restore_tileset
from geo2map.grid import PixelWindow
from geo2map.tiles.sniff import unpack
from geo2map.tiles.statement import parse_statement
from geo2map.tiles.tilejson import TileSet
from geo2map.types import Tile

_HEADER = 127
_DEEPEST = 4  # levels of directories, as in the reference reader
_MOST_TILES = 2**26
"""Limit of tiles of a zoom if the header does not count them."""
_SECTIONS = ("root", "metadata", "leaf_directory", "tile_data")
_BROKEN = (OSError, EOFError, ValueError, IndexError, KeyError, zlib.error, OverflowError)


class PmtilesStore(Closing):
    """Reads the tiles of a PMTiles archive (a reader of `geo2map.protocols.TileStore`). Thread-safe.

    A context manager that closes the file. Caches 64 directories.

    Attributes:
        path: the file.
        zooms: zooms with at least one tile, ascending.
        tileset: its description; in files of other programs, as far as the tiles confirm it.
        statement: its header and metadata.
    """

    def __init__(self, path: str | Path) -> None:
        """
        Raises:
            TileSetError: the file does not exist, is not PMTiles 3, truncated or damaged, or its tiles are not images.
        """
        self.path = Path(path)
        if not self.path.is_file():
            raise TileSetError(f"{self.path}: not found; check the path")
        self._lock = Lock()
        with self._errors():
            self._file = self.path.open("rb")
        try:
            self._header = self._read_header()
            self._directory = lru_cache(maxsize=64)(self._read_directory)
            first, last = self._zoom_range()
            self.zooms = tuple(zoom for zoom in range(first, last + 1) if any(self._runs(zoom)))
            self.tileset = self._read_tileset()
        except BaseException:
            self._file.close()
            raise

    def get(self, tile: Tile) -> bytes | None:
        """The tile's bytes, None if it does not exist.

        Raises:
            TileSetError: the file is damaged.
        """
        header = self._header
        with self._errors():
            tile_id = zxy_to_tileid(tile.z, tile.x, tile.y)
            offset, length = header["root_offset"], header["root_length"]
            for _ in range(_DEEPEST):
                entries, ids = self._directory(offset, length)
                if (at := bisect_right(ids, tile_id) - 1) < 0:
                    return None
                entry = entries[at]
                if entry.run_length:
                    if tile_id >= entry.tile_id + entry.run_length:
                        return None
                    return self._unpack(tile, self._read(header["tile_data_offset"] + entry.offset, entry.length))
                offset, length = header["leaf_directory_offset"] + entry.offset, entry.length
        raise TileSetError(f"{self.path}: damaged (directories nested too deep); create it again")

    def first_tiles(self, zoom: int, count: int) -> list[Tile]:
        """Up to `count` tiles of a zoom in the archive's order, without reading the others.

        Raises:
            TileSetError: the file is damaged.
        """
        ids = islice((tile_id for first, last in self._runs(zoom) for tile_id in range(first, last)), count)
        columns, rows = tile_places(zoom, np.fromiter(ids, dtype=np.int64))
        return [Tile(column, row, zoom) for column, row in zip(columns.tolist(), rows.tolist(), strict=True)]

    def tiles(self, zoom: int) -> Iterator[Tile]:
        """The tiles of a zoom by column, then row; memory depends on the directories, not on the tiles.

        Raises:
            TileSetError: the file is damaged.
        """
        for column, row in self._squares(zoom).by_column():
            yield Tile(column, row, zoom)

    def extent(self, zoom: int) -> PixelWindow:
        """Columns and rows of the tiles of a non-empty zoom; right and bottom exclusive.

        Raises:
            TileSetError: the file is damaged.
        """
        return self._squares(zoom).extent()

    def _squares(self, zoom: int) -> Squares:
        return squares_of(zoom, self._counted(self._runs(zoom)))

    def _counted(self, runs: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        """The runs, up to the number of tiles that the header counts."""
        left = self._header["addressed_tiles_count"] or _MOST_TILES
        for first, last in runs:
            if (left := left - (last - first)) < 0:
                raise TileSetError(f"{self.path}: damaged (more tiles than its header counts); create it again")
            yield first, last

    def _unpack(self, tile: Tile, data: bytes) -> bytes:
        try:
            return unpack(data)
        except TileSetError as error:
            raise TileSetError(f"{self.path}, tile {tile.z}/{tile.x}/{tile.y}: {error}") from error

    def _zoom_range(self) -> tuple[int, int]:
        """Lowest and largest zoom with tiles, regardless of the header."""
        header = self._header
        with self._errors():
            if not self._directory(header["root_offset"], header["root_length"])[0]:
                return 0, -1
            ends = [self._end(at) for at in (0, -1)]
        first, last = (next(zoom for zoom in range(33) if tile_id < first_id(zoom + 1)) for tile_id in ends)
        return first, last

    def _end(self, at: int) -> int:
        """The first or last tile id."""
        header = self._header
        offset, length = header["root_offset"], header["root_length"]
        for _ in range(_DEEPEST):
            entry = self._directory(offset, length)[0][at]
            if entry.run_length:
                return entry.tile_id + (entry.run_length - 1 if at else 0)
            offset, length = header["leaf_directory_offset"] + entry.offset, entry.length
        raise ValueError("directories nested too deep")

    def agrees(self, tileset: TileSet) -> bool:
        """Whether header and metadata are those that `write_pmtiles` writes for a tile set."""
        wanted = header_facts(tileset)
        said = {key: self._header[key] for key in wanted}
        return said == wanted and agrees(self._read_metadata(), json.loads(json.dumps(metadata_of(tileset))))

    def close(self) -> None:
        """Close the file; may be repeated."""
        self._file.close()

    def _runs(self, zoom: int) -> Iterator[tuple[int, int]]:
        """(first id, last id + 1) of each run of tiles of a zoom."""
        header, (low, high) = self._header, (first_id(zoom), first_id(zoom + 1))
        with self._errors():
            yield from self._runs_below(header["root_offset"], header["root_length"], (low, high), _DEEPEST)

    def _runs_below(self, offset: int, length: int, reach: tuple[int, int], depth: int) -> Iterator[tuple[int, int]]:
        if not depth:
            raise ValueError("directories nested too deep")
        entries, ids = self._directory(offset, length)
        leaves = self._header["leaf_directory_offset"]
        for index in range(max(0, bisect_right(ids, reach[0]) - 1), len(entries)):
            entry = entries[index]
            if entry.tile_id >= reach[1]:
                return
            if not entry.run_length:
                yield from self._runs_below(leaves + entry.offset, entry.length, reach, depth - 1)
                continue
            first, last = max(entry.tile_id, reach[0]), min(entry.tile_id + entry.run_length, reach[1])
            if first < last:
                yield first, last

    def _read_header(self) -> dict[str, Any]:
        with self._errors():
            try:
                header: dict[str, Any] = {**deserialize_header(self._read(0, _HEADER))}
            except (MagicNumberNotFound, SpecVersionUnsupported, UnicodeDecodeError) as error:
                raise TileSetError(
                    f"{self.path}: not a PMTiles archive of version 3; check the path or create it again"
                ) from error
            expected = max(header[f"{name}_offset"] + header[f"{name}_length"] for name in _SECTIONS)
        if (size := self.path.stat().st_size) < expected:
            raise TileSetError(f"{self.path}: truncated ({size} of {expected} bytes); copy or create it again")
        for part in ("internal_compression", "tile_compression"):
            if (how := header[part]) not in (Compression.NONE, Compression.UNKNOWN, Compression.GZIP):
                raise TileSetError(
                    f"{self.path}: compressed with {how.name.lower()}, which geo2map does not support; create it again "
                    "with gzip or without"
                )
        return header

    def _read_tileset(self) -> TileSet:
        header, metadata = self._header, self._read_metadata()
        kind = header["tile_type"]
        named = {kind: name for name, kind in TILE_TYPES.items()}.get(kind, kind.name.lower())
        if kind is TileType.UNKNOWN:
            named = str(metadata.get("format") or "")
        edges = [header[f"{edge}_e7"] / 1e7 for edge in ("min_lon", "min_lat", "max_lon", "max_lat")]
        stated = {"format": named, "minzoom": header["min_zoom"], "maxzoom": header["max_zoom"]}
        if any(edges):
            stated["bounds"] = edges
        self.statement = parse_statement("header", metadata | stated)
        own = {key: metadata[key] for key in ("minzoom", "maxzoom") if key in metadata}
        return restore_tileset(self.path, metadata | stated | own, self)

    def _read_metadata(self) -> dict[str, Any]:
        with self._errors():
            packed = self._read(self._header["metadata_offset"], self._header["metadata_length"])
            found = json.loads(self._plain(packed) or "{}")
        return found if isinstance(found, dict) else {}  # only objects are valid

    def _read_directory(self, offset: int, length: int) -> tuple[list[Entry], list[int]]:
        data = self._read(offset, length)
        entries = deserialize_directory(data if self._is_packed(data) else gzip.compress(data, 0))  # takes gzip only
        return entries, [entry.tile_id for entry in entries]

    def _plain(self, data: bytes) -> bytes:
        """Uncompressed metadata."""
        return gzip.decompress(data) if self._is_packed(data) else data

    def _is_packed(self, data: bytes) -> bool:
        """Whether a directory or the metadata are gzipped."""
        how = self._header["internal_compression"]
        return how is Compression.GZIP or (how is Compression.UNKNOWN and data.startswith(b"\x1f\x8b"))

    def _read(self, offset: int, length: int) -> bytes:
        with self._lock:
            self._file.seek(offset)
            data = self._file.read(length)
        if len(data) < length:
            raise EOFError("unexpected end of file")
        return data

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except TileSetError:
            raise
        except _BROKEN as error:
            raise TileSetError(f"{self.path}: damaged ({type(error).__name__}: {error}); create it again") from error
