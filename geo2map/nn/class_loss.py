"""Losses of the classes that a map's colours stand for: cross-entropy and Jaccard."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from geo2map.colour.palette import Palette
from geo2map.nn.losses import balanced_weights, masked_mean

SOFTNESS = 100.0
"""Squared grey levels over which a colour passes from one class to the next: between a palette's nearest two, 19 levels
apart in `maps`, it is decided within 3 levels of the middle."""


class ClassLosses(NamedTuple):
    """Two scalars.

    Attributes:
        entropy: mean of -log of the probability of what may be true, balanced as L1 is.
        jaccard: mean of 1 - intersection / union over the classes that are there, in soft counts over the batch.
    """

    entropy: Tensor
    jaccard: Tensor


class ClassLoss(nn.Module):
    """What a pixel is taken for, by a softmax over its squared distances to the palette's colours.

    L1 and its like do not know that a blend of two classes may be a third one's colour: between land and road lies
    building. Here such a blend costs what a building costs. Jaccard is what is measured in the end (Rahman & Wang,
    ISVC 2016), and does not let a rare class go where it is likely but not certain.

    Where only some classes are known, a pixel may be what the map says if that class is known, else any class that is
    not; a class counts for Jaccard where it is known itself, and one that has no bit where all others are.

    Args:
        palette: the map style.
        shares: share of each palette class in the training maps, (classes,).
        balance: see `geo2map.nn.losses.BalancedL1`.
        bits: the bit of `known` of each class by name; classes without one are never excluded.
        softness: of the softmax, in squared grey levels.
    """

    def __init__(
        self,
        palette: Palette,
        shares: Tensor,
        balance: float,
        bits: Mapping[str, int],
        softness: float = SOFTNESS,
    ) -> None:
        super().__init__()
        self.all_bits = reduce(or_, bits.values())
        self.scale = 127.5**2 / softness
        self.register_buffer("colours", torch.from_numpy(palette.colours).float() / 127.5 - 1.0)
        self.register_buffer("classes", torch.from_numpy(palette.class_of_entry).long())
        self.register_buffer("weights", balanced_weights(shares, balance).float())
        self.register_buffer("bits", torch.tensor([bits.get(name, 0) for name in palette.classes], dtype=torch.uint8))
        self.colours: Tensor
        self.classes: Tensor
        self.weights: Tensor
        self.bits: Tensor

    def forward(self, fake_b: Tensor, real_b: Tensor, known: Tensor | None = None) -> ClassLosses:
        """Compares two float (N, 3, H, W) in [-1, 1].

        Args:
            known: uint8 (N, H, W), for each pixel the bits of the classes that are known; None: all.
        """
        found = self._log_shares(fake_b)
        with torch.no_grad():
            truth = self._log_shares(real_b).argmax(1)
            if known is None:
                known = torch.full_like(truth, self.all_bits, dtype=torch.uint8)
            known = known & self.all_bits
        return ClassLosses(self._entropy(found, truth, known), self._jaccard(found.exp(), truth, known))

    def _log_shares(self, picture: Tensor) -> Tensor:
        """Log of the probability of each class, (N, classes, H, W)."""
        closeness = F.conv2d(picture, 2 * self.colours[:, :, None, None], -(self.colours**2).sum(1))
        entries = torch.log_softmax(closeness * self.scale, 1)
        each = [entries[:, self.classes == index].logsumexp(1) for index in range(len(self.bits))]
        return torch.stack(each, 1)

    def _entropy(self, found: Tensor, truth: Tensor, known: Tensor) -> Tensor:
        with torch.no_grad():
            certain = (known == self.all_bits) | ((known & self.bits[truth]) != 0)
            may_be = (known[:, None] & self.bits[None, :, None, None]) == 0
            may_be = torch.where(certain[:, None], _one_hot(truth, len(self.bits)), may_be)
            weights = torch.where(certain, self.weights[truth], 1.0)
        loss = -found.masked_fill(~may_be, -torch.inf).logsumexp(1) * weights
        return masked_mean(loss, known != 0)

    def _jaccard(self, found: Tensor, truth: Tensor, known: Tensor) -> Tensor:
        with torch.no_grad():
            bits = torch.where(self.bits == 0, self.all_bits, self.bits)[None, :, None, None]
            counts = (known[:, None] & bits) == bits
            true = _one_hot(truth, len(self.bits)) & counts
            there = true.sum((0, 2, 3)) > 0
        both = (found * true).sum((0, 2, 3))
        either = (found * counts).sum((0, 2, 3)) + true.sum((0, 2, 3)) - both
        lost = 1.0 - both / either.clamp_min(1e-6)
        return (lost * there).sum() / there.sum().clamp_min(1)


def _one_hot(truth: Tensor, classes: int) -> Tensor:
    """Bool (N, classes, H, W) of int64 (N, H, W)."""
    return truth[:, None] == torch.arange(classes, device=truth.device)[None, :, None, None]
