"""Pairs of other places: drawn place by place, with the colours a renderer would show them in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from geo2map.colour import ColourStatistics
from geo2map.colour.statistics import HALFWAY
from geo2map.train.augment import Pair

UNMATCHED, BY_PLACE, BY_PICTURE = 1, 2, 2
"""How often a crop's colours are left alone, matched over the whole place, matched over its picture."""


class Places:
    """Pairs by place. A place is drawn as often as the root of its area says, so that a large one does not drown the
    others and a tiny one is not learned by heart.

    Args:
        pairs: of each place, at least one.
        colours: what a renderer matches scenes to, the card's.
    """

    def __init__(self, pairs: Mapping[str, Sequence[Pair]], colours: ColourStatistics) -> None:
        self.names = tuple(pairs)
        self._pairs = [_matched(pairs[name], colours) for name in self.names]
        areas = np.array([sum(pair.a.shape[0] * pair.a.shape[1] for pair in place) for place in self._pairs], float)
        self.shares = np.sqrt(areas) / np.sqrt(areas).sum()

    def __len__(self) -> int:
        return sum(map(len, self._pairs))

    def draw(self, rng: np.random.Generator) -> Pair:
        """A random pair of a random place."""
        place = self._pairs[int(rng.choice(len(self._pairs), p=self.shares))]
        return place[int(rng.integers(len(place)))]


def _matched(pairs: Sequence[Pair], colours: ColourStatistics) -> list[Pair]:
    pixels = [pair.a[::4, ::4].reshape(-1, 3) for pair in pairs]
    place = ColourStatistics.of(np.concatenate(pixels)).curve_to(colours, HALFWAY)
    single = [ColourStatistics.of(part).curve_to(colours, HALFWAY) for part in pixels]
    return [
        replace(pair, matches=(None,) * UNMATCHED + (place,) * BY_PLACE + (own,) * BY_PICTURE)
        for pair, own in zip(pairs, single, strict=True)
    ]
