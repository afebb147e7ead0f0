"""What the scores of a legend tell beside the picture drawn of them: confidence, and probabilities of classes."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import torch
from torch import Tensor

_PERCENT, _LEVELS = 100, 255


class ScorePlanes:
    """Confidence and probabilities of classes as levels, from the scores of a network with a legend. Has no weights.

    The probability of a class is the sum of those of its colours, by a softmax of score / temperature.

    Args:
        classes: the class of each colour of the legend.
        groups: the classes that each plane of probability adds up; those without a colour count for nothing.
        certainty: temperature of the probabilities: what a calibration multiplied the scores by.
        temperature: of the confidence.
    """

    def __init__(
        self,
        classes: Sequence[str],
        groups: Sequence[Collection[str]],
        *,
        certainty: float = 1.0,
        temperature: float = 1.0,
    ) -> None:
        each = [_members(classes, (name,)) for name in dict.fromkeys(classes)]
        self._shared = [members for members in each if len(members) > 1]
        self._groups = [_members(classes, group) for group in groups]
        self._certainty, self._temperature = certainty, temperature

    def __call__(self, scores: Tensor) -> Tensor:
        """Scores, float (N, colours, H, W), to uint8 (N, 1 + groups, H, W); overwrites them if they are float32.

        The first plane is the probability of the likeliest class in percent, the others are 255 x probability. A
        pixel depends on its own scores alone.
        """
        values = (scores if scores.dtype == torch.float64 else scores.float()).contiguous()
        below = values.sub_(values.amax(1, keepdim=True))
        planes = below.new_empty(len(below), 1 + len(self._groups), *below.shape[2:])
        planes[:, 0] = self._confidence(_shares(below.clone(), self._temperature))
        shares = _shares(below, self._certainty)
        total = _sum(shares, range(shares.shape[1]))
        for plane, members in enumerate(self._groups, start=1):
            planes[:, plane] = _sum(shares, members).mul_(_LEVELS).div_(total)
        return planes.round_().to(torch.uint8)

    def _confidence(self, shares: Tensor) -> Tensor:
        """The likeliest class in percent: the likeliest colour's share is 1, so that only classes with several colours
        may have more."""
        largest = torch.ones_like(shares[:, 0])
        for members in self._shared:
            largest = torch.maximum(largest, _sum(shares, members))
        return largest.mul_(_PERCENT).div_(_sum(shares, range(shares.shape[1])))


def _members(classes: Sequence[str], group: Collection[str]) -> list[int]:
    """The colours of some classes."""
    return [number for number, name in enumerate(classes) if name in group]


def _shares(below: Tensor, temperature: float) -> Tensor:
    """e^(below / temperature) in place; powers of two take a third of the time that `exp` does."""
    return below.mul_(1 / (temperature * math.log(2))).exp2_()


def _sum(shares: Tensor, members: Sequence[int]) -> Tensor:
    """The sum of some planes, in their order wherever a pixel lies."""
    total = torch.zeros_like(shares[:, 0])
    for number in members:
        total += shares[:, number]
    return total
