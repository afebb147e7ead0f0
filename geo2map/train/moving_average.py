"""The moving average of a network's weights, which is what training exports."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class MovingAverage(nn.Module):
    """The average of a network's weights and buffers over the steps done, the last ones counting most.

    With the full window from the start, the first weights would still make up a sixth of the average after 900 steps
    of 0.998. So it grows, (1 + steps) / (10 + steps), as that of TensorFlow's ExponentialMovingAverage. It counts the
    steps itself, in main memory, so that an update need not wait for the device.

    Args:
        network: to follow; the average begins as a copy of it.
        decay: of the full window; 0 keeps the last weights.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.module = copy.deepcopy(network)
        self.register_buffer("n_averaged", torch.tensor(0))
        self.n_averaged: Tensor

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Takes in the network's weights after one more step."""
        steps = int(self.n_averaged)
        share = 1.0 - min(self.decay, (1 + steps) / (10 + steps)) if steps else 1.0
        pairs = list(zip(_tensors(self.module), _tensors(network), strict=True))
        real = [(mean, new) for mean, new in pairs if mean.is_floating_point()]
        torch._foreach_lerp_([mean for mean, _ in real], [new for _, new in real], share)
        for mean, new in pairs:
            if not mean.is_floating_point():
                mean.copy_(new)
        self.n_averaged += 1


def _tensors(network: nn.Module) -> list[Tensor]:
    return [tensor.detach() for tensor in (*network.parameters(), *network.buffers())]
