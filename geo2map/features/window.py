"""What is read: windows of class codes and scores, in global pixels, of a map that goes on beyond its borders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from geo2map.errors import DataError

CodesArray = npt.NDArray[np.uint8]
BLOCK = 512
"""Side of the squares, aligned at global pixel 0, in which areas are traced; cores are made of them."""


class Box(NamedTuple):
    """A rectangle of global pixels; `right` and `bottom` are the first ones beyond it."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.bottom - self.top, self.right - self.left

    def grown(self, by: int) -> Box:
        """The window with `by` pixels more on each side."""
        return Box(self.left - by, self.top - by, self.right + by, self.bottom + by)

    def clipped(self, to: Box) -> Box:
        """What both have in common; may be empty."""
        left, top = max(self.left, to.left), max(self.top, to.top)
        return Box(left, top, max(left, min(self.right, to.right)), max(top, min(self.bottom, to.bottom)))

    def contains(self, x: npt.NDArray[np.int64], y: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Whether pixels lie within."""
        return (x >= self.left) & (x < self.right) & (y >= self.top) & (y < self.bottom)

    def part(self, of: Box) -> tuple[slice, slice]:
        """Rows and columns of the box in an array of a larger one."""
        left, top = self.left - of.left, self.top - of.top
        height, width = self.shape
        return slice(top, top + height), slice(left, left + width)

    @property
    def empty(self) -> bool:
        return self.right <= self.left or self.bottom <= self.top

    def tiled(self, side: int) -> Iterator[Box]:
        """The squares of this side, aligned at global pixel 0, that meet the window; row by row, not clipped."""
        for top in range(self.top // side * side, self.bottom, side):
            for left in range(self.left // side * side, self.right, side):
                yield Box(left, top, left + side, top + side)


class Reading(NamedTuple):
    """What a model found in a window.

    Attributes:
        codes: uint8 (H, W), index into the map's classes; a code beyond them means that nothing is known.
        road: uint8 (H, W), 255 times the probability of road or highway; None where it was not kept.
        building: uint8 (H, W), 255 times the probability of building; None where it was not kept.
    """

    codes: CodesArray
    road: CodesArray | None = None
    building: CodesArray | None = None

    def rows(self, some: slice) -> Reading:
        """A part of it."""
        codes, *scores = (None if plane is None else plane[some] for plane in self)
        assert codes is not None
        return Reading(codes, *scores)


@dataclass(frozen=True)
class ClassMap:
    """A map of classes to extract features from.

    Attributes:
        read: gives the `Reading` of a window that lies within the bounds.
        bounds: the window of all pixels.
        classes: the class of each code; "land", "building", "road" and "highway" have their meaning, any other
            is a kind of area. Several codes may share one class.
        metres: on the ground, of a pixel's side.
    """

    read: Callable[[Box], Reading]
    bounds: Box
    classes: tuple[str, ...]
    metres: float

    def __post_init__(self) -> None:
        if not 0 < len(self.classes) < 255:
            raise DataError(f"a map of {len(self.classes)} classes: give the class of each code, 1 to 254 of them")
        if not self.metres > 0:
            raise DataError(f"pixels of {self.metres} m: give the size of a pixel on the ground, above 0")

    def beyond(self, window: Box) -> Reading:
        """The reading of any window: beyond the bounds, the border's pixels go on."""
        inside = window.clipped(self.bounds)
        if inside.empty:  # as for a core that only touches the bounds
            raise DataError(f"window {tuple(window)} lies outside the map {tuple(self.bounds)}")
        pad = (
            (inside.top - window.top, window.bottom - inside.bottom),
            (inside.left - window.left, window.right - inside.right),
        )
        planes = []
        for name, plane in self.read(inside)._asdict().items():
            if plane is not None and plane.shape != inside.shape:
                raise DataError(f"{name} of {plane.shape} read for a window of {inside.shape}: both must be one size")
            planes.append(plane if plane is None or inside == window else np.pad(plane, pad, mode="edge"))
        return Reading(*planes)
