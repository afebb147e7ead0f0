"""A Dask cluster that loses workers, its scheduler and its driver, and ends with the bytes of one process.

    python tests/faults/kill_cluster.py                          tiles cut, four workers
    python tests/faults/kill_cluster.py --model sat2map          with the packaged model

Scheduler, workers (under their nannies) and driver are processes of their own. A worker is killed (SIGKILL) in every
third shard, once each; the scheduler is killed and started again at its port, with fresh workers, while the driver
waits; then the driver is killed and started again. The PMTiles archive, the GeoTIFF and the folder merged of the parts
are compared with what one process writes, and every shard is recorded once.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from geo2map.cluster import JobFile, PartFolder, ShardRecord, merge_parts, plan_job
from geo2map.cluster.dask import ShardWork, dispatch
from geo2map.plan import Shard
from geo2map.testing import make_card

CARD = make_card(name="cut", margin=0, size_multiple=1)
OPTIONS = {"zoom": 17, "block_span": 1, "match": "none"}
PATIENCE = 900.0
"""Seconds that anything may take on a busy machine."""
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "300s"}


@dataclass(frozen=True)
class KillingWork(ShardWork):
    """Kills the worker that has it in every third shard, once each."""

    killed: Path = Path()

    def __call__(self, shard: Shard) -> ShardRecord:
        if (shard.x + shard.y) % 3 == 0:
            try:
                (self.killed / shard.name).open("x").close()
            except FileExistsError:
                return super().__call__(shard)
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(shard)


def drive(address: str, parts: Path, killed: Path) -> None:
    """The driver: has what is left of a job rendered."""
    from distributed import Client

    folder = PartFolder(parts)
    order = folder.order()
    with Client(address, set_as_default=False) as client:
        work = KillingWork(parts, order.fingerprint, None, killed)
        dispatch(client, work, folder, order, lambda *said: print(*said, flush=True))


@dataclass
class FragileCluster:
    """Processes of a cluster, to be killed."""

    workers: int
    folder: Path
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    port: int = 0

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def start(self) -> None:
        """A scheduler, at the port of the last one, and its workers."""
        if not self.port:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self.port = free.getsockname()[1]
        self._start("dask_scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard")
        for _ in range(self.workers):
            self._start("dask_worker", self.address, "--nthreads", "1", "--memory-limit", "0", "--no-dashboard")

    def _start(self, module: str, *arguments: str) -> None:
        log = (self.folder / "cluster.log").open("ab")
        command = [sys.executable, "-m", f"distributed.cli.{module}", *arguments]
        # sessions of their own: a nanny's worker goes with it
        started = subprocess.Popen(
            command, cwd=self.folder, env=ENVIRONMENT, stdout=log, stderr=log, start_new_session=True
        )
        self.running.append(started)

    def kill_scheduler(self) -> None:
        self.running[0].kill()
        self.running[0].wait()

    def stop(self) -> None:
        """Kills what is left of it."""
        for process in self.running:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.running.clear()


@contextmanager
def driver(cluster: FragileCluster, parts: Path, killed: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, __file__, "--drive", cluster.address, str(parts), str(killed)]
    with (cluster.folder / "driver.log").open("ab") as log:
        process = subprocess.Popen(command, env=ENVIRONMENT, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def await_that(happened: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not happened():
        if time.monotonic() > end:
            raise SystemExit(f"{what} did not happen in {PATIENCE:.0f} s")
        time.sleep(0.05)


def make_scene(path: Path, side: int) -> None:
    pixels = np.random.default_rng(0).integers(1, 255, (3, side // 25, side // 25), dtype=np.uint8)
    profile = {"driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8", "nodata": 0}
    matrix = Affine(0.9, 0, 590_000, 0, -0.9, 4_510_000)
    with rasterio.open(path, "w", **profile, crs="EPSG:32618", transform=matrix) as dataset:
        dataset.write(pixels.repeat(25, 1).repeat(25, 2))


def contents(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in files}


def run(home: Path, model: str | None = None, workers: int = 4, side: int = 750) -> str:
    """All of it in a folder; what happened, in a line.

    Raises:
        AssertionError: other bytes, or a shard that is not recorded once.
    """
    scene, parts, killed = home / "s.tif", home / "parts", home / "killed"
    killed.mkdir()
    make_scene(scene, side)
    order = plan_job(scene, model=model, card=None if model else CARD, shard_zoom=17, **OPTIONS)
    PartFolder(parts).adopt(order)
    cluster = FragileCluster(workers, home)

    def recorded(count: int) -> Callable[[], bool]:
        return lambda: sum(1 for _ in parts.glob("*-*.json")) >= count

    total = sum(1 for _ in order.shards())
    cluster.start()
    try:
        with driver(cluster, parts, killed) as first:
            await_that(recorded(2), "a first shard")
            before = cluster.running[:]
            cluster.kill_scheduler()
            cluster.stop()
            cluster.start()
            await_that(recorded(total // 2), "going on with another scheduler")
            assert first.poll() is None, "the driver did not wait for the scheduler"
            first.kill()
        kept = sum(1 for _ in parts.glob("*-*.json"))
        with driver(cluster, parts, killed) as second:
            await_that(lambda: second.poll() is not None, "the end of the run")
            assert second.returncode == 0, (home / "driver.log").read_text()[-2000:]
    finally:
        cluster.stop()
    compare(home, order, parts, model)
    deaths = sum(1 for _ in killed.iterdir())
    return (
        f"{total} shards: {deaths} workers, 1 scheduler ({len(before)} processes with it) and 1 driver killed, "
        f"{kept} shards kept for the second driver; the same bytes in each container"
    )


def compare(home: Path, order: JobFile, parts: Path, model: str | None) -> None:
    """Merged outputs with those of one process."""
    import geo2map.api

    names = sorted(path.stem for path in parts.glob("*-*.json"))
    assert names == sorted(shard.name for shard in order.shards()), "a shard is not recorded once"
    assert len(names) == sum(1 for _ in parts.glob("*.part"))
    for name in ("m.pmtiles", "m.tif", "tiles"):
        merge_parts(parts, home / "merged" / name)
        whole = home / "whole" / name
        if model is None:
            geo2map.api.tile(home / "s.tif", whole, card=CARD, **OPTIONS)
        else:
            geo2map.api.render(home / "s.tif", whole, engine=model, **OPTIONS)
        assert contents(home / "merged" / name) == contents(whole), f"{name} has other bytes"


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--model")
    asked.add_argument("--workers", type=int, default=4)
    asked.add_argument("--side", type=int, default=750, help="pixels of the scene; 750 are some 16 shards")
    asked.add_argument("--drive", nargs=3, help=argparse.SUPPRESS)
    args = asked.parse_args()
    if args.drive:
        drive(args.drive[0], Path(args.drive[1]), Path(args.drive[2]))
        return
    with tempfile.TemporaryDirectory(prefix="geo2map-") as home:
        print(run(Path(home), args.model, args.workers, args.side))


if __name__ == "__main__":
    main()
