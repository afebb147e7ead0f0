"""Where a network's FLOPs are worth most: one with less of each of its parts, to be trained a little and measured.

    python docs/measure_flops.py MODEL --out FOLDER

writes a model for each part: the network with a sixth fewer channels at one level (those that its weights use least),
or with a residual block less. Train each of them alike for some hundred steps (`geo2map train --from FOLDER/...`), the
one called `all` too, which lacks nothing, and compare them with `geo2map evaluate`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from geo2map.model import find_model, gflop_per_tile, load_card, load_weights, save_model
from geo2map.nn import build

Weights = dict[str, Tensor]
FEWER = 5 / 6


def strongest(count: int, *uses: Tensor) -> Tensor:
    """Indices of the channels, the first axis of each, whose weights have the largest product of norms."""
    strength = uses[0].flatten(1).norm(dim=1)
    for use in uses[1:]:
        strength = strength * use.flatten(1).norm(dim=1)
    return strength.topk(count).indices.sort().values


def cut(weights: Weights, axis: int, kept: Tensor, *names: str) -> None:
    """Keeps some channels of the weights of these names, where there are such."""
    for name in weights:
        if name.startswith(names) and weights[name].ndim > axis:
            weights[name] = weights[name].index_select(axis, kept)


def narrower(weights: Weights, config: dict[str, Any], level: int) -> tuple[Weights, dict[str, Any]]:
    """The network with fewer channels at a level, on the way down and on the way up."""
    weights, widths, depth = dict(weights), list(config["widths"]), len(config["widths"])
    old = widths[level - 1]
    count = widths[level - 1] = round(old * FEWER)
    down, up = f"down.{level - 1}.{min(level - 1, 1)}.weight", f"up.{level - 1}.1.weight"
    skips = strongest(count, weights[down], weights[up][:old])
    cut(weights, 0, skips, f"down.{level - 1}.")  # convolution, norm and blocks
    for block in range(1, 3 + config["residual_blocks"][level - 1]):
        cut(weights, 1, skips, f"down.{level - 1}.{block}.body.2.", f"down.{level - 1}.{block}.body.5.")
    if level == depth:
        weights[up] = weights[up][skips]
        return weights, config | {"widths": widths}
    inner = f"up.{level}."
    risen = strongest(count, weights[inner + "1.weight"].transpose(0, 1), weights[up][old:])
    cut(weights, 1, skips, f"down.{level}.1.")
    cut(weights, 1, risen, inner + "1.")
    cut(weights, 0, risen, inner + "2.")
    weights[up] = weights[up][[*skips.tolist(), *(risen + old).tolist()]]
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
    for level in range(1, len(config["widths"]) + 1):
        yield f"narrower-{level}", *narrower(weights, config, level)
        if config["residual_blocks"][level - 1]:
            yield f"block-less-{level}", *without_block(weights, config, level)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    path = find_model(asked.model)
    card, weights = load_card(path), load_weights(path)
    asked.out.mkdir(parents=True, exist_ok=True)
    plain = {key: value for key, value in card.config.items() if key != "crispen"}
    for name, kept, config in variants(weights, plain):
        margin = build(card.architecture, **config).margin
        save_model(asked.out / f"{name}.safetensors", kept, replace(card, name=name, config=config, margin=margin))
        print(f"{name}: {gflop_per_tile(**config):.3f} GFLOP")


if __name__ == "__main__":
    main()
