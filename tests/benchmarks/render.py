"""Rendering against cutting tiles without a network: wall time, tiles a second and peak memory, a process each.

    python tests/benchmarks/render.py SCENE [SCENE ...] [--models sat2map FILE ...] [--runs 5] [--arguments "..."]

The yardstick is `gdal2tiles.py --xyz --processes=2` on the same scene at the same zooms, overviews included. Runs
alternate, so that all see the same machine. Seconds are those of the whole process, loading torch and model included.
With scenes of 1 x, 4 x and 16 x the area the same figures say whether rate and memory depend on the scene.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import rasterio

from geo2map.model import find_model, load_card
from geo2map.plan import PlanOptions, make_plan
from geo2map.scene import open_scenes


class Run(NamedTuple):
    """What a process took: seconds, those of all its processors, MiB at most, tiles at maxzoom."""

    seconds: float
    cpu: float
    memory: float
    tiles: int


def timed(command: list[str], out: Path, zoom: int) -> Run:
    """Runs a command that writes XYZ tiles; what its children use counts, memory only of the largest."""
    shutil.rmtree(out, ignore_errors=True)
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status != 0:
        sys.exit(f"{shlex.join(command)} failed: {said[-500:]}")
    tiles = sum(1 for path in (out / str(zoom)).rglob("*.png"))
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, tiles)


def commands(scene: Path, out: Path, models: list[str], more: list[str]) -> dict[str, list[str]]:
    """What to run, by name; the zooms of all are those that geo2map chooses."""
    with open_scenes(scene) as opened:
        zoom = make_plan(opened, load_card(find_model(models[0])), PlanOptions()).maxzoom
    found = {}
    if cutter := shutil.which("gdal2tiles.py"):
        zooms = f"--zoom=0-{zoom}"
        found["gdal2tiles"] = [cutter, "--xyz", "--processes=2", zooms, "-w", "none", "-q", str(scene), str(out)]
    geo2map = [sys.executable, "-m", "geo2map_cli", "render", str(scene), "--out", str(out), "--bare", *more]
    return found | {Path(model).stem: [*geo2map, "--model", model, "--zoom", str(zoom)] for model in models}


def zoom_of(command: list[str]) -> int:
    text = next((part for part in command if part.startswith("--zoom=")), "")
    return int(text.rpartition("-")[2] if text else command[command.index("--zoom") + 1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", nargs="+", type=Path)
    parser.add_argument("--models", nargs="+", default=["sat2map"])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--arguments", default="", help="more for geo2map render")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    for scene in arguments.scenes:
        with tempfile.TemporaryDirectory() as folder, rasterio.open(scene) as dataset:
            out = Path(folder) / "tiles"
            asked = commands(scene, out, arguments.models, shlex.split(arguments.arguments))
            runs: dict[str, list[Run]] = {name: [] for name in asked}
            for _ in range(arguments.runs):
                for name, command in asked.items():
                    runs[name].append(timed(command, out, zoom_of(command)))
                    print(f"{name}: {runs[name][-1]}", file=sys.stderr, flush=True)
            report(f"{dataset.width} x {dataset.height} px", runs, arguments.json)


def report(size: str, runs: dict[str, list[Run]], as_json: bool) -> None:
    """Prints medians; ratios are medians of the ratios of runs beside each other."""
    if as_json:
        print(json.dumps({"scene": size, "runs": {name: [run._asdict() for run in r] for name, r in runs.items()}}))
        return
    yardstick = next(iter(runs))
    for name, found in runs.items():
        median = statistics.median(run.seconds for run in found)
        cores = statistics.median(run.cpu / run.seconds for run in found)
        ratio = statistics.median(a.seconds / b.seconds for a, b in zip(found, runs[yardstick], strict=True))
        print(
            f"{size} {name}: {median:.1f} s (best {min(run.seconds for run in found):.1f}),"
            f" {found[0].tiles} tiles at maxzoom, {found[0].tiles / median:.1f} tiles/s, {cores:.2f} cores,"
            f" {max(run.memory for run in found):.0f} MiB, {ratio:.2f} x {yardstick}",
            flush=True,
        )


if __name__ == "__main__":
    main()
