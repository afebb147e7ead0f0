"""Whether an overview may follow from the pixels below it, whichever kernel made it: others have others."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from geo2map.tiles.pyramid import Pixels

MEAN_TOLERANCE = 24.0
"""Levels by which an overview may differ on average from means of four pixels: kernels that are smooth stay below, of
noise, too."""
CHOICE_TOLERANCE = 8.0
"""Levels by which it may differ on average from the likest of the four: nearest and mode choose one of them; a lossy
format changes it a little."""


def may_follow(found: Pixels, mean: Pixels, below: Pixels) -> bool:
    """Whether an overview may be made of the pixels below it, by a kernel that mixes them or by one that chooses.

    Args:
        found: the overview's pixels, uint8 (H, W, 3), and mask, bool (H, W).
        mean: what geo2map would make of them, the same shapes.
        below: the pixels it follows from, uint8 (2 H, 2 W, 3), and their mask, bool (2 H, 2 W).
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
