"""Reading alone: one reader against several, blocks one by one against strips; and a scene that is nearly empty.

    python tests/benchmarks/readers.py SCENE [--readers 1 2] [--strips 1 4] [--runs 5] [--empty]

Nothing is translated or written. Runs alternate, so that all see the same machine; figures are medians. With --empty
a copy of the scene of which a tenth has data is read as well.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from itertools import product
from pathlib import Path

import numpy as np
import rasterio

from geo2map.model import find_model, load_card
from geo2map.pipeline import strips
from geo2map.pipeline.reading import BlockReader
from geo2map.plan import Plan, PlanOptions, make_plan
from geo2map.scene import Imagery, open_scenes
from geo2map.threads import Budget


def seconds(scene: Imagery, plan: Plan, readers: int) -> tuple[float, float]:
    """Wall-clock and processors' seconds of reading a plan, from a source that has cached nothing."""
    with scene.at(plan.view) as source:
        started, busy = time.perf_counter(), time.process_time()
        for _ in BlockReader(plan, source, budget=Budget(readers)).read(plan.blocks()):
            pass
        return time.perf_counter() - started, time.process_time() - busy


def compare(path: Path, arguments: argparse.Namespace) -> None:
    """Times every combination and prints it."""
    taken: dict[tuple[int, int], list[tuple[float, float]]] = {}
    with open_scenes(path) as scene:
        plan = make_plan(scene, load_card(find_model(arguments.model)), PlanOptions())
        for _ in range(arguments.runs):
            for readers, strip in product(arguments.readers, arguments.strips):
                strips.STRIP_BLOCKS = strip
                taken.setdefault((readers, strip), []).append(seconds(scene, plan, readers))
    first = next(iter(taken.values()))
    tiles = plan.tiles.width * plan.tiles.height
    for (readers, strip), found in taken.items():
        wall, busy = (statistics.median(column) for column in zip(*found, strict=True))
        ratio = statistics.median(a[0] / b[0] for a, b in zip(first, found, strict=True))
        print(
            f"{path.name}: {readers} readers, strips of {strip}: {wall:.2f} s, {1000 * wall / tiles:.1f} ms a tile, "
            f"{busy:.2f} s of the processors, {ratio:.2f} x the first",
            flush=True,
        )


def emptied(path: Path, folder: Path) -> Path:
    """A copy whose data lie in one tenth of its rows, the rest nodata."""
    copy = folder / f"empty-{path.name}"
    with rasterio.open(path) as dataset:
        profile = dataset.profile | {"nodata": 0}
        pixels = dataset.read()
    rows = np.arange(pixels.shape[1])
    pixels[:, (rows < 0.45 * len(rows)) | (rows >= 0.55 * len(rows))] = 0
    with rasterio.open(copy, "w", **profile) as dataset:
        dataset.write(pixels)
    return copy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scene", type=Path)
    parser.add_argument("--model", default="sat2map", help="whose margin")
    parser.add_argument("--readers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--strips", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--empty", action="store_true")
    arguments = parser.parse_args()
    compare(arguments.scene, arguments)
    if arguments.empty:
        with tempfile.TemporaryDirectory() as folder:
            compare(emptied(arguments.scene, Path(folder)), arguments)


if __name__ == "__main__":
    main()
