"""What a precision changes: grey levels against fp32 on the CPU, class IoU and road F1 on pairs; JSON.

    python examples/lab/gpu/measure_precision.py PAIRS [--device cuda] [--model sat2map] [--limit 64]

The pairs are only compared with each other, so those of a training set do. tf32 is fp32 with TF32 convolutions allowed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from measure_engine import PRECISIONS, allow_tf32

from geo2map.colour.palette import MAPS_PALETTE
from geo2map.engine import load_engine
from geo2map.evaluate import EvaluateConfig, evaluate
from geo2map.model import find_model, load_card
from geo2map.train.pictures import PairFile, list_pairs

COMPARED = 4
"""Pictures that the CPU translates, too."""


def part(file: PairFile, multiple: int) -> np.ndarray:
    """The largest corner of an input that the network takes, uint8 (1, H, W, 3)."""
    picture = file.load()[0]
    height, width = (side // multiple * multiple for side in picture.shape[:2])
    return np.ascontiguousarray(picture[None, :height, :width])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--model", default="sat2map")
    parser.add_argument("--limit", type=int, default=64)
    asked = parser.parse_args()
    files = list_pairs(asked.pairs)[: asked.limit]
    card = load_card(find_model(asked.model))
    settings = EvaluateConfig(card.size_multiple, card.margin, MAPS_PALETTE, "native", "a2b", None, card.name)
    parts = [part(file, card.size_multiple) for file in files[:COMPARED]]
    with load_engine(asked.model, device="cpu", precision="fp32") as engine:
        exact = [engine.translate_pixels(picture).astype(int) for picture in parts]
    found = {}
    for name in PRECISIONS if torch.device(asked.device).type == "cuda" else ("fp32", "bf16"):
        allow_tf32(name)
        precision = "fp32" if name == "tf32" else name
        with load_engine(asked.model, device=asked.device, precision=precision) as engine:  # type: ignore[arg-type]
            away = [np.abs(engine.translate_pixels(p) - e) for p, e in zip(parts, exact, strict=True)]
            levels = np.concatenate([difference.ravel() for difference in away])
            report = evaluate(files, engine, settings).report()
        found[name] = {
            "levels_at_most": int(levels.max()),
            "levels_mean": float(levels.mean()),
            "share_over_one_level": float((levels > 1).mean()),
            "class_iou": report["class_iou"]["mean"],
            "road_f1": report["road_f1"],
            "rmse_sum": report["rmse_sum"],
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
