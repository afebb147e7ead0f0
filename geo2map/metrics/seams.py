"""Visibility of tile borders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from geo2map.metrics.pooled import Counts, Mean, Summed, check_shapes, strips
from geo2map.types import Image, Mask

PHASE = 32
"""Pixels after which JPEG's grid (8 px) and that of a U-Net of depth 5 repeat: at equal phase both are alike."""


@dataclass(frozen=True)
class SeamGradient(Summed):
    """Absolute first differences of neighbouring pixels, in levels: across tile borders, and inside tiles.

    Attributes:
        border: across borders.
        inside: away from borders, at equal phase.
    """

    border: Mean
    inside: Mean

    @classmethod
    def of(cls, image: Image, tile: int, offset: int = 0, phase: int = PHASE, mask: Mask | None = None) -> Self:
        """Compares the borders of one uint8 (H, W, 3) with the places inside tiles at the same phase.

        A tile is `tile` pixels wide and high; one begins at column and row `offset`, and at `offset` + k `tile`.
        Inside are the places `offset` + k `phase`: true pictures, whose JPEG blocks show a little, so measure 1.
        A difference counts where both pixels are valid.
        """
        found = cls(Mean(), Mean())
        for steps, counts in _both_ways(image, mask):
            place = np.arange(1, len(steps) + 1) - offset
            border = place % tile == 0
            found += cls(*(_at(steps, counts, at) for at in (border, ~border & (place % phase == 0))))
        return found

    @classmethod
    def between(cls, first: Image, second: Image, tile: int, mask: Mask | None = None) -> Self:
        """Compares the borders of two tilings of one picture, each with the same pixels of the other.

        Tiles of `first` begin at multiples of `tile`, those of `second` half a tile later, so a border of one lies
        inside a tile of the other. The content is the same: translations that do not depend on tiles measure 1.

        Raises:
            DataError: the shapes differ.
        """
        check_shapes(first, second, mask)
        found = cls(Mean(), Mean())
        for (one, counts), (other, _) in zip(_both_ways(first, mask), _both_ways(second, mask), strict=True):
            place = np.arange(1, len(one) + 1)
            for bordered, whole, offset in ((one, other, 0), (other, one, tile // 2)):
                at = (place - offset) % tile == 0
                found += cls(_at(bordered, counts, at), _at(whole, counts, at))
        return found

    @property
    def ratio(self) -> float:
        """Border mean over inside mean, 1.0 = no seam; NaN if the picture is flat or has no border or no inside."""
        if not self.border.count or not self.inside.count or not (self.border.total or self.inside.total):
            return float("nan")
        return self.border.value / self.inside.value if self.inside.total else float("inf")


def _at(steps: Counts, counts: Counts, places: npt.NDArray[np.bool_]) -> Mean:
    return Mean(steps[places].sum(), counts[places].sum())


def _both_ways(image: Image, mask: Mask | None) -> list[tuple[Counts, Counts]]:
    """Sums and numbers of the differences between columns c and c + 1, int64 (W - 1,), and those of rows."""
    turned = None if mask is None else mask.T
    return [_steps(image, mask), _steps(image.swapaxes(0, 1), turned)]


def _steps(image: Image, mask: Mask | None) -> tuple[Counts, Counts]:
    total, count = np.zeros(image.shape[1] - 1, np.int64), np.zeros(image.shape[1] - 1, np.int64)
    for rows, _, _ in strips(image):
        step = np.abs(np.diff(image[rows].astype(np.int16), axis=1))
        valid = np.ones(step.shape[:2], bool) if mask is None else mask[rows, 1:] & mask[rows, :-1]
        total += (step.sum(axis=2, dtype=np.int64) * valid).sum(axis=0)
        count += 3 * valid.sum(axis=0)
    return total, count


def seam_gradient_ratio(
    image: Image, tile: int, offset: int = 0, phase: int = PHASE, mask: Mask | None = None
) -> float:
    """See `SeamGradient.of`: mean absolute first difference across tile borders over that inside; 1.0 = no seam."""
    return SeamGradient.of(image, tile, offset, phase, mask).ratio
