"""What a window's codes and scores show: where roads are, how wide, and what else lies where."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from scipy import ndimage as ndi

from geo2map.features.window import Reading
from geo2map.types import Mask

_Field = npt.NDArray[np.float32]

BLUR = 1.5
"""Sigma of the Gaussian that smooths borders before anything is read off them, pixels."""
BLUR_REACH = 6
SURE, LIKELY = 0.5, 0.36
"""Thresholds of the smoothed classes and of the smoothed probability; a pixel is road where either is exceeded."""
WIDEST_ROAD = 28
"""Half width beyond which what roads look like is treated as a hole: no centre line of a lot is a road. Pixels."""
LEAST_ROAD, LEAST_HOLE = 48, 48
"""Square pixels: smaller specks of road go, smaller holes are filled."""
_AROUND = 15
"""Side of the square in which highways outnumber roads where a road is a highway, pixels."""
EVERY = np.ones((3, 3), bool)


@dataclass(frozen=True)
class Evidence:
    """Arrays (H, W) of a window.

    Attributes:
        kind: uint8, index into the names of classes; `unknown` where nothing is known.
        road: bool, where roads and highways are, lots left out.
        score: float32, probability of road or highway, smoothed.
        half_width: float32, distance to the nearest pixel that is none of `road`, and 0 there.
        own_width: float32, the same as far as the classes are sure of, and of roads without highways beside them.
        paved_depth: float32, the same, lots included; exact up to `WIDEST_ROAD`.
        highway: bool, where most of the roads around are highways.
        blocked: bool, where no gap in a road is bridged.
    """

    kind: npt.NDArray[np.uint8]
    road: Mask
    score: _Field
    half_width: _Field
    own_width: _Field
    paved_depth: _Field
    highway: Mask
    blocked: Mask

    def cropped(self, part: tuple[slice, slice]) -> Evidence:
        """The evidence of a part of the window."""
        return Evidence(*(np.ascontiguousarray(getattr(self, field.name)[part]) for field in fields(self)))


def smoothed(plane: npt.NDArray[np.generic], sigma: float = BLUR) -> _Field:
    """A plane through a Gaussian that ends after `4 sigma` pixels."""
    blurred: _Field = ndi.gaussian_filter(plane.astype(np.float32), sigma, mode="nearest", truncate=4.0)
    return blurred


def without_small(mask: Mask, least: int, extent: int | None = None) -> Mask:
    """Without its parts (4-connected) of fewer than `least` pixels, if they span at most `extent` pixels either way.

    So each part's fate depends on nothing farther away than `extent`, or where that is not given, than `least`.
    """
    parts, count = ndi.label(mask)
    small = np.bincount(parts.ravel(), minlength=count + 1) < least
    if extent is not None:
        small[1:] &= spans(parts) <= extent
    small[0] = False
    return mask & ~small[parts]


def spans(parts: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Most extent of each numbered part either way, pixels."""
    return np.array([max(side.stop - side.start for side in box) for box in ndi.find_objects(parts)], np.int64)


def gather_evidence(reading: Reading, classes: tuple[str, ...]) -> Evidence:
    """What a window shows, by the names of its classes."""
    names = np.array([*classes, "unknown"])
    kind = np.minimum(reading.codes, len(classes))
    drawn = np.isin(names, ("road", "highway"))[kind]
    sure = smoothed(drawn) > SURE
    score = smoothed(drawn) if reading.road is None else smoothed(reading.road) / np.float32(255)
    ground = np.isin(names, ("land", "building", "road", "highway"))[kind]
    road = sure if reading.road is None else sure | (score > LIKELY) & ground
    road = without_small(road, LEAST_ROAD)
    road = ~without_small(~road, LEAST_HOLE)
    depth = _depth(road)
    road &= depth <= WIDEST_ROAD
    half = np.where(road, depth, np.float32(0))
    fast = (names == "highway")[kind]
    highway = 2 * _counted(fast) > _counted(drawn)
    own = _depth(road & sure & (highway | ~fast))
    own = np.where(own > 0, own, np.where(sure, np.float32(0), half))
    return Evidence(kind, road, score, half, own, depth, highway, ~ground)


def _counted(mask: Mask) -> npt.NDArray[np.int32]:
    """About how many pixels of a mask lie around each, in 1024ths of a square."""
    counted: npt.NDArray[np.int32] = ndi.uniform_filter(mask.astype(np.int32) * 1024, _AROUND, mode="nearest")
    return counted


def _depth(mask: Mask) -> _Field:
    """Distance to the nearest pixel outside; beyond `WIDEST_ROAD` a lower bound."""
    depth: _Field = ndi.distance_transform_edt(mask).astype(np.float32)
    return depth
