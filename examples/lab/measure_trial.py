"""How far to match scenes: never, half, all the way, or as a trial on samples says; each picture is a scene.

    python examples/lab/measure_trial.py MODEL PLACES [--aside LIST] [--limit N]

PLACES holds a folder of pairs for each place; LIST names the pairs that training kept aside, and only these are taken.
Prints means over places of road F1, IoU of buildings and water, and false water, for each way, then the places.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from geo2map.api.calibrating import CalibrationPairs, scoring_config
from geo2map.engine import load_engine
from geo2map.evaluate import evaluate

FIGURES = ("road_f1", "building", "water", "false_water")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("places", type=Path)
    parser.add_argument("--aside", type=Path)
    parser.add_argument("--limit", type=int)
    asked = parser.parse_args()
    engine = load_engine(asked.model, device="cpu")
    places = CalibrationPairs(elsewhere=asked.places, elsewhere_aside=asked.aside).places()
    plain = replace(scoring_config(engine.card), protocol="scene", seams=0, limit=asked.limit)
    ways = {share: replace(plain, matching=share, tries=False) for share in (0.0, 0.5, 1.0)}
    for way, config in [*ways.items(), ("trial", plain)]:
        found: dict[str, list[float]] = {}
        for place, files in places.items():
            report = evaluate(files, engine, config).report()
            own = report["class_iou"] or {}
            values = (report["road_f1"], own.get("building"), own.get("water"), report["false_water"])
            found[place] = [float("nan") if value is None else float(value) for value in values]
        means = np.nanmean(np.array(list(found.values()), float), axis=0)
        print(way, *(f"{name} {value:.3f}" for name, value in zip(FIGURES, means, strict=True)))
        for place, values in found.items():
            print("   ", place, *(f"{value:.3f}" for value in values), flush=True)


if __name__ == "__main__":
    main()
