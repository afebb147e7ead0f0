"""Crispness: borders as steep as in the true map, and no noise between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_gradient_magnitude, sobel

from geo2map.metrics.classes import Classes
from geo2map.metrics.pooled import Mean, Summed, check_shapes, strips
from geo2map.metrics.roads import near
from geo2map.types import Image, Mask

BORDER_REACH = 3.0
"""Pixels from a border between two classes within which a gradient is the border's."""
EDGE_SIGMA = 2.0
"""Pixels of the Gaussian whose derivative measures borders: one that lies a pixel aside is as good."""
_HALO = 12


@dataclass(frozen=True)
class Crispness(Summed):
    """Sums over one picture or one scene, of grey levels (the mean of the bands).

    Attributes:
        edge, edge_truth: squared gradients within 3 px of true class borders, by a Gaussian's derivative of 2 px, of
            the prediction and of the truth.
        flat, flat_truth: gradients farther away than that, by Sobel's 3 x 3 kernel, levels per pixel.
    """

    edge: Mean
    edge_truth: Mean
    flat: Mean
    flat_truth: Mean

    @classmethod
    def of(cls, truth: Image, prediction: Image, classes: Classes, mask: Mask | None = None) -> Self:
        """Compares two uint8 (H, W, 3), where `classes` are the truth's, int (H, W)."""
        check_shapes(truth, prediction, mask)
        borders = _borders(classes)
        found = cls(Mean(), Mean(), Mean(), Mean())
        for rows, wide, inner in strips(truth, halo=_HALO):
            beside = near(borders[wide], BORDER_REACH)[inner]
            valid = np.ones_like(beside) if mask is None else mask[rows]
            parts: list[Mean] = []
            for measure, where in ((_steepness, beside & valid), (_roughness, ~beside & valid)):
                for picture in (prediction, truth):
                    values = measure(picture[wide].mean(axis=2))[inner][where]
                    parts.append(Mean(float(values.sum()), int(where.sum())))
            found += cls(*parts)
        return found

    @property
    def edge_ratio(self) -> float:
        """Root mean square gradient of the prediction's borders over the truth's; NaN where the truth has none."""
        return (self.edge.value / self.edge_truth.value) ** 0.5 if self.edge_truth.total else float("nan")


def _borders(classes: Classes) -> Mask:
    """Pixels with a neighbour of another class to the left, right, above or below."""
    border = np.zeros(classes.shape, bool)
    across, along = classes[:, 1:] != classes[:, :-1], classes[1:] != classes[:-1]
    for part in (border[:, 1:], border[:, :-1]):
        part |= across
    for part in (border[1:], border[:-1]):
        part |= along
    return border


def _steepness(grey: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    steep: npt.NDArray[np.float64] = gaussian_gradient_magnitude(grey, EDGE_SIGMA, mode="nearest") ** 2
    return steep


def _roughness(grey: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    rough: npt.NDArray[np.float64] = np.hypot(sobel(grey, 0, mode="nearest"), sobel(grey, 1, mode="nearest")) / 8
    return rough
