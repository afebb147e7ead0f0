"""Whole-number operations on rasters whose reach is bounded: smoothing, parts, distances, disks."""

from __future__ import annotations

from copy import copy
from math import isqrt

import numpy as np
import numpy.typing as npt
from scipy import ndimage as ndi

from geo2map.types import Mask

Sums = npt.NDArray[np.uint16]
PixelSet = npt.NDArray[np.int64]
"""Indices into a raster that is read row by row."""
EVERY = np.ones((3, 3), bool)
_STRIP = 64
"""Rows that are smoothed at once, so that they stay in the processor's cache."""


def smoothed(plane: npt.NDArray[np.bool_] | npt.NDArray[np.uint8], boxes: tuple[int, ...]) -> Sums:
    """Smooths a plane by running sums over `boxes` (2, 4 or 8 pixels each), along both axes.

    Args:
        plane: bool or uint8 (H, W).
        boxes: widths, of which an even number of pixels must remain when 1 is taken off each. As a Gaussian, they
            have the variance `sum(w * w - 1) / 12` pixels squared.

    Returns:
        uint16 (H, W): `smooth_weight(boxes)` times the mean, exactly; reaches `smooth_reach(boxes)` pixels.
    """
    around = smooth_reach(boxes)
    padded = np.pad(plane, around, mode="edge")
    out = np.empty(plane.shape, np.uint16)
    for top in range(0, len(plane), _STRIP):
        sums = padded[top : top + _STRIP + 2 * around].astype(np.uint16)
        for step in (half for width in boxes for half in _halvings(width)):
            sums = sums[:-step] + sums[step:]
        for step in (half for width in boxes for half in _halvings(width)):
            sums = sums[:, :-step] + sums[:, step:]
        out[top : top + _STRIP] = sums
    return out


def _halvings(width: int) -> tuple[int, ...]:
    return {2: (1,), 4: (1, 2), 8: (1, 2, 4)}[width]


def smooth_reach(boxes: tuple[int, ...]) -> int:
    """Pixels around one on which its smoothed value depends."""
    return sum(width - 1 for width in boxes) // 2


def smooth_weight(boxes: tuple[int, ...]) -> int:
    """What a plane of ones becomes."""
    return int(np.prod(boxes)) ** 2


def without_small(mask: Mask, least: int, extent: int) -> Mask:
    """Without its parts (4-connected) of fewer than `least` pixels that span at most `extent` pixels either way.

    So each part's fate depends on nothing farther away than `extent`.
    """
    parts, _ = ndi.label(mask)
    kept = mask.copy()
    for number, box in enumerate(ndi.find_objects(parts), 1):
        if max(side.stop - side.start for side in box) <= extent:
            part = parts[box] == number
            if np.count_nonzero(part) < least:
                kept[box] &= ~part
    return kept


