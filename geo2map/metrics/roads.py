"""Roads: drawn where they are, within a tolerance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.ndimage import binary_dilation

from geo2map.metrics.pooled import Mean, Summed, strips
from geo2map.types import Mask

ROAD_TOLERANCE = 3.0  # pixels


@dataclass(frozen=True)
class RoadMatches(Summed):
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
        for rows, wide, inner in strips(truth, halo=int(np.ceil(tolerance))):
            right = prediction[rows] & near(truth[wide], tolerance)[inner]
            hit = truth[rows] & near(prediction[wide], tolerance)[inner]
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


def near(roads: Mask, tolerance: float) -> Mask:
    """Pixels within `tolerance` of a True one: roads, or borders, widened by a disk."""
    across = np.arange(-int(tolerance), int(tolerance) + 1)
    disk = np.hypot(across[:, None], across) <= tolerance
    return binary_dilation(roads, disk)


def road_f1(truth: Mask, prediction: Mask, mask: Mask | None = None, tolerance: float = ROAD_TOLERANCE) -> float:
    """See `RoadMatches`; 0 to 1 or NaN."""
    return RoadMatches.of(truth, prediction, mask, tolerance).f1
