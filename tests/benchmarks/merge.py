"""Parts of cheap tiles merged into each kind of output: the same bytes as written at once, how much memory, how fast.

    python tests/benchmarks/merge.py --parts 64 --tiles 10000 --kinds pmtiles,mbtiles,xyz
    python tests/benchmarks/merge.py --parts 625 --tiles 16384 --kinds pmtiles --no-compare     ten million tiles

Nothing is rendered: parts are written as `render_shard` leaves them, a third of the tiles uniform, the others a picture
with a number behind its end. Each merge runs in a process of its own, so that its peak is its own. "At once" is the
container made of a store that makes the same tiles up. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from geo2map.cluster import JobFile, PartFolder, ShardRecord, merge_parts
from geo2map.colour.transform import ColourTransform
from geo2map.formats.containers import find_container
from geo2map.grid import PixelWindow
from geo2map.ledger.journal import Journal
from geo2map.ledger.part import part_content
from geo2map.ledger.spool import SpoolStore
from geo2map.plan import Job, Plan, Shard, Storage
from geo2map.scene import ReadingOptions
from geo2map.scene.view import View
from geo2map.tiles.codec import SUFFIXES, encode_tile
from geo2map.tiles.pyramid import build_parents
from geo2map.tiles.store import FolderStore, MemoryStore
from geo2map.types import Tile

ZOOM = 17
FIRST = 2**16
PICTURE = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8).repeat(64, 0).repeat(64, 1)
WHOLE = np.ones((256, 256), dtype=np.bool_)
COLOURED = encode_tile(PICTURE, WHOLE, "png")
PLAIN = encode_tile(np.full((256, 256, 3), 200, np.uint8), WHOLE, "png")


def content(z: int, x: int, y: int) -> bytes:
    """What a tile holds; readers of PNG stop at its end."""
    number = (x * 7919 + y * 104729 + z) % 3
    return PLAIN if number == 0 else COLOURED + f"{z}/{x}/{y}".encode()


class CheapParts:
    """Parts in a square, and in the corner of each a square of tiles (a `StoredTiles` of all but the zooms above)."""

    def __init__(self, parts: int, tiles: int) -> None:
        self.parts, self.side, self.across = parts, math.isqrt(tiles), math.isqrt(parts - 1) + 1
        self.levels = (self.side - 1).bit_length()
        self.zooms = tuple(range(ZOOM - self.levels, ZOOM + 1))
        edge, last = FIRST * 256, (FIRST + (self.across << self.levels)) * 256
        window = PixelWindow(edge, edge, last, edge + ((-(-parts // self.across)) << self.levels) * 256)
        plan = Plan(name="cheap", view=View(ZOOM, ColourTransform(), "bilinear"), window=window, block_span=4)
        job = Job(scenes=(), reading=ReadingOptions(), plan=plan, storage=Storage(minzoom=0).resolve(plan))
        self.order = JobFile(job=job, scenes=(), model=None, shard_zoom=ZOOM - self.levels)

    def below(self, shard: Shard, zoom: int) -> Iterator[Tile]:
        """The tiles of a part at a zoom."""
        number = (shard.y - (FIRST >> self.levels)) * self.across + shard.x - (FIRST >> self.levels)
        if number >= self.parts:
            return
        up, down = zoom - shard.z, ZOOM - zoom
        for x in range(shard.x << up, (shard.x << up) + ((self.side - 1) >> down) + 1):
            for y in range(shard.y << up, (shard.y << up) + ((self.side - 1) >> down) + 1):
                yield Tile(x, y, zoom)

    def get(self, tile: Tile) -> bytes | None:
        column, row = ((n >> (tile.z - self.zooms[0])) - (FIRST >> self.levels) for n in (tile.x, tile.y))
        there = 0 <= column < self.across and row >= 0 and row * self.across + column < self.parts
        return content(tile.z, tile.x, tile.y) if there else None

    def tiles(self, zoom: int) -> Iterator[Tile]:
        yield from sorted(tile for shard in self.order.shards() for tile in self.below(shard, zoom))

    def write(self, folder: PartFolder) -> int:
        """Writes parts and records; how many tiles they hold."""
        folder.adopt(self.order)
        total = 0
        for shard in self.order.shards():
            draft = folder.draft(shard)
            journal = Journal.create(draft, self.order.job)
            journal.skip_flushing()
            spool = SpoolStore(journal)
            with journal.transaction():
                for zoom in self.zooms:
                    made = {tile: content(tile.z, tile.x, tile.y) for tile in self.below(shard, zoom)}
                    for tile, data in made.items():
                        spool.put(tile, data)
                    journal.layer().add(made)
            journal.make_single_file()
            tiles, size, digest = part_content(journal)
            journal.close()
            folder.publish(shard, draft, ShardRecord(self.order.fingerprint, shard.name, tiles, size, digest, "", 0.0))
            total += tiles
        return total


class AtOnce(MemoryStore):
    """The same tiles and the zooms above them, as one process would have them."""

    def __init__(self, cheap: CheapParts) -> None:
        super().__init__()
        self._cheap = cheap
        children = cheap.tiles(cheap.zooms[0])
        for _ in build_parents(self, cheap.order.job.storage.codec, children, 0):
            pass

    @property
    def zooms(self) -> tuple[int, ...]:
        return (*super().zooms, *self._cheap.zooms)

    def get(self, tile: Tile) -> bytes | None:
        return self._cheap.get(tile) if tile.z in self._cheap.zooms else super().get(tile)

    def tiles(self, zoom: int) -> Iterator[Tile]:
        return self._cheap.tiles(zoom) if zoom in self._cheap.zooms else super().tiles(zoom)


def write_at_once(cheap: CheapParts, path: Path) -> None:
    store, job = AtOnce(cheap), cheap.order.job
    tiles = replace(job.tileset)
    if find_container(path).is_folder:
        path.mkdir()
        made = FolderStore(path, SUFFIXES["png"])
        for zoom in store.zooms:
            for tile in store.tiles(zoom):
                made.put(tile, store.get(tile) or b"")
    else:
        find_container(path).writer(job.storage)(store, tiles, path, None)  # type: ignore[arg-type]


def digest_of(path: Path) -> str:
    """Of a file, or of all tiles of a folder."""
    digest = hashlib.sha256()
    for part in sorted(path.rglob("*.png")) if path.is_dir() else [path]:
        digest.update(str(part.relative_to(path)).encode())
        with part.open("rb") as file:
            while piece := file.read(2**20):
                digest.update(piece)
    return digest.hexdigest()


def merge_one(parts: Path, out: Path) -> str:
    """Seconds of wall and CPU, and the peak and what of it is the libraries', MiB."""
    idle, started = peak(), time.perf_counter()
    merge_parts(parts, out)
    wall, usage = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    return f"{wall:.2f} {usage.ru_utime + usage.ru_stime:.2f} {peak()} {idle}"


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--parts", type=int, default=64)
    asked.add_argument("--tiles", type=int, default=10_000, help="of each part at the largest zoom; a square number")
    asked.add_argument("--kinds", default="pmtiles,mbtiles,xyz")
    asked.add_argument("--no-compare", action="store_true", help="do not write the same at once")
    asked.add_argument("--tmp", help="folder to work in")
    asked.add_argument("--one", nargs=2, type=Path, help=argparse.SUPPRESS)
    args = asked.parse_args()
    if args.one:
        print(merge_one(*args.one))
        return
    cheap = CheapParts(args.parts, args.tiles)
    with tempfile.TemporaryDirectory(prefix="geo2map-", dir=args.tmp) as folder:
        parts = Path(folder) / "parts"
        total = cheap.write(PartFolder(parts))
        print(
            "| output | tiles | CPU s | wall s | tiles/s of CPU | peak MiB | of it libraries | same bytes |", flush=True
        )
        print("|---|---|---|---|---|---|---|---|")
        for kind in args.kinds.split(","):
            out = Path(folder) / ("merged" if kind == "xyz" else f"merged.{kind}")
            command = [sys.executable, __file__, "--one", str(parts), str(out)]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            wall, cpu, most, idle = map(float, said)
            same = "not asked"
            if not args.no_compare:
                write_at_once(cheap, whole := out.with_name(out.name.replace("merged", "whole")))
                same = "yes" if digest_of(whole) == digest_of(out) else "NO"
            figures = f"{cpu:.1f} | {wall:.1f} | {total / cpu:,.0f} | {most:.0f} | {idle:.0f}"
            print(f"| {kind} | {total:,} | {figures} | {same} |", flush=True)
            if same == "NO":
                raise SystemExit("the merge wrote other bytes than one process")


if __name__ == "__main__":
    main()
