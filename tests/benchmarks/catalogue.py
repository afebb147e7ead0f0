"""How long it takes to open thousands of sheets: once, when they are planned, and then from what the job file keeps.

    python tests/benchmarks/catalogue.py --sheets 2000

Sheets of 64 x 64 px that overlap a little, listed in a STAC ItemCollection. Planning opens all of them; a worker, here
a fresh process, reads the job file and opens only the sheets below its shard. Prints seconds without the imports.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from geo2map.cluster import JobFile, plan_job
from geo2map.testing import make_card

SIDE, STEP, PIXEL = 64, 60, 0.9
CARD = make_card(name="cut", margin=0, size_multiple=1)


def write_sheets(folder: Path, count: int) -> Path:
    """Sheets in a square, and the catalogue that lists them."""
    profile = {"driver": "GTiff", "width": SIDE, "height": SIDE, "count": 3, "dtype": "uint8", "crs": "EPSG:32618"}
    rng, across, items = np.random.default_rng(0), math.isqrt(count - 1) + 1, []
    for number in range(count):
        row, column = divmod(number, across)
        matrix = Affine(PIXEL, 0, 590_000 + column * STEP * PIXEL, 0, -PIXEL, 4_510_000 - row * STEP * PIXEL)
        with rasterio.open(folder / f"s{number}.tif", "w", **profile, transform=matrix) as dataset:
            dataset.write(rng.integers(1, 255, (3, SIDE, SIDE), dtype=np.uint8))
        asset = {"href": f"s{number}.tif", "roles": ["visual"], "type": "image/tiff"}
        items.append({"type": "Feature", "id": f"s{number}", "assets": {"visual": asset}})
    path = folder / "sheets.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    return path


def open_again(path: Path) -> str:
    """Seconds until the sheets of a job are open for a worker, and until it has a block in their middle."""
    started = time.perf_counter()
    order = JobFile.read(path)
    plan = order.job.plan
    with order.open_scenes() as scene, scene.at(plan.view) as source:
        opened = time.perf_counter() - started
        blocks = list(plan.blocks())
        image = source.read(blocks[len(blocks) // 2])
        assert image.mask.any()
        return f"{opened:.2f} s to open them, {time.perf_counter() - started:.2f} s until a block is read"


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--sheets", type=int, default=2_000)
    asked.add_argument("--again", type=Path, help=argparse.SUPPRESS)
    args = asked.parse_args()
    if args.again:
        print(open_again(args.again))
        return
    with tempfile.TemporaryDirectory(prefix="geo2map-") as folder:
        catalogue, job = write_sheets(Path(folder), args.sheets), Path(folder) / "sheets.job.json"
        started = time.perf_counter()
        order = plan_job(catalogue, model=None, card=CARD, zoom=17, match="none")
        order.write(job)
        spent, peak = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        size = job.stat().st_size / 1024
        print(f"{args.sheets:,} sheets: {spent:.2f} s to plan, {peak} MiB, a job file of {size:,.0f} KiB", flush=True)
        command = [sys.executable, __file__, "--again", str(job)]
        print(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())


if __name__ == "__main__":
    main()
