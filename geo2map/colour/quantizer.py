"""Snapping to the colours of a map style: exact nearest colours from a lookup table that is filled on demand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geo2map.errors import DataError
from geo2map.types import Image

MOST_COLOURS = 255
"""One of the 256 indices of a PNG or a colour table is reserved for transparency."""

Colours = npt.NDArray[np.uint8]
"""uint8 (N, 3), N from 1 to `MOST_COLOURS`, no colour twice."""
Indices = npt.NDArray[np.uint8]
"""uint8, numbers of colours."""

_CELL = 8  # levels: a cell of the table are 8 x 8 x 8 colours, a map has some hundred cells of 32,768
_SIDE = 256 // _CELL
_BATCH = 64  # cells that are filled together
_UNKNOWN = np.int16(-1)


class PaletteQuantizer:
    """Finds the nearest of some colours for each pixel, by squared RGB distance; the first wins a tie.

    The table of all 2^24 colours is filled cell by cell on demand, so start-up is fast. The
    result depends on the colours and the pixel alone. Thread-safe: two threads may fill a cell with the same numbers.

    Attributes:
        colours: uint8 (N, 3).
    """

    def __init__(self, colours: npt.ArrayLike) -> None:
        """
        Raises:
            DataError: there are no colours, too many, or the same one twice.
        """
        self.colours = check_colours(colours)
        self._nearest = np.full(1 << 24, _UNKNOWN, dtype=np.int16)

    def indices(self, image: npt.NDArray[np.uint8]) -> Indices:
        """Number of the nearest colour for each pixel of a uint8 (..., 3): uint8 (...)."""
        codes = colour_codes(image)
        found = self._nearest[codes]
        if found.min(initial=0) < 0:
            self._fill(codes[found < 0])
            found = self._nearest[codes]
        return found.astype(np.uint8)

    def __call__(self, image: Image) -> Image:
        """The nearest colour for each pixel, uint8 (..., 3); colours of the palette stay as they are."""
        snapped: Image = self.colours[self.indices(image)]
        return snapped

    def table(self) -> Indices:
        """The complete table, uint8 (256, 256, 256) by red, green and blue, for another device; takes seconds."""
        cells = np.arange(_SIDE**3)
        self._fill(_cell_corners(cells) @ np.array([1 << 16, 1 << 8, 1]))
        return self._nearest.astype(np.uint8).reshape(256, 256, 256)

    def _fill(self, codes: npt.NDArray[np.integer]) -> None:
        """Fills the cells that hold some colours, a batch at a time."""
        channels = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=-1) // _CELL
        wanted = np.zeros(_SIDE**3, dtype=np.bool_)
        wanted[channels @ np.array([_SIDE * _SIDE, _SIDE, 1])] = True
        cells = np.flatnonzero(wanted)
        for start in range(0, len(cells), _BATCH):
            corners = _cell_corners(cells[start : start + _BATCH])
            candidates = self._candidates(corners)
            inside = (corners[:, None] + _OFFSETS).astype(np.int32)
            best = np.full(inside.shape[:2], np.iinfo(np.int32).max, dtype=np.int32)
            nearest = np.zeros(inside.shape[:2], dtype=np.int16)
            for numbers in candidates.T:
                distance = _squared(inside, self.colours[numbers].astype(np.int32))
                np.copyto(nearest, numbers[:, None].astype(np.int16), where=distance < best)
                np.minimum(best, distance, out=best)
            self._nearest[inside @ np.array([1 << 16, 1 << 8, 1])] = nearest

    def _candidates(self, corners: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
        """Colours that may be nearest to something in cells, (cells, most of a cell), ascending, then any others.

        Only those count whose least distance to a cell is within the least of all the greatest ones.
        """
        low = self.colours.astype(np.int64) - corners[:, None]
        high = low - (_CELL - 1)
        least = (np.maximum(np.maximum(-low, high), 0) ** 2).sum(axis=-1)
        most = (np.maximum(np.abs(low), np.abs(high)) ** 2).sum(axis=-1)
        far = least > most.min(axis=1, keepdims=True)
        return far.argsort(axis=1, kind="stable")[:, : int((~far).sum(axis=1).max())]


_OFFSETS = np.stack(np.meshgrid(*[np.arange(_CELL)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)


def _squared(inside: npt.NDArray[np.int32], colours: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Squared distances of (cells, N, 3) to a colour a cell, (cells, 3): (cells, N)."""
    found = np.zeros(inside.shape[:2], dtype=np.int32)
    for band in range(3):
        step = inside[..., band] - colours[:, None, band]
        found += step * step
    return found


def check_colours(colours: npt.ArrayLike) -> Colours:
    """The colours as uint8 (N, 3).

    Raises:
        DataError: there are none, too many, the same one twice, or levels that are not whole numbers from 0 to 255.
    """
    given = np.asarray(colours)
    if given.ndim != 2 or given.shape[1] != 3 or not 1 <= len(given) <= MOST_COLOURS:
        raise DataError(f"list of colours: shape {given.shape}; give 1 to {MOST_COLOURS} of red, green and blue")
    if not np.issubdtype(given.dtype, np.integer) or given.min() < 0 or given.max() > 255:
        raise DataError("list of colours: levels must be whole numbers from 0 to 255")
    if len(np.unique(given, axis=0)) < len(given):
        raise DataError("list of colours: a colour occurs twice; remove one")
    return given.astype(np.uint8)


def colour_codes(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    """24-bit numbers of colours, red first."""
    red, green, blue = (image[..., band].astype(np.int32) for band in range(3))
    return red << 16 | green << 8 | blue


def _cell_corners(cells: npt.NDArray[np.integer] | np.integer) -> npt.NDArray[np.int64]:
    """Lowest red, green and blue of cells by number, int64 (..., 3)."""
    cells = np.asarray(cells, dtype=np.int64)
    return np.stack([cells // (_SIDE * _SIDE), cells // _SIDE % _SIDE, cells % _SIDE], axis=-1) * _CELL
