"""What the scores of a legend tell beside the picture drawn of them: confidence, and probabilities of classes."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

_PERCENT, _LEVELS = 100, 255
_SHARP = 1e6
"""Scores that differ by less than about 1e-5 may count as equal."""


class ScorePlanes:
    """Confidence and probabilities of classes as levels, from the scores of a network with a legend. Has no weights.

    The probability of a class is the sum of those of its colours, by a softmax of score / temperature. Confidence is
    that of the class of the highest score, which is the one drawn, and is taken without the favours of a calibration:
    they choose what is drawn, and make nothing likelier.

    Args:
        classes: the class of each colour of the legend.
        groups: the classes that each plane of probability adds up; those without a colour count for nothing.
        certainty: temperature of the probabilities: what a calibration multiplied the scores by.
        temperatures: of each plane of confidence.
        favours: what a calibration added to each class's scores before it multiplied them.
    """

    def __init__(
        self,
        classes: Sequence[str],
        groups: Sequence[Collection[str]],
        *,
        certainty: float = 1.0,
        temperatures: Sequence[float] = (1.0,),
        favours: Mapping[str, float] | None = None,
    ) -> None:
        self._classes = [_members(classes, (name,)) for name in dict.fromkeys(classes)]
        self._groups = [_members(classes, group) for group in groups]
        self._certainty, self._temperatures = certainty, tuple(temperatures)
        self._added = [certainty * (favours or {}).get(name, 0.0) for name in classes]

    def __call__(self, scores: Tensor) -> Tensor:
        """Scores, float (N, colours, H, W), to uint8 (N, temperatures + groups, H, W); overwrites float32 scores.

        The first planes are confidence in percent, the others 255 x probability. A pixel depends on its own scores
        alone.
        """
        values = (scores if scores.dtype == torch.float64 else scores.float()).contiguous()
        below = values.sub_(values.amax(1, keepdim=True))
        first = len(self._temperatures)
        planes = below.new_empty(len(below), first + len(self._groups), *below.shape[2:])
        for plane, temperature in enumerate(self._temperatures):
            planes[:, plane] = self._confidence(below, temperature)
        if not self._groups:
            return planes.round_().to(torch.uint8)
        shares = below.mul_(_powers_of_two(self._certainty)).exp2_()
        total = _sum(shares, range(shares.shape[1]))
        for plane, members in enumerate(self._groups, start=first):
            planes[:, plane] = _sum(shares, members).mul_(_LEVELS).div_(total)
        return planes.round_().to(torch.uint8)

    def _confidence(self, below: Tensor, temperature: float) -> Tensor:
        """Percent, from scores relative to the highest one.

        Without its favour, the highest score's share is 2^(-favour in powers of two). It is picked as the maximum of
        that exponent + `_SHARP` x score, which is faster than a comparison and a choice.
        """
        power = _powers_of_two(temperature)
        without = [-more * power for more in self._added]
        shares = below.mul(power).exp2_()
        highest = torch.add(below.new_tensor(without).view(1, -1, 1, 1), below, alpha=_SHARP).amax(1)
        total = torch.zeros_like(highest)
        for members in self._classes:
            share = _sum(shares, members, [2 ** without[number] for number in members])
            total += share
            if len(members) > 1:
                nearest = torch.stack([below[:, number] for number in members]).amax(0)
                highest = torch.maximum(highest, share.log2_().add_(nearest, alpha=_SHARP))
        return highest.exp2_().mul_(_PERCENT).div_(total)


def _members(classes: Sequence[str], group: Collection[str]) -> list[int]:
    """The colours of some classes."""
    return [number for number, name in enumerate(classes) if name in group]


def _powers_of_two(temperature: float) -> float:
    """What turns e^(x / temperature) into a power of two, which takes a third of the time."""
    return 1 / (temperature * math.log(2))


def _sum(shares: Tensor, members: Sequence[int], weights: Sequence[float] = ()) -> Tensor:
    """The sum of some planes, in their order wherever a pixel lies."""
    if not members:
        return torch.zeros_like(shares[:, 0])
    total = shares[:, members[0]] * (weights[0] if weights else 1.0)
    for place, number in enumerate(members[1:], start=1):
        total.add_(shares[:, number], alpha=weights[place] if weights else 1.0)
    return total
