"""A small set of tiles for tests of containers, and the tiles that are in one, whatever its kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from geo2map.formats.opened import open_tiles
from geo2map.grid import PixelWindow
from geo2map.protocols import Codec
from geo2map.tiles.pyramid import build_parents
from geo2map.tiles.store import FolderStore, MemoryStore
from geo2map.tiles.tilejson import TileSet
from geo2map.types import Tile

FIRST = Tile(13055, 8467, 14)  # odd column and row, so that overviews straddle the set's tiles
WINDOW = PixelWindow(FIRST.x * 256 + 37, FIRST.y * 256 + 21, (FIRST.x + 3) * 256, (FIRST.y + 3) * 256 - 5)
TILESET = TileSet("jakarta", "png", 12, 14, WINDOW, {"model": "town 1"})
COLOURS = [[0, 0, 0], [10, 20, 30], [250, 250, 240], [177, 208, 254]]


def make_store(codec: Codec) -> MemoryStore:
    """Nine tiles of flat patches with holes, one of them missing, and their overviews."""
    store, rng = MemoryStore(), np.random.default_rng(3)
    for number in range(9):
        if number == 4:
            continue
        pixels = np.array(COLOURS, np.uint8)[rng.integers(0, 4, (16, 16))].repeat(16, 0).repeat(16, 1)
        mask = np.ones((256, 256), dtype=np.bool_)
        mask[: 30 * (number % 3)] = False
        pixels[100:140] += np.uint8(number)
        store.put(Tile(FIRST.x + number % 3, FIRST.y + number // 3, 14), codec.encode(pixels, mask))
    for _ in build_parents(store, codec, store.tiles(14), 12):
        pass
    return store


def write_set(store: MemoryStore, folder: Path, suffix: str = ".png") -> Path:
    """The set as a finished folder."""
    folder.mkdir(parents=True)
    made = FolderStore(folder, suffix)
    for tile, data in store.data.items():
        made.put(tile, data)
    TILESET.write(folder)
    return folder


def tiles_in(path: Path) -> dict[Tile, bytes]:
    """Every tile of an output of any kind."""
    with open_tiles(path) as (store, _):
        return {tile: store.get(tile) or b"" for zoom in store.zooms for tile in store.tiles(zoom)}
