"""The scores of translations against true pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

from geo2map.colour.palette import Palette
from geo2map.errors import DataError
from geo2map.metrics import (
    Classes,
    Counts,
    Differences,
    Mean,
    RoadMatches,
    class_iou,
    classify,
    confusion,
    finite,
    mean_iou,
    ssim,
)
from geo2map.types import Image, Mask

ROAD_CLASSES = ("road", "highway")
"""A highway is a road, so road F1 is of the union of the two."""


@dataclass(frozen=True, eq=False)
class Scores:
    """Sums over pictures; `a + b` is the scores of the pictures of both.

    RMSE, accuracies, IoU and road F1 are pooled over all pixels. `rmse_sum`, PSNR and SSIM are means
    over pictures, as the literature has them; in the mean PSNR, a picture that is equal to its truth counts as if
    one channel value were one level off (its PSNR alone would be infinite).

    Attributes:
        palette: names the classes; None: no IoU and no road F1.
        differences: of all valid pixels.
        rmse_sum, psnr, ssim: means over pictures.
        confusion: int64 (classes, classes), rows true; (0, 0) without a palette.
        roads: matches of roads within 3 px.
    """

    palette: Palette | None
    differences: Differences
    rmse_sum: Mean
    psnr: Mean
    ssim: Mean
    confusion: Counts
    roads: RoadMatches

    @classmethod
    def of(
        cls,
        truth: Image,
        prediction: Image,
        palette: Palette | None = None,
        mask: Mask | None = None,
        *,
        road_classes: tuple[str, ...] = ROAD_CLASSES,
    ) -> Self:
        """Scores one prediction, uint8 (H, W, 3) twice.

        Raises:
            DataError: the shapes differ.
        """
        found = Differences.of(truth, prediction, mask)
        finest = 10 * math.log10(255**2 * max(1, int(found.channel.sum())))
        one = [_once(v) for v in (found.rmse_sum, min(found.psnr, finest), ssim(truth, prediction, mask))]
        counts, roads = np.zeros((0, 0), np.int64), RoadMatches(Mean(), Mean())
        if palette is not None:
            classes = classify(truth, palette), classify(prediction, palette)
            counts = confusion(*classes, len(palette.classes), mask)
            true_roads, predicted_roads = (_is_class(side, palette, road_classes) for side in classes)
            roads = RoadMatches.of(true_roads, predicted_roads, mask)
        return cls(palette, found, one[0], one[1], one[2], counts, roads)

    def __add__(self, other: Self) -> Self:
        if self.palette != other.palette:
            raise DataError("scores of two palettes cannot be added: score both with one palette")
        names = [field.name for field in fields(self)[1:]]
        return type(self)(self.palette, *(getattr(self, name) + getattr(other, name) for name in names))

    def report(self) -> dict[str, Any]:
        """Figures ready for JSON: levels, decibels, and fractions of 1; None where one is undefined or infinite."""
        classes = self.palette.classes if self.palette else ()
        iou = dict(zip(classes, class_iou(self.confusion), strict=True)) | {"mean": mean_iou(self.confusion)}
        return {
            "pictures": self.rmse_sum.count,
            "rmse": finite(self.differences.rmse),
            "rmse_sum": finite(self.rmse_sum.value),
            "psnr": finite(self.psnr.value),
            "ssim": finite(self.ssim.value),
            "acc5": finite(self.differences.accuracy(5)),
            "acc10": finite(self.differences.accuracy(10)),
            "class_iou": {name: finite(value) for name, value in iou.items()},
            "road_f1": finite(self.roads.f1),
        }


def _once(value: float) -> Mean:
    return Mean() if math.isnan(value) else Mean(value, 1)


def _is_class(classes: Classes, palette: Palette, names: Sequence[str]) -> Mask:
    return np.isin(classes, [index for index, name in enumerate(palette.classes) if name in names])
