"""What each choice of a recipe is worth: equal training time per row, several seeds, one table.

python examples/lab/ablate.py maps/train --validation examples/maps-validation.txt --out ablation/ --minutes 20

Trains every row of ROWS with each seed for the same time (a trial measures its pace first) and evaluates on the pairs
of --validation, which no row trains on. --start branches all rows off one model, as the discriminator joins a training
that has run for a while; without it each row starts from scratch. Results are stored in --out, so an interrupted run
can be resumed. Other options are those of `geo2map train`, for all rows alike. Choose a recipe by this, never by the
pairs you report.
"""

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

ROWS = {
    "preset geo2map": [],
    "L1 alone": ["--lambda-gan", "0"],
    "L1 alone, not balanced": ["--lambda-gan", "0", "--balance", "0"],
    "least squares": ["--gan-mode", "lsgan"],
    "hinge": ["--gan-mode", "hinge"],
    "feature matching": ["--lambda-features", "10"],
    "class borders count twice": ["--border", "1"],
    "commitment": ["--lambda-commit", "20"],
    "other sensors": ["--photometric", "0.7", "--ramp", "0.3"],
    "rims and holes": ["--holes", "0.15"],
    "JPEG noise left on": ["--flatten", "0"],
    "BatchRenorm": ["--norm", "renorm"],
    "no moving average": ["--ema", "0"],
    "batch of 2": ["--batch", "2"],
}
MEASURES = ("class_iou.mean", "road_f1", "rmse_sum", "acc5", "ssim", "edge_ratio", "flat_noise")
TRIAL, WARM = 40, 5


def geo2map(*arguments: object, threads: int) -> Any:
    """One command in a process of its own; its report."""
    command = [sys.executable, "-m", "geo2map_cli", *map(str, arguments), "--threads", str(threads), "--json"]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    return json.loads(done.stdout)


def train(asked: argparse.Namespace, folder: Path, options: list[str]) -> dict:
    """Trains one row for the time asked; the report of its evaluation."""
    recipe = ["train", asked.pairs, "--validation", asked.validation, *asked.options, *options]
    if asked.start:
        recipe += ["--from", asked.start, "--adversarial-from", 0, "--decay-from", 0]
    steps = asked.steps or max(1, round(60 * asked.minutes / _pace(asked, folder, recipe)))
    model = folder / "model.safetensors"
    trained = geo2map(*recipe, "--steps", steps, "--out", model, threads=asked.threads)
    kept_aside = asked.out / "kept-aside"
    measured = geo2map("evaluate", "--data", kept_aside, "--model", model, "--seams", 0, threads=asked.threads)
    return measured[0] | {"steps": steps, "minutes": trained["seconds"] / 60}


def _pace(asked: argparse.Namespace, folder: Path, recipe: list[object]) -> float:
    """Seconds a step takes: the whole schedule in small, without the first steps, which are slow."""
    trial = ["--out", folder / "trial.safetensors", "--steps", TRIAL, "--until", TRIAL - 1]
    geo2map(*recipe, *trial, threads=asked.threads)
    with (folder / "trial.run" / "losses.csv").open(encoding="utf-8", newline="") as file:
        seconds = [float(step["seconds"]) for step in csv.DictReader(file)]
    return (seconds[-1] - seconds[WARM]) / (len(seconds) - 1 - WARM)


def row(asked: argparse.Namespace, name: str, seed: int) -> tuple[str, dict]:
    """A row's figures with one seed, measured now or before."""
    folder = asked.out / f"{name} {seed}".replace(" ", "-").replace(",", "")
    report = folder / "report.json"
    if not report.exists():
        folder.mkdir(parents=True, exist_ok=True)
        found = train(asked, folder, [*ROWS[name], "--seed", str(seed)])
        report.write_text(json.dumps(found), encoding="utf-8")
    return name, json.loads(report.read_text(encoding="utf-8"))


def pick(report: dict, measure: str) -> float:
    """The figure under a dotted name."""
    for part in measure.split("."):
        report = report[part]
    return float(report)


def table(rows: list[tuple[str, dict]]) -> str:
    """Markdown: the figures of all seeds side by side, the spread for all to see."""
    columns = ("steps", "minutes", *MEASURES)
    lines = ["| row | " + " | ".join(columns) + " |", "|---" * (1 + len(columns)) + "|"]
    for name in dict(rows):
        reports = [report for other, report in rows if other == name]
        cells = [" ".join(f"{pick(report, column):.4g}" for report in reports) for column in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("pairs", type=Path, help="folder of side-by-side pictures")
    parser.add_argument("--validation", type=Path, required=True, help="list of the pictures to keep aside")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start", help="model that all rows branch off")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--minutes", type=float, default=20.0, help="of training a row and seed")
    parser.add_argument("--steps", type=int, help="instead of minutes")
    parser.add_argument("--workers", type=int, default=1, help="rows at once")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of each worker")
    asked, asked.options = parser.parse_known_args()
    names = [line for line in asked.validation.read_text(encoding="utf-8").splitlines() if line[:1] not in ("", "#")]
    (asked.out / "kept-aside").mkdir(parents=True, exist_ok=True)
    for name in names:
        shutil.copyfile(asked.pairs / name, asked.out / "kept-aside" / name)
    jobs = list(product(asked.rows, asked.seeds))
    with ThreadPoolExecutor(asked.workers) as pool:
        print(table(list(pool.map(lambda job: row(asked, *job), jobs))))


if __name__ == "__main__":
    main()
