"""How long people wait for a live map: the first tile, a screen of 20, a pulse and a 304, at several clients at once.

    python tests/benchmarks/live.py [--clients 1 6 32] [--span 4]

Starts `geo2map serve` with the packaged model, anew for each number of clients. Each client looks at a place of its own
over six connections, as a browser does: first cold, then once more. All clients are threads of one process beside the
server's, which send and receive plain bytes; the pulse has a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Barrier
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import mercantile
import numpy as np
import rasterio
from affine import Affine

SIDE = 5120  # pixels of the scene: 20 tiles
COLUMNS, ROWS = 5, 4
CONNECTIONS = 6
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
        with urlopen(addresses["tilejson"], timeout=PATIENCE) as answer:
            yield {**json.load(answer), "page": addresses["page"], "process": process.pid}
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
        template = tilejson["tiles"][0].removeprefix(tilejson["page"].rstrip("/"))
        found.append([template.format(z=zoom, x=x, y=y) for x, y in tiles])
    return found


class Connection:
    """One connection that is kept. Plain sockets: a client that takes more time than the server measures itself."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._host = parts.netloc
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""

    def get(self, target: str, header: str = "") -> tuple[int, dict[bytes, bytes]]:
        """Status and headers; the body is read and forgotten."""
        self._socket.sendall(f"GET {target} HTTP/1.1\r\nHost: {self._host}\r\n{header}\r\n".encode())
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            self._receive()
        first, *lines = self._buffer[:end].split(b"\r\n")
        headers = {name.lower(): value for name, value in (line.split(b": ", 1) for line in lines)}
        whole = end + 4 + int(headers.get(b"content-length", b"0"))
        while len(self._buffer) < whole:
            self._receive()
        self._buffer = self._buffer[whole:]
        return int(first.split()[1]), headers

    def _receive(self) -> None:
        data = self._socket.recv(1 << 20)
        assert data, "the server closed the connection"
        self._buffer += data

    def close(self) -> None:
        self._socket.close()


def look(page: str, paths: list[str], start: Barrier) -> tuple[float, float]:
    """Seconds to the first tile and to the last of a screen, over six connections; comes again when it is told to."""
    waiting, arrived = SimpleQueue[str](), []
    for path in paths:
        waiting.put(path)
    connections = [Connection(page) for _ in range(CONNECTIONS)]
    start.wait()
    started = time.perf_counter()

    def work(connection: Connection) -> None:
        with suppress(Empty):
            while path := waiting.get_nowait():
                while (answer := connection.get(path))[0] == 503:
                    time.sleep(float(answer[1][b"retry-after"]))
                assert answer[0] in (200, 204), answer
                arrived.append(time.perf_counter() - started)

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(work, connections))
    for connection in connections:
        connection.close()
    return min(arrived), max(arrived)


def pulse(page: str, over: Any, told: Any) -> None:
    """Tells the seconds that /healthz takes, again and again; a process of its own, which waits for nobody."""
    connection, took = Connection(page), []
    while not over.is_set():
        started = time.perf_counter()
        assert connection.get("/healthz")[0] == 200
        took.append(time.perf_counter() - started)
        over.wait(0.02)
    told.send(took)


def visit(page: str, asked: list[list[str]]) -> tuple[list[tuple[float, float]], list[float]]:
    """All clients at once: what each waited, and the pulse meanwhile."""
    context = get_context("fork")
    over, (hears, tells) = context.Event(), context.Pipe(duplex=False)
    beating = context.Process(target=pulse, args=(page, over, tells))
    beating.start()
    start = Barrier(len(asked))
    with ThreadPoolExecutor(len(asked)) as pool:
        seen = list(pool.map(lambda paths: look(page, paths, start), asked))
    over.set()
    took = hears.recv()
    beating.join()
    return seen, took


def known(page: str, path: str, times: int = 500) -> list[float]:
    """Seconds that a 304 takes."""
    took, connection = [], Connection(page)
    tag = connection.get(path)[1][b"etag"].decode()
    for _ in range(times):
        started = time.perf_counter()
        assert connection.get(path, f"If-None-Match: {tag}\r\n")[0] == 304
        took.append(time.perf_counter() - started)
    return took


def cpu_seconds(process: int) -> float:
    """That a process has used so far, its threads included (Linux)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def percentiles(seconds: list[float]) -> str:
    low, high = np.percentile(np.array(seconds) * 1000, [50, 95])
    return f"{low:.1f} / {high:.1f}" if high < 100 else f"{low:.0f} / {high:.0f}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 6, 32])
    parser.add_argument("--span", type=int, default=4)
    asked = parser.parse_args()
    print("p50 / p95 in ms | first tile | 20 tiles | /healthz meanwhile | ms of CPU a tile: server, client")
    with tempfile.TemporaryDirectory() as folder:
        scene = Path(folder) / "scene.tif"
        write_scene(scene)
        for count in asked.clients:
            with served(scene, asked.span) as tilejson:
                page, process, places = tilejson["page"], tilejson["process"], screens(tilejson, count)
                for state in ("cold", "warm"):
                    before, own = cpu_seconds(process), time.process_time()
                    seen, beats = visit(page, places)
                    spent = [cpu_seconds(process) - before, time.process_time() - own]
                    each = " + ".join(f"{1000 * seconds / count / COLUMNS / ROWS:.2f}" for seconds in spent)
                    first, whole = ([times[part] for times in seen] for part in (0, 1))
                    told = " | ".join(map(percentiles, (first, whole, beats)))
                    print(f"{count} clients, {state} | {told} | {each}", flush=True)
                if count == asked.clients[0]:
                    print(f"304 | {percentiles(known(page, places[0][0]))}", flush=True)


if __name__ == "__main__":
    main()
