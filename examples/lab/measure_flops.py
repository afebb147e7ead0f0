"""Where a network's FLOPs are worth most: one with less of each of its parts, to be trained a little and measured.

    python examples/lab/measure_flops.py MODEL --out FOLDER [--widths 20,56,96,112,64]

writes a model for each part: the network with a sixth fewer channels at one level (those that its weights use least),
or with a residual block less. Train each of them alike for some hundred steps (`geo2map train --from FOLDER/...`), the
one called `all` too, which lacks nothing, and compare them with `geo2map evaluate`. With --widths it writes one model
of these widths instead, `resized`, whose new channels do nothing at first.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geo2map.families import build
from geo2map.families.unet.cost import gflop_per_tile
from geo2map.families.unet.transplant import strongest
from geo2map.model import find_model, load_card, load_weights, save_model

Weights = dict[str, Tensor]
FEWER = 5 / 6
NEW = -1


def chosen(count: int, into: Tensor, out: Tensor) -> list[int]:
    """Which channels, the first axis of both, to keep: the strongest; -1 is a new one."""
    kept: list[int] = strongest(min(count, len(into)), into, out).tolist()
    return kept + [NEW] * (count - len(into))


def take(weights: Weights, axis: int, kept: list[int], prefix: str, *, drawing: bool = False) -> None:
    """Keeps some channels of what begins so; new ones change nothing, unless they are drawn to be trained."""
    for name, values in weights.items():
        if name.startswith(prefix) and values.ndim > axis:
            taken = values.index_select(axis, torch.tensor(kept).clamp(min=0))
            new = torch.tensor(kept) == NEW
            if drawing and values.ndim == 4:
                fresh = torch.randn_like(taken) * values.std()
            else:
                fresh = torch.full_like(taken, name.endswith(("running_var", "weight")) and values.ndim == 1)
            weights[name] = torch.where(new.view([-1 if i == axis else 1 for i in range(taken.ndim)]), fresh, taken)


def resized(weights: Weights, config: dict[str, Any], level: int, count: int) -> tuple[Weights, dict[str, Any]]:
    """The network with so many channels at a level, on the way down and on the way up."""
    weights, widths = dict(weights), list(config["widths"])
    old, widths[level - 1] = widths[level - 1], count
    first = min(level - 1, 1)
    up = f"up.{level - 1}.1.weight"
    skips = chosen(count, weights[f"down.{level - 1}.{first}.weight"], weights[up][:old])
    take(weights, 0, skips, f"down.{level - 1}.{first}.", drawing=True)
    for part in range(first + 1, first + 2 + config["residual_blocks"][level - 1]):  # norm and blocks, or blocks
        take(weights, 0, skips, f"down.{level - 1}.{part}.")
        for convolution in (2, 5):
            take(weights, 1, skips, f"down.{level - 1}.{part}.body.{convolution}.")
    if level == len(widths):
        take(weights, 0, skips, up)
        return weights, config | {"widths": widths}
    risen = chosen(count, weights[f"up.{level}.1.weight"].transpose(0, 1), weights[up][old:])
    take(weights, 1, skips, f"down.{level}.1.")
    take(weights, 1, risen, f"up.{level}.1.", drawing=True)
    take(weights, 0, risen, f"up.{level}.2.")
    take(weights, 0, skips + [NEW if index == NEW else old + index for index in risen], up)
    return weights, config | {"widths": widths}


def without_block(weights: Weights, config: dict[str, Any], level: int) -> tuple[Weights, dict[str, Any]]:
    """The network without the last residual block of a level."""
    blocks = list(config["residual_blocks"])
    blocks[level - 1] -= 1
    last = f"down.{level - 1}.{3 + blocks[level - 1]}."
    kept = {name: values for name, values in weights.items() if not name.startswith(last)}
    return kept, config | {"residual_blocks": blocks}


def variants(weights: Weights, config: dict[str, Any]) -> Iterator[tuple[str, Weights, dict[str, Any]]]:
    yield "all", weights, config
    for level, width in enumerate(config["widths"], start=1):
        yield f"narrower-{level}", *resized(weights, config, level, round(width * FEWER))
        if config["residual_blocks"][level - 1]:
            yield f"block-less-{level}", *without_block(weights, config, level)


def with_widths(weights: Weights, config: dict[str, Any], widths: list[int]) -> tuple[str, Weights, dict[str, Any]]:
    torch.manual_seed(0)
    for level, width in enumerate(widths, start=1):
        if width != config["widths"][level - 1]:
            weights, config = resized(weights, config, level, width)
    return "resized", weights, config


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--widths", type=lambda text: [int(width) for width in text.split(",")])
    asked = parser.parse_args()
    path = find_model(asked.model)
    card, weights = load_card(path), load_weights(path)
    asked.out.mkdir(parents=True, exist_ok=True)
    plain = {key: value for key, value in card.config.items() if key != "crispen"}
    made = [with_widths(weights, plain, asked.widths)] if asked.widths else variants(weights, plain)
    for name, kept, config in made:
        margin = build(card.architecture, **config).margin
        save_model(asked.out / f"{name}.safetensors", kept, replace(card, name=name, config=config, margin=margin))
        print(f"{name}: {gflop_per_tile(**config):.3f} GFLOP")


if __name__ == "__main__":
    main()
