"""Shared by all metrics: strips of rows, shape checks, sums that can be pooled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from geo2map.errors import DataError
from geo2map.types import Image, Mask

_STRIP_PIXELS = 1 << 16  # in a strip of rows, about
Counts = npt.NDArray[np.int64]


def strips(image: npt.NDArray[Any], halo: int = 0) -> Iterator[tuple[slice, slice, slice]]:
    """For each strip: its rows; the same with up to `halo` rows more above and below; the strip within these."""
    height, width = image.shape[:2]
    step = max(1, _STRIP_PIXELS // max(1, width))
    for top in range(0, height, step):
        bottom = min(top + step, height)
        first = max(0, top - halo)
        yield slice(top, bottom), slice(first, min(bottom + halo, height)), slice(top - first, bottom - first)


def check_shapes(truth: Image, prediction: Image, mask: Mask | None) -> None:
    """Raises DataError unless all have the same size."""
    if truth.shape != prediction.shape or (mask is not None and mask.shape != truth.shape[:2]):
        raise DataError(
            f"shapes differ: truth {truth.shape}, prediction {prediction.shape}, "
            f"mask {None if mask is None else mask.shape}; crop or resize them to one size first"
        )


def ratio(part: float, whole: float) -> float:
    """part / whole; NaN if whole is 0."""
    return float(part / whole) if whole else float("nan")


def finite(value: float) -> float | None:
    """The value as JSON knows it: None for NaN and infinity."""
    return float(value) if np.isfinite(value) else None


class Summed:
    """Adds field by field: the sum of two pictures' counts is the counts of both pictures."""

    def __add__(self, other: Self) -> Self:
        return type(self)(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Mean(Summed):
    """A mean that can be pooled: the sum of some values and how many they are."""

    total: float = 0
    count: float = 0

    @property
    def value(self) -> float:
        """The mean; NaN when nothing was counted."""
        return ratio(self.total, self.count)
