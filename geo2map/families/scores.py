"""What the scores of a legend tell beside the picture drawn of them: confidence, and probabilities of classes."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from functools import reduce

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
            room = below if plane == planes.shape[1] - 1 else torch.empty_like(below)
            self._fill_confidence(planes[:, plane], below, temperature, room)
        if not self._groups:
            return planes.round_().to(torch.uint8)
        shares = below.mul_(_powers_of_two(self._certainty)).exp2_()
        total = _sum(shares, range(shares.shape[1]))
        for plane, members in enumerate(self._groups, start=first):
            torch.div(_sum(shares, members).mul(_LEVELS), total, out=planes[:, plane])
        return planes.round_().to(torch.uint8)

    def _fill_confidence(self, plane: Tensor, below: Tensor, temperature: float, room: Tensor) -> None:
        """Percent, from scores relative to the highest one; `room` is for their shares, and may be the scores' own.

        Without its favour, the highest score's share is 2^(-favour in powers of two). That exponent is picked as the
        maximum of score + exponent / `_SHARP`, which is faster than a comparison and a choice.
        """
        power = _powers_of_two(temperature)
        without = [-more * power for more in self._added]
        highest = reduce(torch.maximum, (below[:, first] + without[first] / _SHARP for first, *_ in self._classes))
        several = [members for members in self._classes if len(members) > 1]
        nearest = [reduce(torch.maximum, (below[:, number] for number in members)) for members in several]
        torch.add(below.new_tensor(without).view(1, -1, 1, 1), below, alpha=power, out=room)
        shares = room.exp2_()
        for members, score in zip(several, nearest, strict=True):
            share = _sum(shares, members).log2_()
            torch.maximum(highest, share.mul_(1 / _SHARP).add_(score), out=highest)
        highest.mul_(_SHARP).exp2_().mul_(_PERCENT)
        torch.div(highest, _sum(shares, range(shares.shape[1])), out=plane)


def _members(classes: Sequence[str], group: Collection[str]) -> list[int]:
    """The colours of some classes."""
    return [number for number, name in enumerate(classes) if name in group]


def _powers_of_two(temperature: float) -> float:
    """What turns e^(x / temperature) into a power of two, which takes a third of the time."""
    return 1 / (temperature * math.log(2))


def _sum(shares: Tensor, members: Sequence[int]) -> Tensor:
    """The sum of some planes, in their order wherever a pixel lies; may be a view."""
    if not members:
        return torch.zeros_like(shares[:, 0])
    total = shares[:, members[0]]
    for place, number in enumerate(members[1:]):
        total = total.add_(shares[:, number]) if place else total + shares[:, number]
    return total
