"""How far pixels are from the true ones, in levels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from geo2map.metrics.pooled import Counts, Summed, check_shapes, ratio, strips
from geo2map.types import Image, Mask

_LEVELS = np.arange(256, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Differences(Summed):
    """Histograms of absolute differences in levels; every pixel-wise score follows from them.

    Attributes:
        channel: channel values that differ by 0, 1, ... 255 levels, int64 (256,).
        pixel: pixels whose largest channel difference is 0, 1, ... 255 levels, int64 (256,).
    """

    channel: Counts
    pixel: Counts

    @classmethod
    def of(cls, truth: Image, prediction: Image, mask: Mask | None = None) -> Self:
        """Counts the valid pixels of two uint8 (H, W, 3)."""
        check_shapes(truth, prediction, mask)
        channel, pixel = np.zeros(256, np.int64), np.zeros(256, np.int64)
        for rows, _, _ in strips(truth):
            levels = np.maximum(truth[rows], prediction[rows]) - np.minimum(truth[rows], prediction[rows])
            levels = levels.reshape(-1, 3) if mask is None else levels[mask[rows]]
            channel += np.bincount(levels.ravel(), minlength=256)
            pixel += np.bincount(levels.max(axis=1), minlength=256)
        return cls(channel, pixel)

    @property
    def rmse(self) -> float:
        """Root of the mean over pixels and channels of the squared difference, levels."""
        return ratio(float(self.channel @ _LEVELS**2), self.channel.sum()) ** 0.5

    @property
    def rmse_sum(self) -> float:
        """sqrt(3) x `rmse`, levels: squares summed over the channels, as StegoGAN's `evaluate_google.py` does."""
        return 3**0.5 * self.rmse

    @property
    def psnr(self) -> float:
        """Peak signal-to-noise ratio 20 log10(255 / rmse), decibels; infinite for equal pictures."""
        return float("inf") if self.rmse == 0 else float(20 * np.log10(255 / self.rmse))

    @property
    def mean(self) -> float:
        """Mean absolute difference of a channel value, levels."""
        return ratio(float(self.channel @ _LEVELS), self.channel.sum())

    @property
    def largest(self) -> int:
        """Largest difference of a channel value, levels; 0 of nothing."""
        return int(self.channel.nonzero()[0].max(initial=0))

    def accuracy(self, delta: int) -> float:
        """Share of pixels whose largest channel difference is less than `delta` levels (GcGAN, CVPR 2019)."""
        return ratio(self.pixel[:delta].sum(), self.pixel.sum())


def rmse(truth: Image, prediction: Image, mask: Mask | None = None) -> float:
    """See `Differences.rmse`; levels."""
    return Differences.of(truth, prediction, mask).rmse


def rmse_sum(truth: Image, prediction: Image, mask: Mask | None = None) -> float:
    """See `Differences.rmse_sum`; levels."""
    return Differences.of(truth, prediction, mask).rmse_sum


def psnr(truth: Image, prediction: Image, mask: Mask | None = None) -> float:
    """See `Differences.psnr`; decibels."""
    return Differences.of(truth, prediction, mask).psnr


def accuracy(truth: Image, prediction: Image, delta: int, mask: Mask | None = None) -> float:
    """See `Differences.accuracy`; 0 to 1."""
    return Differences.of(truth, prediction, mask).accuracy(delta)


class TileMismatch(NamedTuple):
    """How two translations of the same pixels differ; all zero where tiling is exact.

    Attributes:
        mean: mean absolute difference of a channel value, levels.
        p99: 99th percentile of the largest channel difference of a pixel, levels.
        above_2, above_5: share of pixels where it exceeds 2 and 5 levels.
    """

    mean: float
    p99: int
    above_2: float
    above_5: float

    @classmethod
    def of(cls, found: Differences) -> Self:
        """The mismatch of pixels that were counted."""
        p99 = int(np.searchsorted(found.pixel.cumsum(), 0.99 * found.pixel.sum()))
        return cls(found.mean, p99, 1 - found.accuracy(3), 1 - found.accuracy(6))


def tile_mismatch(a: Image, b: Image, mask: Mask | None = None) -> TileMismatch:
    """Compares the same pixels translated in two tilings (Buglakova et al., ICCV 2025, arXiv 2503.19545)."""
    return TileMismatch.of(Differences.of(a, b, mask))
