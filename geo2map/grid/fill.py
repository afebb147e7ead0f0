"""The fill: what the network receives where a scene has no data."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from geo2map.grid.block import BlockImage
from geo2map.types import Image, Mask

FILL_RADIUS = 32
"""Pixels over which the rim's colours are extended outwards."""
CELL = 128
"""Pixels along a side of what is filled at once."""


def fill(image: BlockImage, neutral: tuple[int, int, int], radius: int = FILL_RADIUS) -> Image:
    """Replaces invalid pixels by the nearest valid one within `radius`, by `neutral` beyond.

    The result is a function of global position alone: it does not depend on where the block was cut, as long
    as the image reaches `radius` beyond the pixels that are used. That is why ties are broken by a fixed rule
    (nearer column first, then the left one; within a column the upper one) and not left to a library.

    Returns:
        uint8 (H, W, 3), exact except within `radius` of its border; the own array of an image that is all valid,
        else a new one.
    """
    return fill_pixels(image.pixels, image.mask, neutral, radius)


def fill_pixels(pixels: Image, mask: Mask, neutral: tuple[int, int, int], radius: int = FILL_RADIUS) -> Image:
    """`fill` for a picture of any size: uint8 (H, W, 3) and bool (H, W), True where valid."""
    if mask.all():
        return pixels
    filled = pixels.copy()
    for rows, columns in product(_cells(mask.shape[0], radius), _cells(mask.shape[1], radius)):
        if not mask[rows.own, columns.own].all():
            seen = np.s_[rows.seen, columns.seen]
            inside = np.s_[rows.inside, columns.inside]
            filled[rows.own, columns.own] = _fill_cell(pixels[seen], mask[seen], inside, neutral, radius)
    return filled


class _Cell(NamedTuple):
    """A part of an axis: itself, what counts for it, and where it is in that."""

    own: slice
    seen: slice
    inside: slice


def _cells(length: int, radius: int) -> list[_Cell]:
    """An axis in parts: most of them are full, or far from all that is valid."""
    found = []
    for first in range(0, length, CELL):
        past, start = min(first + CELL, length), max(first - radius, 0)
        seen = slice(start, min(past + radius, length))
        found.append(_Cell(slice(first, past), seen, slice(first - start, past - start)))
    return found


def _fill_cell(
    pixels: Image, mask: Mask, inside: tuple[slice, slice], neutral: tuple[int, int, int], radius: int
) -> Image:
    """What is inside, filled."""
    filled = pixels[inside].copy()
    wanted = ~mask[inside]
    np.copyto(filled, np.array(neutral, dtype=np.uint8), where=wanted[..., None])
    if not mask.any():
        return filled
    nearest_row = _nearest_row(mask)
    rows, columns = np.nonzero(wanted & _near(nearest_row, radius)[inside])
    if rows.size:
        top, left = inside[0].start, inside[1].start
        from_rows, from_columns, found = _nearest(nearest_row, rows + top, columns + left, radius)
        filled[rows[found], columns[found]] = pixels[from_rows[found], from_columns[found]]
    return filled


def _nearest_row(mask: Mask) -> npt.NDArray[np.int32]:
    """Row of the nearest valid pixel of the same column (the upper one on a tie), far away if none; int32 (H, W)."""
    height = mask.shape[0]
    far = 4 * height
    row = np.arange(height, dtype=np.int32)[:, None]
    above = np.maximum.accumulate(np.where(mask, row, np.int32(-far)), axis=0)
    below = np.minimum.accumulate(np.where(mask, row, np.int32(far))[::-1], axis=0)[::-1]
    return np.where(row - above <= below - row, above, below)


def _near(nearest_row: npt.NDArray[np.int32], radius: int) -> Mask:
    """Pixels with a valid one within `radius` rows and `radius` columns."""
    height, width = nearest_row.shape
    within_rows = np.abs(nearest_row - np.arange(height, dtype=np.int32)[:, None]) <= radius
    nearest_column = _nearest_row(within_rows.T)
    near: Mask = (np.abs(nearest_column - np.arange(width, dtype=np.int32)[:, None]) <= radius).T
    return near


def _nearest(
    nearest_row: npt.NDArray[np.int32], rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp], radius: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Nearest valid pixels of the pixels given, and whether they are within `radius`."""
    width = nearest_row.shape[1]
    best = np.full(rows.size, radius * radius + 1, dtype=np.int64)
    from_rows, from_columns = rows.copy(), columns.copy()
    open_ = np.arange(rows.size)
    for offset in sorted(range(-radius, radius + 1), key=lambda x: (abs(x), x)):
        open_ = open_[best[open_] > offset * offset]  # a column farther away than the best cannot win
        column = columns[open_] + offset
        inside = (column >= 0) & (column < width)
        index, column = open_[inside], column[inside]
        row = nearest_row[rows[index], column]
        distance = (row - rows[index]).astype(np.int64) ** 2 + offset * offset
        closer = distance < best[index]
        index = index[closer]
        best[index], from_rows[index], from_columns[index] = distance[closer], row[closer], column[closer]
    return from_rows, from_columns, best <= radius * radius
