"""What a container needs to know of the tiles it is made from, and the small tools that containers share."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, get_args

import mercantile

from geo2map.errors import Geo2MapError, TileSetError
from geo2map.files.atomic import output_errors
from geo2map.grid import PixelWindow, bounds_window, world_window
from geo2map.protocols import Progress, StoredTiles
from geo2map.tiles.tilejson import TileSet
from geo2map.types import Bounds, LngLatBounds, Tile, TileFormat

FORMAT_NAMES: dict[TileFormat, str] = {"png": "png", "webp": "webp", "jpeg": "jpg", "avif": "avif"}
"""How MBTiles and PMTiles spell the formats."""
DESCRIPTION = "Map tiles made by geo2map from satellite or aerial imagery with a generative model; not surveyed"
MOST_REMEMBERED = 2**20
_MERCATOR_EDGE = 85.0511287798066  # degrees: where the square world ends


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
            "check the scene and the area asked"
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


def restore_tileset(path: Path, facts: Mapping[str, Any], zooms: tuple[int, ...]) -> TileSet:
    """What a container tells of itself as a `TileSet`; of another program's, the window follows from its bounds.

    Args:
        path: of the container, for messages and in place of a name.
        facts: "name", "format", "minzoom", "maxzoom", "bounds" (degrees: west, south, east, north) and "geo2map", each
            of which may be missing.
        zooms: those with tiles, ascending, in place of missing ones.

    Raises:
        TileSetError: the facts make no sense, or the tiles are no pictures that geo2map reads.
    """
    format = next((ours for ours, theirs in FORMAT_NAMES.items() if facts.get("format") in (ours, theirs)), None)
    if format is None:
        known = ", ".join(get_args(TileFormat))
        raise TileSetError(f"{path} holds {facts.get('format') or 'unnamed'} tiles: geo2map reads {known}")
    if not zooms:
        raise TileSetError(f"{path} holds no tiles: make it again")
    try:
        minzoom, maxzoom = (int(facts.get(key) or zooms[end]) for key, end in (("minzoom", 0), ("maxzoom", -1)))
        extra = dict(facts.get("geo2map") or {})
        asked = extra.pop("window", None)
        window = PixelWindow(*map(int, asked)) if asked else _window(facts.get("bounds"), maxzoom)
        return TileSet(str(facts.get("name") or path.stem), format, minzoom, maxzoom, window, extra)
    except (TypeError, ValueError, IndexError, Geo2MapError) as error:
        raise TileSetError(f"what {path} says of itself makes no sense ({error}): make it again") from error


def parse_json(text: str) -> Any:
    """The value of a JSON text; None where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _window(bounds: Any, zoom: int) -> PixelWindow:
    """The pixels of bounds in degrees; the world where none are told, as TileJSON has it."""
    if not bounds:
        return world_window(zoom)
    return degrees_window(LngLatBounds(*map(float, bounds)), zoom).intersection(world_window(zoom))


def degrees_window(bounds: LngLatBounds, zoom: int) -> PixelWindow:
    """The pixels of bounds in degrees, cut at the square world's north and south; east may lie beyond 180."""
    west, south, east, north = bounds
    left, bottom = mercantile.xy(west, max(south, -_MERCATOR_EDGE))
    right, top = mercantile.xy(east, min(north, _MERCATOR_EDGE))
    return bounds_window(Bounds(left, bottom, right, top), zoom)
