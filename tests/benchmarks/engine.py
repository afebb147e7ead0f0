"""The engine alone: milliseconds a kept tile against the network as it is, and against the machine's matrix product.

    python tests/benchmarks/engine.py [MODEL ...] [--spans 4] [--batches 1] [--runs 5] [--threads N]

"before" is the plain generator over block and margin, as torch runs it; "now" is `Engine.translate` with the margin.
Runs alternate, so that both see the same machine; with --clock cpu, seconds are those of all threads of this
process divided by their number, which counts on a machine that others use as well. Figures are medians.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from geo2map.engine import Engine, load_engine
from geo2map.families import build
from geo2map.families.unet.generator import UNetGenerator
from geo2map.families.unet.reach import walk_down, walk_up
from geo2map.model import find_model, load_card, load_weights
from geo2map.threads import available_threads

TILE = 256


def plain(model: str) -> UNetGenerator:
    """The generator of a model file, untouched."""
    path = find_model(model)
    card = load_card(path)
    network = build(card.architecture, **card.config)
    network.load_state_dict(load_weights(path))
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


@torch.inference_mode()
def before(network: UNetGenerator, pictures: np.ndarray) -> np.ndarray:
    """What the engine did: everything over block and margin."""
    pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2)
    output = network(pixels.to(torch.float32).div_(127.5).sub_(1.0))
    levels = output.float().add_(1.0).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)
    done: np.ndarray = levels.permute(0, 2, 3, 1).contiguous().numpy()
    return done


def gigaflops(network: UNetGenerator, kept: int, margin: int, whole: bool) -> float:
    """Floating-point operations, in 10^9, of one block's convolutions; a multiplication and an addition are two."""
    side, blocks = kept + 2 * margin, network.residual_blocks
    up = walk_up((margin, margin + kept), side, network.depth)
    down = walk_down(up[-1], side, blocks)
    total = 0.0
    for level, (way_down, way_up) in enumerate(zip(network.down, network.transposed(), strict=True), start=1):
        out = side >> level if whole else down[level][1] - down[level][0]
        first = way_down[1] if level > 1 else way_down[0]
        wide = out if whole else out + 4 * blocks[level - 1]
        total += 2 * first.weight.numel() * wide**2
        for k in range(2 * blocks[level - 1]):
            total += 2 * 9 * first.out_channels**2 * (wide if whole else wide - 2 * (k + 1)) ** 2
        taken = side >> level if whole else up[level][1] - up[level][0]
        total += 2 * way_up.weight.numel() * taken**2
    return total / 1e9


def matrix_rate(clock: Callable[[], float]) -> float:
    """GFLOP/s of a 2048 x 2048 float32 matrix product, the best of ten."""
    a, b = torch.randn(2, 2048, 2048)
    seconds = []
    for _ in range(10):
        started = clock()
        a @ b
        seconds.append(clock() - started)
    return 2 * 2048**3 / min(seconds) / 1e9


def compare(model: str, span: int, batch: int, runs: int, clock: Callable[[], float]) -> None:
    """Times one configuration and prints a line."""
    engine, network = load_engine(model, device="cpu", batch=batch, threads=torch.get_num_threads()), plain(model)
    margin, kept = engine.card.margin, span * TILE
    side, tiles = kept + 2 * margin, batch * span**2
    pictures = np.random.default_rng(0).integers(0, 256, (batch, side, side, 3), dtype=np.uint8)
    old, new = before(network, pictures), engine.translate_pixels(pictures, margin)
    levels = np.abs(old[:, margin:-margin, margin:-margin].astype(int) - new)
    seconds: dict[str, list[float]] = {"before": [], "now": []}
    for _ in range(runs):
        for name, call in (("before", before_call(network, pictures)), ("now", now_call(engine, pictures, margin))):
            started = clock()
            call()
            seconds[name].append((clock() - started) / tiles)
    then, now = (statistics.median(seconds[name]) for name in ("before", "now"))
    ratio = statistics.median(a / b for a, b in zip(seconds["before"], seconds["now"], strict=True))
    work, needed = (gigaflops(network, kept, margin, whole) / span**2 for whole in (True, False))
    print(
        f"{engine.card.name} span {span} batch {batch}: before {then * 1e3:.1f} ms/tile ({work / then:.0f} GFLOP/s), "
        f"now {now * 1e3:.1f} (best {min(seconds['now']) * 1e3:.1f}, {needed:.2f} GFLOP, {needed / now:.0f} GFLOP/s), "
        f"{ratio:.2f} x; levels off: at most {levels.max()}, in {(levels > 0).mean():.1e} of the values",
        flush=True,
    )


def before_call(network: UNetGenerator, pictures: np.ndarray) -> Callable[[], object]:
    return lambda: before(network, pictures)


def now_call(engine: Engine, pictures: np.ndarray, margin: int) -> Callable[[], object]:
    return lambda: engine.translate_pixels(pictures, margin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["sat2map"])
    parser.add_argument("--spans", type=int, nargs="+", default=[4])
    parser.add_argument("--batches", type=int, nargs="+", default=[1])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=available_threads())
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    threads = arguments.threads
    clock = time.perf_counter if arguments.clock == "wall" else lambda: time.process_time() / threads
    print(f"{threads} threads, torch {torch.__version__}, matrix product {matrix_rate(clock):.0f} GFLOP/s", flush=True)
    for model in arguments.models:
        for span in arguments.spans:
            for batch in arguments.batches:
                compare(model, span, batch, arguments.runs, clock)


if __name__ == "__main__":
    main()
