"""How overlapping sheets become one image: pixel by pixel the first that has data, faded in over a few pixels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt

from geo2map.grid import PixelWindow
from geo2map.types import Image, Mask

_Weights = npt.NDArray[np.float32]


class Part(NamedTuple):
    """What a sheet has in a window.

    Attributes:
        window: global pixels.
        pixels, mask: of the window grown by the feather.
    """

    window: PixelWindow
    pixels: Image
    mask: Mask


def feather_weights(mask: Mask, feather: int) -> _Weights:
    """How much a sheet hides what lies below, 0 to 1: its distance to its nearest invalid pixel over `feather`.

    Right where the mask reaches `feather` pixels farther. Distances are Euclidean, between pixel centres.
    """
    if feather == 0 or mask.all():  # without an invalid pixel the distance has no meaning
        return mask.astype(np.float32)
    distance = np.minimum(distance_transform_edt(mask), feather).astype(np.float32)
    weights: _Weights = distance / np.float32(feather)
    return weights


def overlay(window: PixelWindow, parts: Iterable[Part], feather: int) -> tuple[Image, Mask]:
    """Lays parts of sheets over each other, the first on top.

    A sheet of weight w lets 1 - w of what is below shine through; where nothing is below, it is opaque. Without
    feather that is a hard cut. Sums in single precision, rounded to the nearest level once (halves to even). Takes
    parts only until nothing below can be seen.
    """
    sums = np.zeros((window.height, window.width, 3), dtype=np.float32)
    total, below = np.zeros(sums.shape[:2], dtype=np.float32), np.ones(sums.shape[:2], dtype=np.float32)
    for part in parts:
        into, inner = part.window.slices(window), part.window.slices(part.window.grow(feather))
        shares = below[into] * feather_weights(part.mask, feather)[inner]
        sums[into] += shares[..., None] * part.pixels[inner]
        total[into] += shares
        below[into] -= shares
        if not below.any():
            break
    mask = total > 0
    np.divide(sums, total[..., None], out=sums, where=mask[..., None])
    return np.rint(sums).astype(np.uint8), mask
