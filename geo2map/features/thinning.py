"""Thinning of a mask to lines one pixel wide, in a bounded number of passes."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from geo2map.features.rasters import eroded
from geo2map.types import Mask

_AROUND = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))
"""Row and column steps to a pixel's neighbours, clockwise from the north-west."""


def thin_lines(mask: Mask, passes: int) -> Mask:
    """Thins a mask (Guo & Hall, CACM 1989): bool (H, W), its lines 8-connected, one pixel wide.

    Each pass has two halves and each half sees one pixel around, so that no pixel of the result depends on what lies
    more than `2 * passes` pixels away. What is wider than twice as many pixels as there are passes stays thick.
    """
    padded = np.pad(mask, 2)
    flat, width = padded.ravel(), padded.shape[1]
    steps = np.array([row * width + column for row, column in _AROUND])
    due = np.flatnonzero(flat & ~eroded(padded).ravel())  # pixels whose surroundings changed
    number = np.full(len(flat), 255, np.uint8)  # that the neighbours of pixels make, a bit each
    number[due] = np.bitwise_or.reduce([flat[due + step].view(np.uint8) << bit for bit, step in enumerate(steps)])
    queued = np.zeros(len(flat), bool)
    for _ in range(passes):
        touched = due[:0]
        for removable in _removable():
            seen = np.concatenate((due[~queued[due]], touched))
            removed = seen[removable[number[seen]]]
            flat[removed] = False
            parts = [touched]
            for bit, step in enumerate(steps):
                pixels = removed + step  # to which the removed ones lie the other way
                number[pixels] &= ~np.uint8(1 << (bit + 4) % 8)
                parts.append(pixels[flat[pixels] & ~queued[pixels]])
                queued[parts[-1]] = True
            touched = np.concatenate(parts)
        queued[touched] = False
        due = touched[flat[touched]]
        if not len(due):
            break
    return padded[2:-2, 2:-2]


@cache
def _removable() -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Whether a pixel goes in the first and in the second half of a pass, by the number its neighbours make."""
    numbers = np.arange(256)
    p = [(numbers >> bit & 1).astype(bool) for bit in range(8)]
    crossings = sum((~p[k] & (p[(k + 1) % 8] | p[(k + 2) % 8])).astype(int) for k in (1, 3, 5, 7))
    first = sum((p[k] | p[(k + 1) % 8]).astype(int) for k in (0, 2, 4, 6))
    second = sum((p[k] | p[(k + 1) % 8]).astype(int) for k in (1, 3, 5, 7))
    fewest = np.minimum(first, second)
    base = (crossings == 1) & (fewest >= 2) & (fewest <= 3)
    north, north_east, east, south_east = p[1], p[2], p[3], p[4]
    south, south_west, west, north_west = p[5], p[6], p[7], p[0]
    return base & ~((north | north_east | ~south_east) & east), base & ~((south | south_west | ~north_west) & west)
