"""What a container needs to know of the tiles it is made from, and the small tools that containers share."""

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
from geo2map.tiles.place import Reaching, footprint
from geo2map.tiles.sniff import format_of, is_vector, is_vector_format, parse_format
from geo2map.tiles.statement import state
from geo2map.tiles.tilejson import DESCRIPTION, TileSet, foreign_words
from geo2map.types import Tile, TileFormat

FORMAT_NAMES: dict[TileFormat, str] = {"png": "png", "webp": "webp", "jpeg": "jpg", "avif": "avif"}
"""How MBTiles and PMTiles spell the formats."""
MOST_REMEMBERED = 2**20
_TRIED = 16
"""Tiles that may be empty before the first one that tells the format."""


class Repeats:
    """Finds tiles that were there before, so that plain sea is stored once.

    Remembers at most `MOST_REMEMBERED` different tiles (about 120 bytes each): a repeat of a later one is stored
    again, which costs space and nothing else. What is found depends on the tiles and their order alone.
    """

    def __init__(self) -> None:
        self._places: dict[bytes, int] = {}

    def find(self, data: bytes, place: int) -> int | None:
        """Where the same bytes are already; where they are new, None, and they are remembered as being at `place`."""
        digest = blake2b(data, digest_size=16).digest()
        known = self._places.get(digest)
        if known is None and len(self._places) < MOST_REMEMBERED:
            self._places[digest] = place
        return known


class StoredSteps:
    """Counts the tiles of some zooms of a store for a progress callback; does not list them without one."""

    def __init__(self, store: StoredTiles, zooms: tuple[int, ...], stage: str, progress: Progress | None) -> None:
        self._done, self._stage, self._progress = 0, stage, progress
        self._total = sum(1 for zoom in zooms for _ in store.tiles(zoom)) if progress else 0

    def advance(self) -> None:
        """One more tile is stored."""
        self._done += 1
        if self._progress:
            self._progress(self._stage, self._done, self._total)


def require_zooms(store: StoredTiles, tileset: TileSet) -> tuple[int, ...]:
    """The zooms to store, ascending: those of the store that the tile set speaks of.

    Raises:
        TileSetError: there are none.
    """
    zooms = tuple(zoom for zoom in store.zooms if tileset.minzoom <= zoom <= tileset.maxzoom)
    if not zooms:
        raise TileSetError(
            f"the tile set {tileset.name!r} has no tiles at zooms {tileset.minzoom} to {tileset.maxzoom}: "
            "check the scene and the area of interest"
        )
    return zooms


def require_tile(store: StoredTiles, tile: Tile) -> bytes:
    """The bytes of a tile that was listed.

    Raises:
        TileSetError: it is gone, or empty.
    """
    data = store.get(tile)
    if not data:
        raise TileSetError(f"tile {tile.z}/{tile.x}/{tile.y} is missing or empty: make it again")
    return data


def sync_file(path: Path) -> None:
    """Returns when a finished file would survive a loss of power.

    Raises:
        OutputError: it cannot be written.
    """
    with output_errors(path), path.open("rb+") as file:
        os.fsync(file.fileno())


class DescribedTiles(StoredTiles, Reaching, Protocol):
    """Stored tiles of a container that describes them."""


class ArchivedTiles(DescribedTiles, Protocol):
    """Those of a container that is one file."""

    def first_tiles(self, zoom: int, count: int) -> Iterable[Tile]:
        """A few tiles of a zoom, at most `count`, at no more cost than that of reading these."""
        ...


def restore_tileset(path: Path, facts: Mapping[str, Any], store: ArchivedTiles) -> TileSet:
    """What a container tells of itself as a `TileSet`. Of another program's, its tiles decide: zooms and format are
    theirs, and so is the window where they do not bear out the bounds.

    Args:
        path: of the container, for messages and in place of a name.
        facts: "name", "format", "minzoom", "maxzoom", "bounds" (degrees: west, south, east, north), "geo2map" and
            `geo2map.tiles.statement.WORDS`, each of which may be missing.

    Raises:
        TileSetError: the facts make no sense, or the tiles are no pictures that geo2map reads.
    """
    if not (zooms := store.zooms):
        raise TileSetError(f"{path} holds no tiles: make it again")
    format = require_pictures(path, str(facts.get("format") or ""), store)
    try:
        extra = dict(facts.get("geo2map") or {})
        asked = extra.pop("window", None)
        minzoom, maxzoom = zooms[0], zooms[-1]
        if asked:
            minzoom, maxzoom = (int(facts.get(key) or own) for key, own in (("minzoom", minzoom), ("maxzoom", maxzoom)))
            window = PixelWindow(*map(int, asked))
        else:
            window = footprint(store, state(path.name, facts).boxes)
        name, words = plain_text(str(facts.get("name") or path.stem)), foreign_words(facts, extra)
        return TileSet(name, format, minzoom, maxzoom, window, extra, words=words)
    except (TypeError, ValueError, IndexError, Geo2MapError) as error:
        raise TileSetError(f"what {path} says of itself makes no sense ({error}): make it again") from error


def require_pictures(path: Path, stated: str, store: ArchivedTiles) -> TileFormat:
    """The format of a container's tiles: that of the first one's bytes; where these are damaged, the one stated.

    Raises:
        TileSetError: they are vector tiles, or of a format that geo2map does not read.
    """
    data = _first_tile(store)
    if is_vector_format(stated) or is_vector(data):
        raise TileSetError(
            f"{path} holds {stated or 'pbf'} tiles, which are vector tiles without pixels: give raster tiles, or draw "
            "them as such first"
        )
    if (format := format_of(data) or parse_format(stated)) is None:
        known = ", ".join(get_args(TileFormat))
        raise TileSetError(f"{path} holds {stated or 'unknown'} tiles: geo2map reads {known}")
    return format


def _first_tile(store: ArchivedTiles) -> bytes:
    """The first tile of the largest zoom that has bytes; nothing where it is damaged."""
    try:
        return next((data for tile in store.first_tiles(store.zooms[-1], _TRIED) if (data := store.get(tile))), b"")
    except TileSetError:
        return b""


def agrees(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether an archive's metadata are those that would be written; earlier versions called imagery drawn, too."""
    if found.get("description") == DESCRIPTION:
        found = {**found, "description": wanted.get("description")}
    return found == wanted


def parse_json(text: str) -> Any:
    """The value of a JSON text; None where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return None
