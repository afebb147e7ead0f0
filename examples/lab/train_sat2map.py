"""A model like sat2map from nothing, in one command: train, calibrate, evaluate.

    python examples/lab/train_sat2map.py maps/ places/ --out mine.safetensors --steps 12000 --batch 24

MAPS is the pix2pix `maps` data set with its folders train and val, PLACES a folder of pairs for each other place
(docs/training.md). Other options are passed to `geo2map train`. The pairs in the two lists are held out of training and
used for calibration; val is used for evaluation alone.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[1]
FAVOUR = "water=-0.5,road=0.2,building=0.5,park=0.3,highway=0.5"
FAVOUR_ELSEWHERE = "water=-0.5,road=0.7,highway=0.4,building=0.2"


def geo2map(*arguments: object) -> None:
    """Runs the command line, as you would in a shell; ends with its exit code if it fails."""
    if code := subprocess.run([sys.executable, "-m", "geo2map_cli", *map(str, arguments)]).returncode:
        sys.exit(code)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("maps", type=Path)
    parser.add_argument("places", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="model file; the uncalibrated one lies beside it")
    parser.add_argument(
        "--aside", type=Path, default=EXAMPLES / "maps-validation.txt", help="pairs of maps/train to hold out"
    )
    parser.add_argument(
        "--elsewhere-aside", type=Path, default=EXAMPLES / "elsewhere-validation.txt", help="PLACE/NAME to hold out"
    )
    asked, options = parser.parse_known_args()
    home, trained = asked.maps / "train", asked.out.with_name(f"{asked.out.stem}-trained.safetensors")
    aside = ("--validation", asked.aside, "--elsewhere", asked.places, "--elsewhere-aside", asked.elsewhere_aside)
    geo2map("train", home, *aside, "--place", "New York", "--preset", "sat2map", "--out", trained, *options)
    favours = ("--favour", FAVOUR, "--favour-elsewhere", FAVOUR_ELSEWHERE)
    calibrated = ("--out", asked.out, "--overwrite", "--data", home, *aside)
    geo2map("models", "calibrate", trained, "--certainty", 8, *favours, *calibrated)
    geo2map("evaluate", "--data", asked.maps / "val", "--model", asked.out, "--seams", 0)


if __name__ == "__main__":
    main()
