"""Losses of the classes that a map's colours stand for: cross-entropy and Jaccard."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor, nn

from geo2map.colour.palette import Palette
from geo2map.families.legend import LEAST
from geo2map.train.losses import (
    balanced_weights,
    bits_of_all,
    closeness,
    nearest_entry,
    of_pictures,
    split_known,
)

_SOFTNESS = 100.0
"""Squared grey levels over which a colour passes from one class to the next: between a palette's nearest two, 19 levels
apart in `maps`, 5 levels from the middle are 87 to 13 %, and a colour itself is 97 % of its class."""


class ClassLosses(NamedTuple):
    """Two scalars.

    Attributes:
        cross_entropy: mean of -log of the probability of what may be true, balanced as L1 is.
        jaccard: mean of 1 - intersection / union over the classes that are there, in soft counts over this process's
            batch.
    """

    cross_entropy: Tensor
    jaccard: Tensor


class ClassLoss(nn.Module):
    """What a pixel is taken for, by a softmax over its squared distances to the palette's colours, or over scores.

    L1 and its like do not know that a blend of two classes may be a third one's colour: between land and road lies
    building. Here such a blend costs what a building costs. Jaccard is what is measured in the end (Rahman & Wang,
    ISVC 2016), and does not let a rare class go where it is likely but not certain.

    Where only some classes are known, a pixel may be what the map says if that class is known, else any class that is
    not; a class counts for Jaccard where it is known itself, and one that has no bit where all others are.

    Args:
        palette: the map style.
        shares: share of each palette class in the training maps, (classes,).
        balance: see `geo2map.train.losses.BalancedL1`.
        bits: the bit of `known` of each class by name; classes without one are never excluded.
        softness: of the softmax, in squared grey levels.
    """

    def __init__(
        self,
        palette: Palette,
        shares: Tensor,
        balance: float,
        bits: Mapping[str, int],
        softness: float = _SOFTNESS,
    ) -> None:
        super().__init__()
        self.own = [bits.get(name, 0) for name in palette.classes]
        self.entry_classes = palette.class_of_entry.tolist()
        self.all_bits = bits_of_all(self.own, bits)
        self.scale = 127.5**2 / softness
        self.register_buffer("colours", torch.from_numpy(palette.colours).float() / 127.5 - 1.0)
        self.register_buffer("class_of_entry", torch.from_numpy(palette.class_of_entry))
        self.register_buffer("weights", balanced_weights(shares, balance).float())
        self.register_buffer("bits", torch.tensor(self.own, dtype=torch.uint8))
        self.colours: Tensor
        self.class_of_entry: Tensor
        self.weights: Tensor
        self.bits: Tensor

    def forward(
        self,
        fake_b: Tensor,
        real_b: Tensor,
        known: Tensor | None = None,
        scores: Tensor | None = None,
        partly: Tensor | None = None,
    ) -> ClassLosses:
        """Compares two float (N, 3, H, W) in [-1, 1].

        Args:
            known: uint8 (N, H, W), for each pixel the bits of the classes that are known; None: all.
            scores: (N, entries, H, W), from which a `Legend` made `fake_b`; None takes distances.
            partly: see `geo2map.train.losses.BalancedL1.forward`.
        """
        found = self._log_shares(closeness(fake_b, self.colours) * self.scale if scores is None else scores)
        with torch.no_grad():
            truth = self.class_of_entry[nearest_entry(real_b, self.colours)]
            true = [truth == index for index in range(len(self.own))]
            if known is None:
                known = torch.full_like(truth, self.all_bits, dtype=torch.uint8)
            known = known & self.all_bits
            certain, doubtful = split_known(known, self.bits[truth], self.all_bits)
            total = (known != 0).sum().clamp_min(1)
        cost = self._of_certain(found, true, certain)
        some_known, some_doubtful, *some = of_pictures(partly, known, doubtful, *found)
        if len(some_known):
            cost = cost + self._of_doubtful(some, some_known, some_doubtful)
        return ClassLosses(cost / total, self._jaccard(found, true, known))

    def _log_shares(self, scores: Tensor) -> list[Tensor]:
        """Log of the probability of each class, (N, H, W) each; planes, since torch is slow across them."""
        each: list[list[Tensor]] = [[] for _ in self.own]
        for entry, index in zip(scores.contiguous().unbind(1), self.entry_classes, strict=True):
            each[index].append(entry)
        of_class = [reduce(torch.logaddexp, entries) for entries in each]
        total = _log_sum(of_class)
        return [score - total for score in of_class]

    def _of_certain(self, found: list[Tensor], true: list[Tensor], certain: Tensor) -> Tensor:
        total = found[0].new_zeros(())
        for logs, here, weight in zip(found, true, self.weights, strict=True):
            total = total - weight * torch.where(here & certain, logs, 0.0).sum()
        return total

    def _of_doubtful(self, found: list[Tensor], known: Tensor, doubtful: Tensor) -> Tensor:
        pairs = zip(found, self.own, strict=True)
        may_be = _log_sum([logs.masked_fill((known & bit) != 0, -torch.inf) for logs, bit in pairs])
        return -torch.where(doubtful, may_be, 0.0).sum()

    def _jaccard(self, found: list[Tensor], true: list[Tensor], known: Tensor) -> Tensor:
        lost, there = [], []
        for logs, here, own in zip(found, true, self.own, strict=True):
            bit = own or self.all_bits
            counts = (known & bit) == bit
            share = torch.where(counts, logs.clamp_min(LEAST).exp(), 0.0)
            pixels = (here & counts).sum()
            both = torch.where(here, share, 0.0).sum()
            lost.append(1.0 - both / (share.sum() + pixels - both).clamp_min(1e-6))
            there.append(pixels > 0)
        present = torch.stack(there)
        return torch.where(present, torch.stack(lost), 0.0).sum() / present.sum().clamp_min(1)


def _log_sum(planes: list[Tensor]) -> Tensor:
    """Log of the sum of what these are logarithms of; -inf is nothing."""
    with torch.no_grad():
        highest = reduce(torch.maximum, planes).clamp_min(torch.finfo(planes[0].dtype).min)
    return reduce(torch.add, ((plane - highest).clamp_min(LEAST).exp() for plane in planes)).log() + highest
