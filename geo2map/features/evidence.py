"""What a window's codes and scores show: where roads are, how wide, and what else lies where."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from geo2map.features.rasters import Depth, PixelSet, Sums, smooth_reach, smooth_weight, smoothed, within, without_small
from geo2map.features.window import Reading
from geo2map.types import Mask

BLUR = (4, 4)
"""Running sums that smooth borders before anything is read off them; a Gaussian of 1.6 pixels."""
SURE = 0.5
"""Threshold of the smoothed classes above which a pixel is road."""
FAINT, RISE, ACROSS = 0.1, 0.08, 8
"""A pixel is also road if its probability is above the first, and by the second above that so many pixels away."""
HELD = 0.15
"""Least probability of a road across classes that roads usually avoid, such as parks."""
WIDEST_ROAD = 24
"""Half width beyond which what roads look like is treated as a hole: no centre line of a lot is a road. Pixels."""
LEAST_HOLE, HOLE_EXTENT = 48, 16
"""Square pixels and extent of the least hole in a road; smaller ones are filled."""
PAVED_REACH = 2 * smooth_reach(BLUR) + ACROSS + HOLE_EXTENT + 1
"""Pixels around one that decide whether it is paved."""
BROAD = 11
"""Half width from which on a road is an area, too, pixels."""
_STRIP = 512
"""Rows that are looked at together: what is only held meanwhile does not grow with a window."""
ROADS, GROUND = ("road", "highway"), ("land", "building", "road", "highway")
"""Classes that are roads, and those that roads may lead over."""


@dataclass(frozen=True)
class Evidence:
    """What is known of a window; arrays (H, W).

    Attributes:
        names: of the classes; the last one is "unknown".
        kind: uint8, index into the names.
        road: bool, where roads and highways are, without lots.
        sure: bool, where the classes themselves show roads.
        score: uint8, 255 times the probability of road or highway, smoothed.
        highway: bool, where highways are.
        broad: bool, where the classes show plazas, lots and roads too broad to be lines alone; opened by a disk.
        depth: how far into what is paved pixels lie, lots included, up to `WIDEST_ROAD`.
    """

    names: tuple[str, ...]
    kind: npt.NDArray[np.uint8]
    road: Mask
    sure: Mask
    score: npt.NDArray[np.uint8]
    highway: Mask
    broad: Mask
    depth: Depth

    def cropped(self, part: tuple[slice, slice], *, shared: bool = False) -> Evidence:
        """The evidence of a part of the window.

        Args:
            shared: in the memory of the whole window, which it keeps alive.
        """
        names = ("kind", "road", "sure", "score", "highway", "broad")
        planes: dict[str, Any] = {name: getattr(self, name)[part] for name in names}
        if not shared:
            planes = {name: np.ascontiguousarray(plane) for name, plane in planes.items()}
        return replace(self, depth=self.depth.cropped(part, shared=shared), **planes)

    def where(self, *classes: str) -> Mask:
        """Pixels of some classes, bool (H, W)."""
        return pixels_of(self.kind, self.names, classes)

    @property
    def known(self) -> Mask:
        """Pixels of any class, bool (H, W)."""
        known: Mask = self.kind < len(self.names) - 1
        return known

    @cached_property
    def blocking(self) -> npt.NDArray[np.bool_]:
        """Whether no gap in a road is bridged over each index of `kind`."""
        return ~np.isin(self.names, GROUND)

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
    height, width = reading.codes.shape
    kind, score = (np.empty((height, width), np.uint8) for _ in range(2))
    sure, paved, highway = (np.empty((height, width), bool) for _ in range(3))
    for top in range(0, height, _STRIP):
        own = slice(top, min(top + _STRIP, height))
        around = slice(max(0, top - PAVED_REACH), min(own.stop + PAVED_REACH, height))
        strip = _strip_evidence(reading.rows(around), names)
        for whole, part in zip((kind, score, sure, paved, highway), strip, strict=True):
            whole[own] = part[own.start - around.start : own.stop - around.start]
    depth = Depth(paved, WIDEST_ROAD)
    broad = within(Depth(sure, BROAD).beyond(BROAD), BROAD + 1) & sure
    return Evidence(names, kind, paved & ~depth.beyond(WIDEST_ROAD), sure, score, highway, broad, depth)


class _Strip(NamedTuple):
    """What some rows show; `paved` is road or a lot."""

    kind: npt.NDArray[np.uint8]
    score: npt.NDArray[np.uint8]
    sure: Mask
    paved: Mask
    highway: Mask


def _strip_evidence(reading: Reading, names: tuple[str, ...]) -> _Strip:
    kind = np.minimum(reading.codes, np.uint8(len(names) - 1))
    drawn = pixels_of(kind, names, ROADS)
    sure = smoothed(drawn, BLUR) > int(SURE * smooth_weight(BLUR))
    road = sure
    score = _averaged(smoothed(np.uint8(255) * drawn if reading.road is None else reading.road, BLUR))
    if reading.road is not None:
        road = sure | _ridges(score, kind, names, ~sure)
    paved = ~without_small(~road, LEAST_HOLE, HOLE_EXTENT)
    return _Strip(kind, score, sure, paved, pixels_of(kind, names, ("highway",)))


def _averaged(sums: Sums) -> npt.NDArray[np.uint8]:
    """Means in whole levels of a plane that was smoothed with `BLUR`; in place, but for the last step."""
    whole = smooth_weight(BLUR)  # a power of two
    sums += np.uint16(whole // 2)
    sums >>= np.uint16(whole.bit_length() - 1)
    return sums.astype(np.uint8)


def _ridges(score: npt.NDArray[np.uint8], kind: npt.NDArray[np.uint8], names: tuple[str, ...], asked: Mask) -> Mask:
    """Pixels whose score is above that of what lies `ACROSS` to both sides, in one direction at least.

    So a road is found in what the classes lost of it, and what stays beside a road in doubt does not widen it.
    """
    ridge = (score > int(255 * FAINT)) & asked
    at = np.flatnonzero(ridge)
    ground = np.isin(names, GROUND)[kind.flat[at]]
    at = at[ground | (score.flat[at] > 255 * HELD)]
    width = score.shape[1] + 2 * ACROSS
    height = np.pad(_averaged(smoothed(score, BLUR)), ACROSS).ravel()
    here = at // score.shape[1] * 2 * ACROSS + at + ACROSS * (width + 1)
    oblique = round(ACROSS * 0.7)
    lower = np.full(len(at), 255, np.uint8)
    for step in (ACROSS, ACROSS * width, oblique * (width + 1), oblique * (width - 1)):
        lower = np.minimum(lower, np.maximum(height[here - step], height[here + step]))
    ridge = np.zeros_like(asked)
    ridge.flat[at] = height[here] > lower.astype(np.int16) + 255 * RISE
    return ridge
