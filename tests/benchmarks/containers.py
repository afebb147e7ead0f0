"""Cheap tiles into each container: how much memory, how fast, how large.

    python tests/benchmarks/containers.py --side 274 --kinds xyz,tms,mbtiles,pmtiles,tif

274 x 274 tiles and their overviews are 100,184. Each container is made in a process of its own, so that its peak is its
own; half of the tiles are uniform. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from geo2map.formats.containers import CONTAINERS
from geo2map.grid import PixelWindow
from geo2map.plan import Storage
from geo2map.tiles.codec import SUFFIXES, encode_tile
from geo2map.tiles.store import FolderStore
from geo2map.tiles.tilejson import TileSet
from geo2map.types import Tile

ZOOM = 14
FIRST = 2**13
DIFFERENT = 64


class CheapTiles:
    """A square of tiles at every zoom that holds no more than a few dozen of them (a `StoredTiles`)."""

    def __init__(self, side: int) -> None:
        self.side = side
        rng = np.random.default_rng(0)
        mask = np.ones((256, 256), dtype=np.bool_)
        patches = rng.integers(0, 256, (DIFFERENT, 16, 16, 3), dtype=np.uint8)
        self.data = [encode_tile(patch.repeat(16, 0).repeat(16, 1), mask, "png") for patch in patches]
        self.plain = encode_tile(np.full((256, 256, 3), 200, np.uint8), mask, "png")
        self.zooms = tuple(range(ZOOM - (side - 1).bit_length(), ZOOM + 1))

    def get(self, tile: Tile) -> bytes:
        number = (tile.x * 7919 + tile.y * 104729) % (2 * DIFFERENT)
        return self.plain if number >= DIFFERENT else self.data[number]

    def tiles(self, zoom: int) -> Iterator[Tile]:
        down = ZOOM - zoom
        for x in range(FIRST >> down, ((FIRST + self.side - 1) >> down) + 1):
            for y in range(FIRST >> down, ((FIRST + self.side - 1) >> down) + 1):
                yield Tile(x, y, zoom)

    @property
    def tileset(self) -> TileSet:
        first, last = FIRST * 256, (FIRST + self.side) * 256
        return TileSet("cheap", "png", self.zooms[0], ZOOM, PixelWindow(first, first, last, last))


def make(kind: str, side: int) -> str:
    """One row of the table."""
    store = CheapTiles(side)
    count = sum(1 for zoom in store.zooms for _ in store.tiles(zoom))
    idle = peak()
    with tempfile.TemporaryDirectory(prefix="geo2map-") as folder:
        path = Path(folder) / f"map.{kind}"
        started = time.perf_counter()
        if kind in ("xyz", "tms"):
            path.mkdir()
            made = FolderStore(path, SUFFIXES["png"], "tms" if kind == "tms" else "xyz")
            for number, tile in enumerate(tile for zoom in store.zooms for tile in store.tiles(zoom)):
                made.put(tile, store.get(tile))
                if number % 1024 == 0:
                    made.sync()
            made.sync()
        else:
            CONTAINERS[f".{kind}"].writer(Storage())(store, store.tileset, path, None)  # type: ignore[arg-type]
        seconds, used = time.perf_counter() - started, peak() - idle  # before the files are listed
        files = [path] if path.is_file() else (file for file in path.rglob("*") if file.is_file())
        size = sum(file.stat().st_size for file in files) / 2**20
    return f"| {kind} | {count:,} | {used:.0f} | {count / seconds:,.0f} | {size:,.0f} |"


def peak() -> float:
    """MiB that this process has used at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Runs itself once a container."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=274)
    parser.add_argument("--kinds", default="xyz,tms,mbtiles,pmtiles,tif")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(make(asked.one, asked.side))
        return
    print("| container | tiles | MiB of memory more | tiles a second | MiB |\n|---|---|---|---|---|", flush=True)
    for kind in asked.kinds.split(","):
        subprocess.run([sys.executable, __file__, "--side", str(asked.side), "--one", kind], check=True)


if __name__ == "__main__":
    main()
