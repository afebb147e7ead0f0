"""How close a translated picture is to the true one, and whether its tiles show: pure array functions.

Pictures are uint8 (H, W, 3); a mask is bool (H, W), True where both pictures are valid. Work is done in strips
of rows, so a tall raster needs little memory beside itself. A mean over nothing is NaN. Two pictures (or a picture
and a mask) of different shapes raise DataError.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, gaussian_filter, minimum_filter

from geo2map.errors import DataError
from geo2map.palette import Palette
from geo2map.types import Image, Mask

ROAD_TOLERANCE = 3.0  # pixels
STRIP_PIXELS = 1 << 16  # in a strip of rows, about
Counts = npt.NDArray[np.int64]
Classes = npt.NDArray[np.int64]
_LEVELS = np.arange(256, dtype=np.int64)


def _strips(image: npt.NDArray[Any], halo: int = 0) -> Iterator[tuple[slice, slice, slice]]:
    """Rows of a strip; the same with up to `halo` rows more above and below; the strip within these."""
    height, width = image.shape[:2]
    step = max(1, STRIP_PIXELS // max(1, width))
    for top in range(0, height, step):
        bottom = min(top + step, height)
        first = max(0, top - halo)
        yield slice(top, bottom), slice(first, min(bottom + halo, height)), slice(top - first, bottom - first)


def _check_shapes(truth: Image, prediction: Image, mask: Mask | None) -> None:
    if truth.shape != prediction.shape or (mask is not None and mask.shape != truth.shape[:2]):
        raise DataError(
            f"pictures of one shape asked, found truth {truth.shape}, prediction {prediction.shape}, "
            f"mask {None if mask is None else mask.shape}: crop or resize them to each other first"
        )


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


class _Summed:
    """Adds field by field: the sum of two pictures' counts is the counts of both pictures."""

    def __add__(self, other: Self) -> Self:
        return type(self)(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Mean(_Summed):
    """A mean that can be pooled: the sum of some values and how many they are."""

    total: float = 0
    count: int = 0

    @property
    def value(self) -> float:
        """The mean; NaN when nothing was counted."""
        return _ratio(self.total, self.count)


@dataclass(frozen=True, eq=False)
class Differences(_Summed):
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
        _check_shapes(truth, prediction, mask)
        channel, pixel = np.zeros(256, np.int64), np.zeros(256, np.int64)
        for rows, _, _ in _strips(truth):
            levels = np.maximum(truth[rows], prediction[rows]) - np.minimum(truth[rows], prediction[rows])
            levels = levels.reshape(-1, 3) if mask is None else levels[mask[rows]]
            channel += np.bincount(levels.ravel(), minlength=256)
            pixel += np.bincount(levels.max(axis=1), minlength=256)
        return cls(channel, pixel)

    @property
    def rmse(self) -> float:
        """Root of the mean over pixels and channels of the squared difference, levels."""
        return _ratio(float(self.channel @ _LEVELS**2), self.channel.sum()) ** 0.5

    @property
    def rmse_sum(self) -> float:
        """sqrt(3) x `rmse`, levels: squares summed over the channels, as StegoGAN's `evaluate_google.py` does."""
        return 3**0.5 * self.rmse

    @property
    def psnr(self) -> float:
        """Peak signal-to-noise ratio 20 log10(255 / rmse), decibels; infinite for equal pictures."""
        return float("inf") if self.rmse == 0 else float(20 * np.log10(255 / self.rmse))

    def accuracy(self, delta: int) -> float:
        """Share of pixels whose largest channel difference is less than `delta` levels (GcGAN, CVPR 2019)."""
        return _ratio(self.pixel[:delta].sum(), self.pixel.sum())


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


def tile_mismatch(a: Image, b: Image, mask: Mask | None = None) -> TileMismatch:
    """Compares the same pixels translated in two tilings (Buglakova et al., ICCV 2025, arXiv 2503.19545)."""
    found = Differences.of(a, b, mask)
    mean = _ratio(float(found.channel @ _LEVELS), found.channel.sum())
    p99 = int(np.searchsorted(found.pixel.cumsum(), 0.99 * found.pixel.sum()))
    return TileMismatch(mean, p99, 1 - found.accuracy(3), 1 - found.accuracy(6))


def ssim(truth: Image, prediction: Image, mask: Mask | None = None) -> float:
    """Structural similarity, mean over channels and pixels whose 11 x 11 window is wholly valid; -1 to 1.

    Wang et al. 2004: Gaussian window of sigma 1.5, K1 = 0.01, K2 = 0.03, range 255, population covariance. Without a
    mask equal to `skimage.metrics.structural_similarity(gaussian_weights=True, sigma=1.5, data_range=255,
    use_sample_covariance=False, channel_axis=-1)`; NaN if no window is valid.
    """
    _check_shapes(truth, prediction, mask)
    mean = Mean()
    for _, wide, inner in _strips(truth, halo=5):
        valid = np.ones(truth[wide].shape[:2], np.uint8) if mask is None else mask[wide].astype(np.uint8)
        valid = minimum_filter(valid, size=11, mode="constant", cval=0)[inner].astype(bool)
        similarity = _similarity(truth[wide].astype(np.float64), prediction[wide].astype(np.float64))[inner]
        mean += Mean(similarity[valid].sum(), 3 * valid.sum())
    return mean.value


def _similarity(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Local similarity of each pixel and channel, float64 (H, W, 3)."""
    blur = partial(gaussian_filter, sigma=(1.5, 1.5, 0), truncate=3.5)  # 11 x 11
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_x, mean_y = blur(x), blur(y)
    variances = blur(x * x + y * y) - mean_x**2 - mean_y**2
    covariance = blur(x * y) - mean_x * mean_y
    numerator = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return numerator / ((mean_x**2 + mean_y**2 + c1) * (variances + c2))


def classify(image: Image, palette: Palette) -> Classes:
    """Class of the nearest palette colour for each pixel, int64 (H, W); colours of one class are folded."""
    classes = np.empty(image.shape[:2], np.int64)
    for rows, _, _ in _strips(image):
        packed = image[rows].astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
        colours, where = np.unique(packed, return_inverse=True)
        channels = np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=-1)
        classes[rows] = palette.classify(channels.astype(np.uint8))[where].reshape(packed.shape)
    return classes


def confusion(truth: Classes, prediction: Classes, classes: int, mask: Mask | None = None) -> Counts:
    """Counts valid pixels by class: int64 (classes, classes), a row a true class, a column a predicted one."""
    pairs = truth * classes + prediction
    return np.bincount(pairs.ravel() if mask is None else pairs[mask], minlength=classes**2).reshape(classes, classes)


def class_iou(counts: Counts) -> npt.NDArray[np.float64]:
    """Intersection over union of each class of a confusion matrix; NaN where neither truth nor prediction has it."""
    union = counts.sum(axis=0) + counts.sum(axis=1) - np.diag(counts)
    return np.array([_ratio(same, either) for same, either in zip(np.diag(counts), union, strict=True)])


def mean_iou(counts: Counts) -> float:
    """Mean of `class_iou` over the classes that the truth or the prediction has; NaN if there is none."""
    present = [value for value in class_iou(counts) if not np.isnan(value)]
    return _ratio(sum(present), len(present))


@dataclass(frozen=True)
class RoadMatches(_Summed):
    """Road pixels near road pixels (relaxed precision and recall, Mnih & Hinton, ECCV 2010).

    Attributes:
        precision: predicted road pixels within the tolerance of a true one, of all predicted.
        recall: true road pixels within the tolerance of a predicted one, of all true.
    """

    precision: Mean
    recall: Mean

    @classmethod
    def of(cls, truth: Mask, prediction: Mask, mask: Mask | None = None, tolerance: float = ROAD_TOLERANCE) -> Self:
        """Counts two bool (H, W), True on roads; distances are Euclidean, in pixels, the tolerance included."""
        if mask is not None:
            truth, prediction = truth & mask, prediction & mask
        found = cls(Mean(), Mean())
        for rows, wide, inner in _strips(truth, halo=int(np.ceil(tolerance))):
            right = prediction[rows] & _near(truth[wide], tolerance)[inner]
            hit = truth[rows] & _near(prediction[wide], tolerance)[inner]
            found += cls(Mean(right.sum(), prediction[rows].sum()), Mean(hit.sum(), truth[rows].sum()))
        return found

    @property
    def f1(self) -> float:
        """2 P R / (P + R); 0 if only one side has roads, NaN if neither has."""
        if not self.precision.count and not self.recall.count:
            return float("nan")
        if not self.precision.total or not self.recall.total:
            return 0.0
        return 2 / (1 / self.precision.value + 1 / self.recall.value)


def _near(roads: Mask, tolerance: float) -> Mask:
    return distance_transform_edt(~roads) <= tolerance if roads.any() else roads


def road_f1(truth: Mask, prediction: Mask, mask: Mask | None = None, tolerance: float = ROAD_TOLERANCE) -> float:
    """See `RoadMatches`; 0 to 1 or NaN."""
    return RoadMatches.of(truth, prediction, mask, tolerance).f1


@dataclass(frozen=True)
class SeamGradient(_Summed):
    """Absolute first differences of neighbouring pixels, in levels: across tile borders and inside tiles."""

    border: Mean
    inside: Mean

    @classmethod
    def of(cls, image: Image, tile: int, offset: int = 0, mask: Mask | None = None) -> Self:
        """Walks the rows and columns of a uint8 (H, W, 3); a difference counts where both pixels are valid.

        Tiles are `tile` pixels wide and high; one begins at column and row `offset`, and at `offset` + k `tile`.
        """
        found = cls(Mean(), Mean())
        for turned, valid in ((image, mask), (image.swapaxes(0, 1), None if mask is None else mask.T)):
            steps, counts = _steps(turned, valid)
            at_border = (np.arange(1, len(steps) + 1) - offset) % tile == 0
            found += cls(*(Mean(steps[at].sum(), counts[at].sum()) for at in (at_border, ~at_border)))
        return found

    @property
    def ratio(self) -> float:
        """Border mean over inside mean; NaN if the picture is flat or has no border or no inside."""
        if not self.border.count or not self.inside.count or not (self.border.total or self.inside.total):
            return float("nan")
        return self.border.value / self.inside.value if self.inside.total else float("inf")


def _steps(image: Image, mask: Mask | None) -> tuple[Counts, Counts]:
    """Sum and number of the differences between columns c and c + 1, int64 (W - 1,) each."""
    total, count = np.zeros(image.shape[1] - 1, np.int64), np.zeros(image.shape[1] - 1, np.int64)
    for rows, _, _ in _strips(image):
        step = np.abs(np.diff(image[rows].astype(np.int16), axis=1))
        valid = np.ones(step.shape[:2], bool) if mask is None else mask[rows, 1:] & mask[rows, :-1]
        total += (step.sum(axis=2, dtype=np.int64) * valid).sum(axis=0)
        count += 3 * valid.sum(axis=0)
    return total, count


def seam_gradient_ratio(image: Image, tile: int, offset: int = 0, mask: Mask | None = None) -> float:
    """See `SeamGradient`: mean absolute first difference across tile borders over that inside tiles; 1.0 = no seam."""
    return SeamGradient.of(image, tile, offset, mask).ratio
