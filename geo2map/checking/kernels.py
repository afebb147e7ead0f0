"""Whether an overview is plausible for the pixels below it, with any resampling kernel."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from geo2map.tiles.pyramid import Pixels

MEAN_TOLERANCE = 24.0
"""Largest mean deviation in levels from 2 x 2 means: smooth kernels stay below, even on noise."""
CHOICE_TOLERANCE = 8.0
"""Largest mean deviation in levels from the nearest of the four pixels: nearest and mode select one; a lossy format
changes it a little."""


def may_follow(found: Pixels, mean: Pixels, below: Pixels) -> bool:
    """Whether an overview may derive from the pixels below it, by an averaging or a selecting kernel.

    Args:
        found: the overview: pixels, uint8 (H, W, 3), and mask, bool (H, W).
        mean: geo2map's overview of the same pixels, same shapes.
        below: the level below: pixels, uint8 (2 H, 2 W, 3), and mask, bool (2 H, 2 W).
    """
    both = mean[1] & found[1]
    if not both.any():
        return not mean[1].any()
    seen = found[0][both].astype(np.int16)
    if np.abs(seen - mean[0][both]).mean() <= MEAN_TOLERANCE:
        return True
    least = np.full(len(seen), 255.0, dtype=np.float32)
    for row in (0, 1):
        for column in (0, 1):
            child, valid = (plane[row::2, column::2][both] for plane in below)
            apart = np.where(valid, np.abs(seen - child).mean(axis=-1, dtype=np.float32), np.float32(255))
            least = np.minimum(least, apart)
    return bool(least.mean() <= CHOICE_TOLERANCE)


def join_children(children: Mapping[tuple[int, int], Pixels]) -> Pixels:
    """Up to four tiles as one image, uint8 (512, 512, 3), and its mask, bool (512, 512).

    Args:
        children: by (dx, dy), each 0 or 1; missing ones are invalid.
    """
    height, width = next((mask.shape for _, mask in children.values()), (0, 0))
    pixels = np.zeros((2 * height, 2 * width, 3), dtype=np.uint8)
    mask = np.zeros((2 * height, 2 * width), dtype=np.bool_)
    for (dx, dy), (child, valid) in children.items():
        part = np.s_[dy * height : (dy + 1) * height, dx * width : (dx + 1) * width]
        pixels[part], mask[part] = child, valid
    return pixels, mask
