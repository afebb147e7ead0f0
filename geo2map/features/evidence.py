"""What a window's codes and scores show: where roads are, how wide, and what else lies where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage as ndi

from geo2map.features.window import Reading
from geo2map.types import Mask

Field = npt.NDArray[np.float32]

BLUR = 1.5
"""Sigma of the Gaussian that smooths borders before anything is read off them, pixels."""
BLUR_REACH = 6
SURE, LIKELY = 0.5, 0.36
"""Of the smoothed classes, and of the smoothed probability: roads are where either is more."""
WIDEST = 28
"""Half width beyond which what roads look like is treated as a hole: no centre line of a lot is a road. Pixels."""
SMALL = 96
"""Most extent of what counts as small, either way, pixels."""
LEAST_ROAD, LEAST_HOLE = 60, 60
"""Square pixels: smaller specks of road go, smaller holes are filled."""
EVERY = np.ones((3, 3), bool)


@dataclass(frozen=True)
class Evidence:
    """Arrays (H, W) of a window.

    Attributes:
        kind: uint8, index into the names of classes; `unknown` where nothing is known.
        road: bool, where roads and highways are, lots left out.
        score: float32, probability of road or highway, smoothed.
        half_width: float32, distance to the nearest pixel that is none of `road`, and 0 there.
        paved_depth: float32, the same, lots included; exact up to `WIDEST`.
        highway: bool, where most of the roads around are highways.
        blocked: bool, where no gap in a road is bridged.
    """

    kind: npt.NDArray[np.uint8]
    road: Mask
    score: Field
    half_width: Field
    paved_depth: Field
    highway: Mask
    blocked: Mask


def smoothed(plane: npt.NDArray[np.generic], sigma: float = BLUR) -> Field:
    """A plane through a Gaussian that ends after `4 sigma` pixels."""
    blurred: Field = ndi.gaussian_filter(plane.astype(np.float32), sigma, mode="nearest", truncate=4.0)
    return blurred


def without_small(mask: Mask, least: int, extent: int = SMALL) -> Mask:
    """Without its parts (4-connected) of fewer than `least` pixels that span at most `extent` pixels either way.

    A larger span keeps a part, so that each part's fate depends on nothing farther away than `extent`.
    """
    parts, _ = ndi.label(mask)
    return mask & ~_small(parts, least, extent)[parts]


def _small(parts: npt.NDArray[np.int32], least: float, extent: int, weight: Field | None = None) -> Mask:
    """Whether each part, by its number, spans little and weighs little."""
    boxes = ndi.find_objects(parts)
    spans = np.array([max(side.stop - side.start for side in box) for box in boxes], np.int64)
    total = np.bincount(parts.ravel(), None if weight is None else weight.ravel(), len(boxes) + 1)
    return np.append(False, (spans <= extent) & (total[1:] < least))


def gather(reading: Reading, classes: tuple[str, ...]) -> Evidence:
    """What a window shows, by the names of its classes."""
    names = np.array([*classes, "unknown"])
    kind = np.minimum(reading.codes, len(classes))
    drawn = np.isin(names, ("road", "highway"))[kind]
    sure = smoothed(drawn) > SURE
    score = smoothed(drawn) if reading.road is None else smoothed(reading.road) / np.float32(255)
    ground = np.isin(names, ("land", "building", "road", "highway"))[kind]
    road = sure | (score > LIKELY) & ground
    road = without_small(road, LEAST_ROAD)
    road = ~without_small(~road, LEAST_HOLE)
    depth = _depth(road)
    road &= depth <= WIDEST
    half = np.where(road, depth, np.float32(0))
    share = ndi.uniform_filter((np.array(names)[kind] == "highway").astype(np.int32) * 1024, 15, mode="nearest")
    everything = ndi.uniform_filter(drawn.astype(np.int32) * 1024, 15, mode="nearest")
    return Evidence(kind, road, score, half, depth, 2 * share > everything, ~ground)


def _depth(mask: Mask) -> Field:
    """Distance to the nearest pixel outside, which beyond `WIDEST` only says that it is more."""
    depth: Field = ndi.distance_transform_edt(mask).astype(np.float32)
    return depth
