"""What a window's codes and scores show: where roads are, how wide, and what else lies where."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import numpy.typing as npt

from geo2map.features.rasters import Depth, PixelSet, Sums, smooth_weight, smoothed, without_small
from geo2map.features.window import Reading
from geo2map.types import Mask

BLUR = (4, 4)
"""Running sums that smooth borders before anything is read off them; a Gaussian of 1.6 pixels."""
SURE = 0.5
"""Threshold of the smoothed classes above which a pixel is road."""
FAINT, RISE, ACROSS = 0.1, 0.08, 8
"""A pixel is also road if its probability is above the first, and by the second above that so many pixels away."""
HELD = 0.15
"""Probability from which on a road may lie in what is no ground for roads, as parks."""
WIDEST_ROAD = 24
"""Half width beyond which what roads look like is treated as a hole: no centre line of a lot is a road. Pixels."""
LEAST_HOLE, HOLE_EXTENT = 48, 16
"""Square pixels and extent of the least hole in a road; smaller ones are filled."""
ROADS, GROUND = ("road", "highway"), ("land", "building", "road", "highway")
"""Classes that are roads, and those that roads may lead over."""
AROUND = (8, 8)
"""Running sums in which highways outnumber roads where a road is a highway."""


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

    def where(self, *classes: str) -> Mask:
        """Pixels of some classes, bool (H, W)."""
        return pixels_of(self.kind, self.names, classes)

    @cached_property
    def blocking(self) -> npt.NDArray[np.bool_]:
        """Whether no gap in a road is bridged over each index of `kind`."""
        return ~np.isin(self.names, GROUND)

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
        return Depth(self.road & self.sure & (self.highway | ~self.where("highway")), WIDEST_ROAD)


def pixels_of(kind: npt.NDArray[np.uint8], names: tuple[str, ...], classes: tuple[str, ...]) -> Mask:
    """Pixels whose index into the names is that of one of some classes, bool (H, W)."""
    found = np.zeros(kind.shape, bool)
    for number, name in enumerate(names):
        if name in classes:
            found |= kind == number
    return found


def gather_evidence(reading: Reading, classes: tuple[str, ...]) -> Evidence:
    """What a window shows, by the names of its classes."""
    names = (*classes, "unknown")
    kind = np.minimum(reading.codes, np.uint8(len(classes)))
    drawn = pixels_of(kind, names, ROADS)
    share = smoothed(drawn, BLUR)
    sure = share > int(SURE * smooth_weight(BLUR))
    road = sure
    score = _averaged(smoothed(np.uint8(255) * drawn if reading.road is None else reading.road, BLUR))
    if reading.road is not None:
        road = sure | _ridges(score, pixels_of(kind, names, GROUND))
    paved = ~without_small(~road, LEAST_HOLE, HOLE_EXTENT)
    lots = Depth(paved, WIDEST_ROAD).beyond(WIDEST_ROAD)
    return Evidence(
        names, kind, paved, paved & ~lots, sure, score, _mostly(pixels_of(kind, names, ("highway",)), drawn)
    )


def _averaged(sums: Sums) -> npt.NDArray[np.uint8]:
    """Means in whole levels of a plane that was smoothed with `BLUR`."""
    whole = np.uint16(smooth_weight(BLUR))
    return ((sums + whole // np.uint16(2)) // whole).astype(np.uint8)


def _ridges(score: npt.NDArray[np.uint8], ground: Mask) -> Mask:
    """Pixels whose score is above that of what lies `ACROSS` to both sides, in one direction at least.

    So a road is found in what the classes lost of it, and what stays beside a road in doubt does not widen it.
    """
    height = _averaged(smoothed(score, BLUR)).ravel().astype(np.int16)
    ridge = (score > 255 * FAINT) & (ground | (score > 255 * HELD))
    at, width = np.flatnonzero(ridge), score.shape[1]
    oblique = round(ACROSS * 0.7)
    rise = np.zeros(len(at), np.int16)
    for step in (ACROSS, ACROSS * width, oblique * (width + 1), oblique * (width - 1)):
        sides = [height[np.clip(at + way, 0, len(height) - 1)] for way in (-step, step)]
        rise = np.maximum(rise, height[at] - np.maximum(*sides))
    ridge.flat[at] = rise > 255 * RISE
    return ridge


def _mostly(some: Mask, of: Mask) -> Mask:
    """Where some pixels are most of others that lie around."""
    if not some.any():
        return some
    return np.uint16(2) * smoothed(some, AROUND) > smoothed(of, AROUND)
