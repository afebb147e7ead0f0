"""The engine's share of the rate at which the device multiplies matrices, in each precision; JSON.

    python examples/lab/gpu/measure_engine.py [--device cuda] [--models sat2map,sat2map-large] [--span 4] [--runs 20]

Operations are those of the card, without the margin, so that the share counts what a map needs and the margin as waste.
tf32 is fp32 with TF32 convolutions allowed. Products are timed before and after the engine and the better rate counts,
so that a device busy with something else for a while doesn't make the engine look better than it is.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from geo2map.engine import load_engine
from geo2map.families import find_family

TILE = 256
PRECISIONS = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def seconds(call: Callable[[], object], device: torch.device, runs: int) -> float:
    """Median time of a call that has been made before."""
    found = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        found.append(time.perf_counter() - started)
    return statistics.median(found[1:])


def allow_tf32(name: str) -> None:
    """Whether convolutions and matrix products in fp32 may use TF32."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = name == "tf32"


def matrix_rate(name: str, side: int, device: torch.device, runs: int) -> float:
    """TFLOP/s of a square matrix product."""
    a, b = torch.randn(2, side, side, device=device).to(PRECISIONS[name])
    return 2 * side**3 / seconds(lambda: a @ b, device, runs) / 1e12


def measure(model: str, name: str, device: torch.device, span: int, runs: int) -> dict[str, float]:
    """Tiles a second and TFLOP/s of an engine, a batch at a time and two in flight."""
    with load_engine(model, device=str(device), precision="fp32" if name == "tf32" else name) as engine:  # type: ignore[arg-type]
        card = engine.card
        side = span * TILE + 2 * card.margin
        blocks = np.random.default_rng(0).integers(0, 256, (engine.batch, side, side, 3 + card.noise), dtype=np.uint8)
        alone = seconds(lambda: engine.translate_pixels(blocks, card.margin), device, runs)

        def twice() -> None:
            waiting = [engine.begin_pixels(blocks, card.margin) for _ in range(2)]
            for wait in waiting:
                wait()

        in_flight = seconds(twice, device, max(1, runs // 2)) / 2
        tiles = engine.batch * span**2
        work = find_family(card.architecture).gflop_per_tile(card.config) / 1e3
        return {
            "tiles_per_second": tiles / alone,
            "tiles_per_second_two_in_flight": tiles / in_flight,
            "tflops": work * tiles / in_flight,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--models", default="sat2map,sat2map-large")
    parser.add_argument("--span", type=int, default=4)
    parser.add_argument("--side", type=int, default=8192, help="of the matrices")
    parser.add_argument("--runs", type=int, default=20)
    asked = parser.parse_args()
    device = torch.device(asked.device)
    found: dict[str, dict[str, object]] = {}
    for name in PRECISIONS if device.type == "cuda" else ("fp32", "bf16"):
        allow_tf32(name)
        rate = matrix_rate(name, asked.side, device, asked.runs)
        reports = {model: measure(model, name, device, asked.span, asked.runs) for model in asked.models.split(",")}
        rate = max(rate, matrix_rate(name, asked.side, device, asked.runs))
        shares = {model: report | {"share": report["tflops"] / rate} for model, report in reports.items()}
        found[name] = {"matrix_tflops": rate, **shares}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
