"""Pairs of other places: drawn place by place, with the colours a renderer would show them in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from geo2map.colour import ColourStatistics
from geo2map.colour.statistics import HALFWAY
from geo2map.train.sensors import Curves

UNMATCHED, BY_PLACE, BY_PICTURE = 1, 2, 2
"""How often a crop's colours are left alone, matched over the whole place, matched over its picture."""


class Places:
    """Pairs by place. A place is drawn as often as the root of its area says, so that a large one does not drown the
    others and a tiny one is not learned by heart.

    Args:
        samples: of each place, pixels of each of its inputs, at least one, uint8 (pixels, 3); as many as its area says.
        colours: what a renderer matches scenes to, the card's.

    Attributes:
        names: of the places.
        shares: how often each is drawn.
    """

    def __init__(self, samples: Mapping[str, Sequence[npt.NDArray[np.uint8]]], colours: ColourStatistics) -> None:
        self.names = tuple(samples)
        areas = np.array([sum(map(len, samples[name])) for name in self.names], float)
        self.shares = np.sqrt(areas) / np.sqrt(areas).sum()
        self._counts = np.array([len(samples[name]) for name in self.names])
        self._curves = np.concatenate([_matches(samples[name], colours) for name in self.names])

    def __len__(self) -> int:
        return int(self._counts.sum())

    def draw(self, count: int, rng: np.random.Generator) -> tuple[npt.NDArray[np.int64], Curves]:
        """Random pairs of random places.

        Returns:
            Their numbers, counted through all places, int64 (count,); their curves, uint8 (count, 3, 256).
        """
        place = rng.choice(len(self.names), size=count, p=self.shares)
        pair = (np.cumsum(self._counts) - self._counts)[place] + rng.integers(self._counts[place])
        return pair, self._curves[pair, rng.integers(self._curves.shape[1], size=count)]


def _matches(samples: Sequence[npt.NDArray[np.uint8]], colours: ColourStatistics) -> Curves:
    """The curves of each of a place's pairs, one of which is drawn, uint8 (pairs, choices, 3, 256)."""
    plain = np.broadcast_to(np.arange(256, dtype=np.uint8), (3, 256))
    place = ColourStatistics.of(np.concatenate(samples)).curve_to(colours, HALFWAY)
    single = [ColourStatistics.of(part).curve_to(colours, HALFWAY) for part in samples]
    return np.stack([[plain] * UNMATCHED + [place] * BY_PLACE + [own] * BY_PICTURE for own in single])
