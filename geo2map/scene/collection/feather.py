"""How overlapping scenes become one image: per pixel the first with data, blended over a few pixels."""

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
    """A scene's pixels in a window.

    Attributes:
        window: global pixels.
        pixels, mask: of the window grown by the feather.
    """

    window: PixelWindow
    pixels: Image
    mask: Mask


def feather_weights(mask: Mask, feather: int) -> _Weights:
    """Opacity of a scene, 0 to 1: the distance to its nearest invalid pixel, divided by `feather`.

    Exact where the mask extends `feather` pixels farther. Distances are Euclidean, between pixel centres.
    """
    if feather == 0 or mask.all():  # without an invalid pixel the distance has no meaning
        return mask.astype(np.float32)
    distance = np.minimum(distance_transform_edt(mask), feather).astype(np.float32)
    weights: _Weights = distance / np.float32(feather)
    return weights


def overlay(window: PixelWindow, parts: Iterable[Part], feather: int) -> tuple[Image, Mask]:
    """Composites parts of scenes, the first on top.

    A scene of weight w shows 1 - w of what is below; where nothing is below, it is opaque. Without
    feather that is a hard cut. Sums in single precision, rounded to the nearest level once (halves to even). Reads
    parts only until the image is opaque.
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
