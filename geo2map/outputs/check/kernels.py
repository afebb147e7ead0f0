"""Whether an overview may follow from the pixels below it, whichever kernel made it: others have others."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy.ndimage import maximum_filter, minimum_filter

from geo2map.tiles.pyramid import Pixels

TOLERANCE = 24.0
"""Levels by which an overview may differ from the means of four pixels, on average: smooth kernels stay below."""
REACH = 8
"""Pixels along a side of what a pixel of an overview is made of, at the level below: cubic and Lanczos kernels."""
OVERSHOOT = 0.25
"""Share of the range of those pixels by which such kernels go beyond it."""
MOST_OUTSIDE = 0.25
"""Share of an overview's pixels that may lie outside of the range all the same: rims, and what a lossy format does."""


def may_follow(found: Pixels, mean: Pixels, below: Pixels) -> bool:
    """Whether an overview may be made of the pixels below it: it is like their means, or lies within their range.

    Args:
        found: the overview's pixels, uint8 (H, W, 3), and mask, bool (H, W).
        mean: what geo2map would make of them, the same shapes.
        below: the pixels it follows from, uint8 (2 H, 2 W, 3), and their mask, bool (2 H, 2 W).
    """
    both = mean[1] & found[1]
    if not both.any():
        return not mean[1].any()
    if np.abs(mean[0][both].astype(np.int16) - found[0][both]).mean() <= TOLERANCE:
        return True
    low, high = _range(below)
    outside: npt.NDArray[np.bool_] = np.any((found[0] < low) | (found[0] > high), axis=-1)
    return bool(outside[both].mean() <= MOST_OUTSIDE)


def join_children(children: Mapping[tuple[int, int], Pixels]) -> Pixels:
    """Up to four tiles as one picture, uint8 (512, 512, 3), and its mask, bool (512, 512).

    Args:
        children: by (dx, dy), each 0 or 1; what is missing is invalid.
    """
    height, width = next((mask.shape for _, mask in children.values()), (0, 0))
    pixels = np.zeros((2 * height, 2 * width, 3), dtype=np.uint8)
    mask = np.zeros((2 * height, 2 * width), dtype=np.bool_)
    for (dx, dy), (child, valid) in children.items():
        part = np.s_[dy * height : (dy + 1) * height, dx * width : (dx + 1) * width]
        pixels[part], mask[part] = child, valid
    return pixels, mask


def _range(below: Pixels) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The least and largest levels that an overview's pixels may have, float32 (H, W, 3)."""
    pixels, mask = below
    size = (REACH, REACH, 1)
    low = minimum_filter(np.where(mask[..., None], pixels, np.uint8(255)), size)
    high = maximum_filter(np.where(mask[..., None], pixels, np.uint8(0)), size)
    low, high = (edge[1::2, 1::2].astype(np.float32) for edge in (low, high))
    more = OVERSHOOT * np.maximum(high - low, 0) + 2
    return low - more, high + more
