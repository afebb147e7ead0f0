"""How long people wait for a live map: the first tile, a screen of 20, a pulse and a 304, at several clients at once.

    python tests/benchmarks/live.py [--clients 1 6 32] [--span 4]

Starts `geo2map serve` with the packaged model, anew for each number of clients. Each client looks at a place of its own
over six connections, as a browser does: first cold, then once more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import mercantile
import numpy as np
import rasterio
from affine import Affine

SIDE = 5120  # pixels of the scene: 20 tiles
COLUMNS, ROWS = 5, 4
PATIENCE = 600.0


def write_scene(path: Path) -> None:
    """Patches of noise: the model takes its time whatever it sees."""
    coarse = np.random.default_rng(0).integers(30, 220, (3, SIDE // 16, SIDE // 16), dtype=np.uint8)
    profile = {"driver": "GTiff", "count": 3, "height": SIDE, "width": SIDE, "dtype": "uint8", "crs": "EPSG:32618"}
    profile |= {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate"}
    with rasterio.open(path, "w", **profile, transform=Affine(0.9, 0, 590_000, 0, -0.9, 4_510_000)) as dataset:
        dataset.write(coarse.repeat(16, 1).repeat(16, 2))


@contextmanager
def served(scene: Path, span: int) -> Iterator[dict[str, Any]]:
    """The TileJSON of a fresh server."""
    command = [sys.executable, "-m", "geo2map_cli", "serve", str(scene), "--port", "0", "--json"]
    process = subprocess.Popen([*command, "--block-span", str(span)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        addresses = json.loads(process.stdout.readline())
        yield {**httpx.get(addresses["tilejson"], timeout=PATIENCE).json(), "page": addresses["page"]}
    finally:
        process.terminate()
        process.wait()


def screens(tilejson: dict[str, Any], count: int) -> list[list[str]]:
    """The URLs of a screen for each client, spread over the scene; they overlap where there are many."""
    west, south, east, north = tilejson["bounds"]
    zoom = tilejson["maxzoom"]
    first, last = mercantile.tile(west, north, zoom), mercantile.tile(east, south, zoom)
    rng = np.random.default_rng(count)
    found = []
    for _ in range(count):
        left = int(rng.integers(first.x + 1, last.x - COLUMNS))
        top = int(rng.integers(first.y + 1, last.y - ROWS))
        tiles = [(left + column, top + row) for row in range(ROWS) for column in range(COLUMNS)]
        found.append([tilejson["tiles"][0].format(z=zoom, x=x, y=y) for x, y in tiles])
    return found


async def look(urls: list[str]) -> tuple[float, float]:
    """Seconds to the first tile and to the last of a screen; comes again when it is told to."""
    limits, arrived = httpx.Limits(max_connections=6), []
    async with httpx.AsyncClient(limits=limits, timeout=PATIENCE, verify=False) as client:  # certificates take 50 ms
        started = time.perf_counter()

        async def one(url: str) -> None:
            while (answer := await client.get(url)).status_code == 503:
                await asyncio.sleep(float(answer.headers["retry-after"]))
            assert answer.status_code in (200, 204), answer.status_code
            arrived.append(time.perf_counter() - started)

        await asyncio.gather(*map(one, urls))
    return min(arrived), max(arrived)


async def pulse(page: str, until: asyncio.Event) -> list[float]:
    """Seconds that /healthz takes, again and again."""
    took = []
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        while not until.is_set():
            started = time.perf_counter()
            await client.get(f"{page}healthz")
            took.append(time.perf_counter() - started)
            await asyncio.sleep(0.1)
    return took


async def visit(tilejson: dict[str, Any], asked: list[list[str]]) -> tuple[list[tuple[float, float]], list[float]]:
    over = asyncio.Event()
    beating = asyncio.ensure_future(pulse(tilejson["page"], over))
    seen = await asyncio.gather(*map(look, asked))
    over.set()
    return seen, await beating


def known(url: str, times: int = 200) -> list[float]:
    """Seconds that a 304 takes."""
    took = []
    with httpx.Client(timeout=PATIENCE) as client:
        tag = client.get(url).headers["etag"]
        for _ in range(times):
            started = time.perf_counter()
            assert client.get(url, headers={"If-None-Match": tag}).status_code == 304
            took.append(time.perf_counter() - started)
    return took


def percentiles(seconds: list[float]) -> str:
    low, high = np.percentile(np.array(seconds) * 1000, [50, 95])
    return f"{low:.1f} / {high:.1f}" if high < 100 else f"{low:.0f} / {high:.0f}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 6, 32])
    parser.add_argument("--span", type=int, default=4)
    asked = parser.parse_args()
    print("p50 / p95 in ms | first tile | 20 tiles | /healthz meanwhile")
    with tempfile.TemporaryDirectory() as folder:
        scene = Path(folder) / "scene.tif"
        write_scene(scene)
        for count in asked.clients:
            with served(scene, asked.span) as tilejson:
                places = screens(tilejson, count)
                for state in ("cold", "warm"):
                    seen, beats = asyncio.run(visit(tilejson, places))
                    first, whole = ([times[part] for times in seen] for part in (0, 1))
                    told = " | ".join(map(percentiles, (first, whole, beats)))
                    print(f"{count} clients, {state} | {told}", flush=True)
                if count == asked.clients[0]:
                    print(f"304 | {percentiles(known(places[0][0]))}", flush=True)


if __name__ == "__main__":
    main()
