"""Helpers that containers share."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol, get_args

from geo2map.errors import Geo2MapError, TileSetError
from geo2map.files.atomic import output_errors
from geo2map.files.plain_text import plain_text
from geo2map.grid import PixelWindow
from geo2map.protocols import Progress, StoredTiles
from geo2map.tiles.place import HasExtent, footprint
from geo2map.tiles.sniff import format_of, parse_format
from geo2map.tiles.statement import parse_statement
from geo2map.tiles.tilejson import DESCRIPTION, TileSet, foreign_layers, foreign_words
from geo2map.types import Tile, TileFormat

FORMAT_NAMES: dict[TileFormat, str] = {"png": "png", "webp": "webp", "jpeg": "jpg", "avif": "avif", "mvt": "pbf"}
"""Format names in MBTiles and PMTiles."""
MOST_REMEMBERED = 2**20
_TRIED = 16
"""Number of tiles to try for one that is not empty."""


class DuplicateIndex:
    """Finds tiles with identical bytes, so that open sea is stored once.

    Remembers at most `MOST_REMEMBERED` different tiles (about 120 bytes each); duplicates of later ones are stored
    again. Depends only on the tiles and their order.
    """

    def __init__(self) -> None:
        self._places: dict[bytes, int] = {}

    def find(self, data: bytes, place: int) -> int | None:
        """Position of identical bytes; None if they are new, which are then remembered at `place`."""
        digest = blake2b(data, digest_size=16).digest()
        known = self._places.get(digest)
        if known is None and len(self._places) < MOST_REMEMBERED:
            self._places[digest] = place
        return known


class TileCounter:
    """Reports tiles of some zooms to a progress callback; without one, does not list them."""

    def __init__(self, store: StoredTiles, zooms: tuple[int, ...], stage: str, progress: Progress | None) -> None:
        self._done, self._stage, self._progress = 0, stage, progress
        self._total = sum(1 for zoom in zooms for _ in store.tiles(zoom)) if progress else 0

    def advance(self) -> None:
        """Count one stored tile."""
        self._done += 1
        if self._progress:
            self._progress(self._stage, self._done, self._total)


def require_zooms(store: StoredTiles, tileset: TileSet) -> tuple[int, ...]:
    """The zooms to store, ascending: those of the store within the range of the tile set.

    Raises:
        TileSetError: there are none.
    """
    zooms = tuple(zoom for zoom in store.zooms if tileset.minzoom <= zoom <= tileset.maxzoom)
    if not zooms:
        raise TileSetError(
            f"tile set {tileset.name!r}: no tiles at zooms {tileset.minzoom} to {tileset.maxzoom}; "
            "check the scene and the area of interest"
        )
    return zooms


def require_tile(store: StoredTiles, tile: Tile) -> bytes:
    """The bytes of a listed tile.

    Raises:
        TileSetError: it is missing or empty.
    """
    data = store.get(tile)
    if not data:
        raise TileSetError(f"tile {tile.z}/{tile.x}/{tile.y}: missing or empty; create it again")
    return data


def sync_file(path: Path) -> None:
    """Flush a finished file to disk.

    Raises:
        OutputError: it cannot be written.
    """
    with output_errors(path), path.open("rb+") as file:
        os.fsync(file.fileno())


class DescribedTiles(StoredTiles, HasExtent, Protocol):
    """Stored tiles with known extents."""


class ArchivedTiles(DescribedTiles, Protocol):
    """The tiles of a single-file container."""

    def first_tiles(self, zoom: int, count: int) -> Iterable[Tile]:
        """Up to `count` tiles of a zoom, without reading the others."""


def restore_tileset(path: Path, facts: Mapping[str, Any], store: ArchivedTiles) -> TileSet:
    """The `TileSet` of a container. In files of other programs, the tiles decide: zooms and format are theirs, and so
    is the window unless they confirm the bounds.

    Args:
        path: the container, for messages and as a default name.
        facts: "name", "format", "minzoom", "maxzoom", "bounds" (degrees: west, south, east, north), "geo2map" and
            `geo2map.tiles.statement.WORDS`, all optional.

    Raises:
        TileSetError: the metadata are invalid, or the tiles are not in a supported image format.
    """
    if not (zooms := store.zooms):
        raise TileSetError(f"{path}: no tiles; create it again")
    format = find_format(path, str(facts.get("format") or ""), store)
    try:
        extra = dict(facts.get("geo2map") or {})
        asked = extra.pop("window", None)
        minzoom, maxzoom = zooms[0], zooms[-1]
        if asked:
            minzoom, maxzoom = (int(facts.get(key) or own) for key, own in (("minzoom", minzoom), ("maxzoom", maxzoom)))
            window = PixelWindow(*map(int, asked))
        else:
            window = footprint(store, parse_statement(path.name, facts).boxes)
        name, words = plain_text(str(facts.get("name") or path.stem)), foreign_words(facts, extra)
        listed = foreign_layers(facts, extra)
        return TileSet(name, format, minzoom, maxzoom, window, extra, words=words, others_layers=listed)
    except (TypeError, ValueError, IndexError, Geo2MapError) as error:
        raise TileSetError(f"{path}: invalid metadata ({error}); create it again") from error


def find_format(path: Path, stated: str, store: ArchivedTiles) -> TileFormat:
    """The tile format of a container, by the first tile's bytes, or as stated if that tile is damaged.

    Raises:
        TileSetError: an unsupported format.
    """
    data = _first_tile(store)
    if (format := format_of(data) or parse_format(stated)) is None:
        known = ", ".join(get_args(TileFormat))
        raise TileSetError(f"{path}: {stated or 'unknown'} tiles are not supported; give {known}")
    return format


def require_pictures(path: Path, format: TileFormat) -> None:
    """Refuse vector tiles where pixels are needed.

    Raises:
        TileSetError: they are vector tiles.
    """
    if format == "mvt":
        raise TileSetError(
            f"{path}: pbf tiles are vector tiles, which have no pixels; give raster tiles, or the GeoPackage of the map"
        )


def _first_tile(store: ArchivedTiles) -> bytes:
    """The first non-empty tile of the largest zoom; empty if it is damaged."""
    try:
        return next((data for tile in store.first_tiles(store.zooms[-1], _TRIED) if (data := store.get(tile))), b"")
    except TileSetError:
        return b""


def agrees(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether an archive's metadata are as expected; earlier versions described imagery as a map, too."""
    if found.get("description") == DESCRIPTION:
        found = {**found, "description": wanted.get("description")}
    return found == wanted


def parse_json(text: str) -> Any:
    """The value of a JSON text; None if it is invalid."""
    try:
        return json.loads(text)
    except ValueError:
        return None
