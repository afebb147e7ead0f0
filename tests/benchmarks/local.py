"""How much two processes of one thread each gain over one: `render --dask local:2` against one on one core.

    python tests/benchmarks/local.py scene.tif --zoom 17
    python tests/benchmarks/local.py                        a made-up scene of 8 x 8 blocks

Same model, one thread a core: the one process is kept to one core where the system can do that (Linux), since
`--threads 1` is the network's alone, and readers and encoders would have the other. Prints wall and CPU seconds,
how fast two are as a share of twice one (to be 0.9 or more on two idle cores), and the ratio of CPU seconds, which says
the same on a busy machine. Processes start and load the model once each; a larger --side makes that small.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine


def make_scene(path: Path, side: int) -> None:
    pixels = np.random.default_rng(0).integers(1, 255, (3, side // 50, side // 50), dtype=np.uint8)
    profile = {"driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8", "tiled": True}
    matrix = Affine(0.9, 0, 590_000, 0, -0.9, 4_510_000)
    with rasterio.open(path, "w", **profile, crs="EPSG:32618", transform=matrix) as dataset:
        dataset.write(pixels.repeat(50, 1).repeat(50, 2))


def one_core() -> None:
    """Keeps this process to the first of its cores."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def measure(command: list[str], prepare: Callable[[], None] | None = None) -> tuple[float, float]:
    """Wall and CPU seconds of a command and all that it started."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "geo2map_cli", *command], check=True, stdout=subprocess.DEVNULL, preexec_fn=prepare
    )
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("scene", nargs="?")
    asked.add_argument("--side", type=int, default=8_000, help="pixels of the made-up scene")
    args, options = asked.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="geo2map-") as folder:
        scene = args.scene or str(Path(folder) / "made-up.tif")
        if args.scene is None:
            make_scene(Path(scene), args.side)
        common = ["render", scene, "--device", "cpu", "--threads", "1", *options]
        one, two = Path(folder) / "one.pmtiles", Path(folder) / "two.pmtiles"
        wall1, cpu1 = measure([*common, "--out", str(one)], one_core)
        wall2, cpu2 = measure([*common, "--out", str(two), "--dask", "local:2"])
        same = "the same bytes" if one.read_bytes() == two.read_bytes() else "OTHER BYTES"
    print(f"one process: {wall1:.1f} s, {cpu1:.1f} CPU s; local:2: {wall2:.1f} s, {cpu2:.1f} CPU s; {same}")
    print(f"speed: {wall1 / wall2 / 2:.2f} of twice one process; CPU seconds: {cpu1 / cpu2:.2f}")


if __name__ == "__main__":
    main()
