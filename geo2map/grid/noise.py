"""Bands of noise as a function of global position: texture for a network that would repeat itself on plain areas."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geo2map.grid.window import TILE_SIZE, PixelWindow
from geo2map.types import Image

MOST_NOISE = 16
"""Most bands of noise that a network may take."""

_Words = npt.NDArray[np.uint32]


def add_noise(pixels: Image, window: PixelWindow, zoom: int, bands: int) -> Image:
    """The pixels of a window with bands of noise after their own.

    A level of noise depends on zoom, column, row and band alone, so neighbouring windows agree where they overlap;
    columns are counted modulo the world. Levels are uniform over 0 to 255 and show no correlation.

    Args:
        pixels: uint8 (H, W, C), of the size of `window`.
        window: where they lie; may reach beyond the world.
        zoom: of the window.
        bands: how many; 0 gives back `pixels`.

    Returns:
        uint8 (H, W, C + bands).
    """
    if not bands:
        return pixels
    width = TILE_SIZE << zoom
    columns = (np.arange(window.left, window.right, dtype=np.int64) % width).astype(np.uint32)
    rows = np.arange(window.top, window.bottom, dtype=np.int64).astype(np.uint32)  # modulo 2^32 beyond the world
    noise = [_levels(rows, columns, zoom * MOST_NOISE + band) for band in range(bands)]
    return np.concatenate((pixels, np.stack(noise, -1)), -1)


def _levels(rows: _Words, columns: _Words, salt: int) -> npt.NDArray[np.uint8]:
    """uint8 (rows, columns): the top byte of a hash of each position."""
    seed = _mixed(np.array([salt + 1], np.uint32))
    words = _mixed(_mixed(rows ^ seed)[:, None] + columns)
    return (words >> np.uint32(24)).astype(np.uint8)


def _mixed(words: _Words) -> _Words:
    """A permutation of 32 bits without visible pattern: "lowbias32" (C. Wellons, Hash Prospector, public domain)."""
    words = words ^ (words >> np.uint32(16))
    words = words * np.uint32(0x7FEB352D)
    words ^= words >> np.uint32(15)
    words *= np.uint32(0x846CA68B)
    words ^= words >> np.uint32(16)
    return words
