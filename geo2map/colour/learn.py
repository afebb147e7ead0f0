"""The colours of a map style, learned from its pictures: class colours, and those between them on soft edges."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from geo2map.colour.quantizer import MOST_COLOURS, Colours, check_colours
from geo2map.errors import DataError
from geo2map.types import Image

_BITS = 6  # a histogram of 64 x 64 x 64 bins
_ROUNDS = 40
_WEIGHTS = np.array([0.55, 0.77, 0.34])  # roots of the shares of brightness (Rec. 601): a step that looks alike
_Reals = npt.NDArray[np.float64]


@dataclass
class _Histogram:
    """Pixels and sums of their levels by bin."""

    counts: _Reals = field(default_factory=lambda: np.zeros(1 << 3 * _BITS))
    sums: _Reals = field(default_factory=lambda: np.zeros((3, 1 << 3 * _BITS)))

    def add(self, picture: Image) -> None:
        pixels = picture.reshape(-1, 3)
        high = pixels.astype(np.int32) >> 8 - _BITS
        bins = high[:, 0] << 2 * _BITS | high[:, 1] << _BITS | high[:, 2]
        self.counts += np.bincount(bins, minlength=self.counts.size)
        for band in range(3):
            self.sums[band] += np.bincount(bins, weights=pixels[:, band], minlength=self.counts.size)

    def colours(self) -> tuple[_Reals, _Reals]:
        """Mean colours, (bins, 3), of bins that have pixels, and how many these are, (bins,)."""
        used = self.counts > 0
        return (self.sums[:, used] / self.counts[used]).T, self.counts[used]


def learn_palette(
    pictures: Iterable[Image],
    fixed: Sequence[tuple[int, int, int]],
    *,
    size: int = MOST_COLOURS,
    calm: int = 4,
) -> Colours:
    """Learns at most `size` colours that represent the images of one map style.

    The fixed colours come first, in their order. Pixels within `calm` levels of one, in every channel, are taken for it
    and do not contribute, so that noise around a flat colour snaps to it; the others come from soft edges and labels
    and are grouped by k-means over a histogram, weighted by the square root of their frequency: rare colours count.
    Deterministic, and independent of the order of the images.

    Args:
        pictures: uint8 (H, W, 3), true maps; each is read once.
        fixed: the classes' own colours.
        size: how many colours at most, 1 to `MOST_COLOURS`.
        calm: levels.

    Returns:
        uint8 (N, 3), no colour twice; after the fixed ones by red, green, blue.

    Raises:
        DataError: there are no pictures, or more fixed colours than `size`.
    """
    if not len(fixed) <= size <= MOST_COLOURS or not fixed:
        raise DataError(f"{len(fixed)} fixed of {size} colours; give 1 to {size}, and at most {MOST_COLOURS} in all")
    histogram = _Histogram()
    for picture in pictures:
        histogram.add(picture)
    colours, counts = histogram.colours()
    if not len(colours):
        raise DataError("no images to learn colours from; give at least one")
    known = check_colours(fixed).astype(np.float64)
    free = np.abs(colours[:, None] - known).max(axis=-1).min(axis=1) > calm
    centres = _group(colours[free] * _WEIGHTS, np.sqrt(counts[free]), known * _WEIGHTS, size - len(known))
    found = np.unique((centres / _WEIGHTS).round().clip(0, 255).astype(np.uint8), axis=0)
    new = found[~(found[:, None] == known).all(axis=-1).any(axis=1)]
    return check_colours(np.concatenate([known.astype(np.uint8), new]))


def _group(points: _Reals, weights: _Reals, known: _Reals, count: int) -> _Reals:
    """Centres of at most `count` groups of weighted points, (N, 3); points nearest to a known centre belong to it."""
    centres = _seeds(points, weights, known, count)
    for _ in range(_ROUNDS if len(centres) else 0):
        nearest = _nearest(points, np.concatenate([known, centres])) - len(known)
        mine = nearest >= 0
        total = np.bincount(nearest[mine], weights=weights[mine], minlength=len(centres))
        sums = [
            np.bincount(nearest[mine], weights=weights[mine] * points[mine, band], minlength=len(centres))
            for band in range(3)
        ]
        moved = np.where(total[:, None] > 0, np.stack(sums, axis=1) / np.maximum(total, 1e-9)[:, None], centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres


def _seeds(points: _Reals, weights: _Reals, known: _Reals, count: int) -> _Reals:
    """One after the other the point with the largest weighted squared distance to all before; ties: the first."""
    distance = _squared(points, known).min(axis=1) if len(points) else np.zeros(0)
    seeds = []
    for _ in range(min(count, len(points))):
        worst = int((weights * distance).argmax())
        if distance[worst] == 0:
            break
        seeds.append(points[worst])
        distance = np.minimum(distance, _squared(points, points[worst][None])[:, 0])
    return np.array(seeds).reshape(-1, 3)


def _nearest(points: _Reals, centres: _Reals) -> npt.NDArray[np.intp]:
    return _squared(points, centres).argmin(axis=1)


def _squared(points: _Reals, centres: _Reals) -> _Reals:
    """Squared distances, (points, centres)."""
    found: _Reals = sum(((points[:, band, None] - centres[:, band]) ** 2 for band in range(3)), np.zeros(()))
    return found
