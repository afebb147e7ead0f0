"""geo2map against the script that people write: the same weights, 256 px at a time, one after the other.

    python tests/benchmarks/naive.py SCENE [--models sat2map FILE ...] [--runs 5]

The script opens the scene in web-mercator at the same zoom, reads a window of 256 px, runs the plain generator on it
(eager, fp32, batch 1, all cores), saves a PNG, and merges all pictures into one GeoTIFF at the end. It knows no
margins, so its map has seams, and it makes no overviews. Both are timed without loading torch and the model.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
import torch
from engine import plain
from PIL import Image
from rasterio.transform import from_origin
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from geo2map import Engine, load_engine, render
from geo2map.families.unet.generator import UNetGenerator
from geo2map.grid import mercator_resolution, window_bounds
from geo2map.plan import PlanOptions, make_plan
from geo2map.scene import open_scenes
from geo2map.threads import available_threads

TILE = 256


@torch.inference_mode()
def script(scene: Path, out: Path, network: UNetGenerator, zoom: int, bounds: tuple[float, ...]) -> int:
    """The tiles it made."""
    size = mercator_resolution(zoom)
    columns, rows = (int(np.ceil(span / size / TILE)) for span in (bounds[2] - bounds[0], bounds[3] - bounds[1]))
    place = from_origin(bounds[0], bounds[3], size, size)
    grid = {"crs": "EPSG:3857", "transform": place, "width": columns * TILE, "height": rows * TILE}
    done: list[tuple[int, int, Path]] = []
    with rasterio.open(scene) as dataset, WarpedVRT(dataset, **grid, resampling=rasterio.enums.Resampling.cubic) as vrt:
        for row in range(rows):
            for column in range(columns):
                pixels = vrt.read((1, 2, 3), window=Window(column * TILE, row * TILE, TILE, TILE))
                if not pixels.any():
                    continue
                fake = network(torch.from_numpy(pixels)[None].float() / 127.5 - 1)[0]
                levels = ((fake + 1) * 127.5).round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
                path = out / f"{row}_{column}.png"
                Image.fromarray(levels).save(path)
                done.append((row, column, path))
    with rasterio.open(
        out / "merged.tif", "w", driver="GTiff", count=3, dtype="uint8", compress="deflate", **grid
    ) as m:
        for row, column, path in done:
            bands = np.moveaxis(np.asarray(Image.open(path)), -1, 0)
            m.write(bands, window=Window(column * TILE, row * TILE, TILE, TILE))
    return len(done)


def compare(scene: Path, model: str, runs: int) -> None:
    """Times both in turn and prints a line."""
    network, engine = plain(model), load_engine(model, device="cpu")
    with open_scenes(scene) as opened:
        plan = make_plan(opened, engine.card, PlanOptions())
    bounds = tuple(window_bounds(plan.window, plan.maxzoom))
    rates: dict[str, list[float]] = {"script": [], "geo2map": []}
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            tiles = script(scene, Path(folder), network, plan.maxzoom, bounds)
            rates["script"].append(tiles / (time.perf_counter() - started))
            rates["geo2map"].append(rendering(scene, Path(folder) / "tiles", engine))
    ratio = statistics.median(b / a for a, b in zip(rates["script"], rates["geo2map"], strict=True))
    script_rate, our_rate = (statistics.median(found) for found in rates.values())
    print(f"{engine.card.name}: script {script_rate:.1f}, geo2map {our_rate:.1f} tiles/s: {ratio:.2f} x", flush=True)


def rendering(scene: Path, out: Path, engine: Engine) -> float:
    """Tiles at maxzoom a second, overviews and all."""
    started = time.perf_counter()
    report = render(scene, out, engine=engine)
    seconds = time.perf_counter() - started
    shutil.rmtree(out)
    return report.tiles / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scene", type=Path)
    parser.add_argument("--models", nargs="+", default=["sat2map"])
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(available_threads())
    for model in arguments.models:
        compare(arguments.scene, model, arguments.runs)


if __name__ == "__main__":
    main()
