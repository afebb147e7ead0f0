"""Pictures as the squares that a card which is not exact translates one by one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geo2map.types import Batch

_Numbers = npt.NDArray[np.int64]


def cut_squares(batch: Batch, side: int) -> Batch:
    """Every square of `side` px that pictures, uint8 (N, H, W, bands), are made of, as a picture of its own."""
    count, height, width, bands = batch.shape
    squares = batch.reshape(count, height // side, side, width // side, side, bands).swapaxes(2, 3)
    return squares.reshape(-1, side, side, bands)


def distinct_squares(squares: Batch) -> tuple[_Numbers, _Numbers]:
    """Which squares to translate, and whose output is each one's: where a scene has no data, squares are alike."""
    alike, first = np.arange(len(squares)), dict[bytes, int]()
    for index in np.flatnonzero((squares == squares[:, :1, :1]).all((1, 2, 3))).tolist():
        alike[index] = first.setdefault(squares[index, 0, 0].tobytes(), index)
    chosen, copies = np.unique(alike, return_inverse=True)
    return chosen, copies


def join_squares(squares: Batch, shape: tuple[int, ...]) -> Batch:
    """The pictures of this shape that squares were cut from."""
    (count, height, width, _), side = shape, squares.shape[1]
    rows = squares.reshape(count, height // side, width // side, side, side, -1).swapaxes(2, 3)
    return rows.reshape(count, height, width, -1)
