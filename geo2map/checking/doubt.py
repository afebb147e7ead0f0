"""How much of a finished map is doubtful, and where most: read from its layer of confidence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from geo2map.errors import TileSetError
from geo2map.formats.opened import find_layers, open_tiles
from geo2map.tiles.codec import decode_tile
from geo2map.tiles.doubt import Doubt, TileDoubt
from geo2map.tiles.layer import PERCENT_UNIT
from geo2map.types import Tile


def measure_doubt(path: Path) -> Doubt | None:
    """Read the layer of confidence of an output; None without one. Tiles that cannot be read are left out.

    Raises:
        TileSetError: the output cannot be read.
    """
    with open_tiles(path) as (_, tileset):
        places = find_layers(path, tileset)
    for place in places.values():
        try:
            with open_tiles(place) as (store, described):
                if described.unit == PERCENT_UNIT:
                    return Doubt.of(_counts(store.tiles(described.maxzoom), store.get))
        except TileSetError:  # reported by the check of that layer
            continue
    return None


def _counts(tiles: Iterable[Tile], get: Callable[[Tile], bytes | None]) -> Iterator[tuple[Tile, TileDoubt]]:
    for tile in tiles:
        try:
            pixels, mask = decode_tile(get(tile) or b"")
        except TileSetError:
            continue
        yield tile, TileDoubt.of(pixels[..., 0], mask)
