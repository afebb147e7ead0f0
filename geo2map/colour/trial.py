"""How far to match a scene's colours, by what a network makes of samples of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from geo2map.types import Mask

TRIED_CLASSES: tuple[tuple[str, ...], ...] = (("road", "highway"), ("water",))
"""The classes whose probabilities a trial looks at, a plane each."""
_PERCENT, _LEVELS = 100.0, 255.0
_CONFIDENCE = 1.2
_WATER = 3.0
"""What confidence and a change of water weigh beside roads. Water's weight was chosen on pictures kept aside, where 0.2
to 1.2 are as good for confidence; looking at scenes decided among these (examples/lab/match.md)."""


@dataclass(frozen=True)
class MatchOutcome:
    """What a network makes of samples whose colours are matched in one way: means over pixels with data.

    Attributes:
        confidence: probability of the class drawn.
        road, water: probabilities of these classes.
        pixels: how many.
    """

    confidence: float
    road: float
    water: float
    pixels: int = 1

    @classmethod
    def of(cls, planes: npt.NDArray[np.uint8], mask: Mask) -> Self:
        """From planes of one sample.

        Args:
            planes: uint8 (3, H, W): confidence in percent, then 255 x the probability of each of `TRIED_CLASSES`.
            mask: which pixels count, bool (H, W), at least one.
        """
        confidence, road, water = (float(plane[mask].mean(dtype=np.float64)) for plane in planes)
        return cls(confidence / _PERCENT, road / _LEVELS, water / _LEVELS, int(mask.sum()))

    def __add__(self, other: Self) -> Self:
        """The outcome of both samples."""
        total = self.pixels + other.pixels
        mine, theirs = self.pixels / total, other.pixels / total
        confidence, road, water = (mine * a + theirs * b for a, b in zip(self._means, other._means, strict=True))
        return type(self)(confidence, road, water, total)

    @property
    def _means(self) -> tuple[float, float, float]:
        return self.confidence, self.road, self.water

    def merit(self, plain: MatchOutcome) -> float:
        """How well a match suits a scene, beside the outcome without one.

        A match that suits shows more roads, and a network surer of what it sees; one that does not suit turns dark
        ground into water, or water into ground.
        """
        return self.road + _CONFIDENCE * self.confidence - _WATER * abs(self.water - plain.water)


def shares_to_try(matching: float) -> list[float]:
    """How much of the way to the model's colours a trial goes: none, as far as the card says, all."""
    return sorted({0.0, matching, 1.0})


def best_outcome(outcomes: Sequence[MatchOutcome]) -> int:
    """The place of the best of some outcomes, of which the first is without a match; the first of equals."""
    return int(np.argmax([outcome.merit(outcomes[0]) for outcome in outcomes]))
