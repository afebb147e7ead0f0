"""The cost of a network from its configuration is what its convolutions do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from geo2map.families import build
from geo2map.families.unet.cost import gflop_per_tile


def counted(network: nn.Module) -> float:
    total = 0

    def count(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal total
        assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
        at = inputs[0] if isinstance(layer, nn.ConvTranspose2d) else output
        total += 2 * layer.weight.numel() * at.shape[2] * at.shape[3]

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.register_forward_hook(count)
    network.eval()(torch.zeros(1, 3, 256, 256))
    return total / 1e9


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"widths": [32, 64, 128, 256, 256], "residual_blocks": [0, 0, 2, 2, 0]}, 5.25),
        ({"widths": [16, 48, 96, 144, 144], "residual_blocks": [0, 0, 1, 2, 0]}, 1.98),
        ({"widths": [4, 8], "norm": "batch"}, None),
        ({}, None),
    ],
)
def test_cost_is_what_the_convolutions_do(config: dict[str, Any], expected: float | None) -> None:
    cost = gflop_per_tile(**config)
    assert cost == pytest.approx(counted(build("unet", **config)), rel=1e-6)
    if expected:
        assert cost == pytest.approx(expected, abs=0.005)
