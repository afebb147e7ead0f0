"""Buildings one by one: how many are there, and how far off their corners are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import shapely
from scipy.spatial import KDTree

from geo2map.features.coverage import trace_fields
from geo2map.metrics.pooled import Mean, Summed
from geo2map.types import Mask

SAME = 0.5
"""Intersection over union from which on two outlines are of one building."""
CORNER = 1.5
"""Tolerance, in pixels, of the outline whose corners are compared."""


@dataclass(frozen=True)
class BuildingMatches(Summed):
    """Buildings found, and those that are there.

    Attributes:
        precision: predicted buildings that are a true one, of all predicted.
        recall: true buildings that were predicted, of all true.
        corners: distance from a predicted building's corner to the nearest of the true one, and back, pixels.
    """

    precision: Mean
    recall: Mean
    corners: Mean

    @classmethod
    def of(cls, truth: Sequence[shapely.Polygon], prediction: Sequence[shapely.Polygon], same: float = SAME) -> Self:
        """Compares outlines, in pixels; each is matched with one other at most."""
        pairs = _matched(np.array(truth, object), np.array(prediction, object), same)
        corners = Mean()
        for true, found in pairs:
            one, two = _corners(truth[true]), _corners(prediction[found])
            apart = np.concatenate((KDTree(one).query(two)[0], KDTree(two).query(one)[0]))
            corners += Mean(float(apart.sum()), len(apart))
        return cls(Mean(len(pairs), len(prediction)), Mean(len(pairs), len(truth)), corners)


def _matched(truth: npt.NDArray[np.object_], prediction: npt.NDArray[np.object_], same: float) -> list[tuple[int, int]]:
    """Pairs of the same building, the most alike first."""
    if not len(truth) or not len(prediction):
        return []
    found, true = shapely.STRtree(truth).query(prediction, predicate="intersects")
    common = shapely.area(shapely.intersection(truth[true], prediction[found]))
    alike = common / (shapely.area(truth[true]) + shapely.area(prediction[found]) - common)
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for index in np.lexsort((found, true, -alike)).tolist():
        one, two = int(true[index]), int(found[index])
        if alike[index] >= same and one not in pairs and two not in taken:
            pairs[one] = two
            taken.add(two)
    return sorted(pairs.items())


def _corners(polygon: shapely.Polygon) -> npt.NDArray[np.float64]:
    return shapely.get_coordinates(shapely.simplify(polygon, CORNER).exterior)[:-1]


def outlines(mask: Mask) -> list[shapely.Polygon]:
    """Outlines of the parts of a bool (H, W), in pixels."""
    inside = np.pad(mask, 1).astype(np.uint8)
    x, y = (2 * np.arange(-1, size + 1) + 1 for size in mask.shape[::-1])
    regions = trace_fields(inside, (), 8 * x, 8 * y, tolerance=0.0)
    return [shapely.transform(region.polygon, lambda points: points / 16) for region in regions]
