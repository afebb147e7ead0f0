"""What a window's codes and scores show: where roads are, how wide, and what else lies where."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import numpy.typing as npt

from geo2map.features.rasters import Depth, PixelSet, smooth_weight, smoothed, without_small
from geo2map.features.window import Reading
from geo2map.types import Mask

BLUR = (4, 4)
"""Running sums that smooth borders before anything is read off them; a Gaussian of 1.6 pixels."""
SURE, LIKELY = 0.5, 0.36
"""Thresholds of the smoothed classes and of the smoothed probability; a pixel is road where either is exceeded."""
WIDEST_ROAD = 28
"""Half width beyond which what roads look like is treated as a hole: no centre line of a lot is a road. Pixels."""
LEAST_ROAD, LEAST_HOLE = 48, 48
"""Square pixels: smaller specks of road go, smaller holes are filled."""
ROAD_SPECK = 16
"""Most extent of such specks and holes, pixels."""
AROUND = (8, 8)
"""Running sums in which highways outnumber roads where a road is a highway."""
_SURE_ONLY = np.float32(0)


@dataclass(frozen=True)
class Evidence:
    """What is known of a window; arrays (H, W).

    Attributes:
        names: of the classes; the last one is "unknown".
        kind: uint8, index into the names.
        paved: bool, where roads and highways are, lots included.
        road: bool, the same without lots.
        sure: bool, where the classes themselves show roads.
        score: uint8, 255 times the probability of road or highway, smoothed.
        highway: bool, where most of the roads around are highways.
    """

    names: tuple[str, ...]
    kind: npt.NDArray[np.uint8]
    paved: Mask
    road: Mask
    sure: Mask
    score: npt.NDArray[np.uint8]
    highway: Mask

    def cropped(self, part: tuple[slice, slice]) -> Evidence:
        """The evidence of a part of the window."""
        planes = [np.ascontiguousarray(getattr(self, field.name)[part]) for field in fields(self)[1:]]
        return Evidence(self.names, *planes)

    def among(self, *names: str) -> npt.NDArray[np.bool_]:
        """Whether each index of `kind` is one of some classes."""
        return np.isin(self.names, names)

    @cached_property
    def blocking(self) -> npt.NDArray[np.bool_]:
        """Whether no gap in a road is bridged over each index of `kind`."""
        return ~self.among("land", "building", "road", "highway")

    @cached_property
    def depth(self) -> Depth:
        """How far into what is paved pixels lie, up to `WIDEST_ROAD`."""
        return Depth(self.paved, WIDEST_ROAD)

    def half_width(self, pixels: PixelSet) -> npt.NDArray[np.float32]:
        """Distance of pixels to the nearest one without road, float32; 0 beside roads."""
        return np.where(self.road.flat[pixels], self.depth.at(pixels), np.float32(0))

    def own_width(self, pixels: PixelSet) -> npt.NDArray[np.float32]:
        """The same as far as the classes are sure of it, and of roads without the highways beside them."""
        own = self._own.at(pixels)
        return np.where(own > 0, own, np.where(self.sure.flat[pixels], np.float32(0), self.half_width(pixels)))

    @cached_property
    def _own(self) -> Depth:
        return Depth(self.road & self.sure & (self.highway | ~self.among("highway")[self.kind]), WIDEST_ROAD)


def gather_evidence(reading: Reading, classes: tuple[str, ...]) -> Evidence:
    """What a window shows, by the names of its classes."""
    names = (*classes, "unknown")
    kind = np.minimum(reading.codes, np.uint8(len(classes)))
    roads, fast, ground = (
        np.isin(names, of) for of in (("road", "highway"), ("highway",), ("land", "building", "road", "highway"))
    )
    drawn = roads[kind]
    share, whole = smoothed(drawn, BLUR), smooth_weight(BLUR)
    sure = share > SURE * whole
    if reading.road is None:
        score, road = (share.astype(np.uint32) * 255 + whole // 2) // whole, sure
    else:
        likely = smoothed(reading.road, BLUR)
        score, road = (likely + np.uint32(whole // 2)) // whole, sure | (likely > LIKELY * 255 * whole) & ground[kind]
    paved = without_small(road, LEAST_ROAD, ROAD_SPECK)
    paved = ~without_small(~paved, LEAST_HOLE, ROAD_SPECK)
    highway = _mostly(fast[kind], drawn)
    found = Evidence(names, kind, paved, paved, sure, score.astype(np.uint8), highway)
    return Evidence(names, kind, paved, paved & ~found.depth.beyond(WIDEST_ROAD), sure, found.score, highway)


def _mostly(some: Mask, of: Mask) -> Mask:
    """Where some pixels are most of others that lie around."""
    if not some.any():
        return some
    return 2 * smoothed(some, AROUND).astype(np.uint16) > smoothed(of, AROUND)