def spans(parts: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Most extent of each numbered part either way, pixels."""
    return np.array([max(side.stop - side.start for side in box) for box in ndi.find_objects(parts)], np.int64)


def eroded(mask: Mask) -> Mask:
    """Pixels all of whose eight neighbours are in the mask, too; beyond the raster everything is."""
    padded = np.pad(mask, 1, constant_values=True)
    rows = padded[:-2] & padded[1:-1] & padded[2:]
    return rows[:, :-2] & rows[:, 1:-1] & rows[:, 2:]


class Depth:
    """Distances from a mask's pixels to the nearest pixel outside, up to a bound; computed where they are asked for."""

    def __init__(self, mask: Mask, most: int) -> None:
        self.most = most
        self._columns = np.minimum(_runs(mask, most + 1), _runs(mask[::-1], most + 1)[::-1])
        self._top, self._left, self._width = 0, 0, mask.shape[1]

    def cropped(self, part: tuple[slice, slice], *, shared: bool) -> Depth:
        """The same for a part of the raster, in the same memory or in its own."""
        cropped = copy(self)
        top, left = self._top + part[0].start, self._left + part[1].start
        height, cropped._width = (side.stop - side.start for side in part)
        if not shared:
            cropped._columns = np.ascontiguousarray(self._columns[top : top + height, left : left + cropped._width])
            top = left = 0
        cropped._top, cropped._left = top, left
        return cropped

    def at(self, pixels: PixelSet) -> npt.NDArray[np.float32]:
        """The distance of each pixel, float32; those beyond `most` have at least `most + 1`."""
        width = self._columns.shape[1]
        columns = self._columns.ravel()
        row, column = np.divmod(pixels, self._width)
        column += self._left
        pixels = (row + self._top) * width + column
        square = columns[pixels].astype(np.int32) ** 2
        open_ = np.arange(len(pixels))
        for step in range(1, self.most + 1):
            open_ = open_[square[open_] > step * step]
            if not len(open_):
                break
            for way in (-step, step):
                there = open_[(column[open_] + way >= 0) & (column[open_] + way < width)]
                beside = columns[pixels[there] + way].astype(np.int32) ** 2 + step * step
                square[there] = np.minimum(square[there], beside)
        return np.sqrt(square, dtype=np.float32)

    def beyond(self, than: int) -> Mask:
        """Pixels farther than `than` from the nearest outside, bool (H, W)."""
        deep = self._columns > than
        if not deep.any():
            return deep
        row, square = self._columns > 0, deep
        for step in _doublings(than):
            row, square = _both_sides(row, step), _both_sides(square, step)
        deep &= row
        where = np.flatnonzero(deep & ~square)  # elsewhere a whole square lies in the mask
        deep.flat[where] = self.at(where) > than
        return deep


def _runs(mask: Mask, most: int) -> npt.NDArray[np.uint8]:
    """How many pixels of the mask each ends, counted down its column, up to `most`."""
    runs = np.empty(mask.shape, np.uint8)
    now = np.full(mask.shape[1], most, np.uint8)
    for row, out in zip(mask, runs, strict=True):
        now += 1
        np.minimum(now, most, out=out)
        np.multiply(out, row, out=out)
        now = out.copy()
    return runs


def _doublings(length: int) -> list[int]:
    """Steps that add up to a length, none longer than one more than those before it together."""
    steps, done = [], 0
    while done < length:
        steps.append(min(done + 1, length - done) if done else 1)
        done += steps[-1]
    return steps


def _both_sides(mask: Mask, step: int) -> Mask:
    """Pixels whose neighbours so many columns away, left and right, are in the mask as they are."""
    both = mask.copy()
    both[:, step:] &= mask[:, :-step]
    both[:, :-step] &= mask[:, step:]
    return both


def painted(shape: tuple[int, int], pixels: PixelSet, radii: npt.NDArray[np.float32]) -> Mask:
    """Pixels nearer to one of some pixels than that one's radius, bool (H, W)."""
    square = np.ceil(radii.astype(np.float64) ** 2).astype(np.int64) - 1  # the greatest square that is nearer
    order = np.argsort(-square, kind="stable")
    square = square[order]
    most = isqrt(int(square[0])) if len(square) else 0
    picture = np.zeros((shape[0] + 2 * most, shape[1] + 2 * most), bool)
    width, flat = picture.shape[1], picture.ravel()
    at = ((pixels // shape[1] + most) * width + pixels % shape[1] + most)[order]
    for row in range(-most, most + 1):
        for column in range(-most, most + 1):
            reached = np.searchsorted(-square, -(row * row + column * column), side="right")
            flat[at[:reached] + (row * width + column)] = True
    return picture[most : most + shape[0], most : most + shape[1]]


def within(mask: Mask, distance: float) -> Mask:
    """Pixels at most so far from one of the mask, bool (H, W)."""
    if not mask.any():
        return mask
    border = np.flatnonzero(mask & ~eroded(mask))
    radii = np.full(len(border), np.nextafter(np.float32(distance), np.float32(np.inf)))
    return painted(mask.shape, border, radii) | mask
