"""Names for the values that pass between the rooms."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
"""uint8 (H, W, 3), red green blue."""

Batch = npt.NDArray[np.uint8]
"""uint8 (N, H, W, 3)."""

Mask = npt.NDArray[np.bool_]
"""bool (H, W), True where a pixel is valid."""

RawPixels = npt.NDArray[np.generic]
"""Pixels of the dtype in which a raster stores them."""

PathLike = str | Path

PictureFormat = Literal["png", "webp", "jpeg", "avif"]
TileFormat = Literal["png", "webp", "jpeg", "avif", "mvt"]
"""Formats of tiles: pictures, and Mapbox vector tiles."""
Compression = Literal["deflate", "zstd", "webp"]
Scheme = Literal["xyz", "tms"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Direction = Literal["a2b", "b2a"]
GanMode = Literal["bce", "lsgan", "hinge"]
SplitName = Literal["train", "val", "test"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)
"""Names of the folders of a set of pairs."""

Match = Literal["auto", "model", "none"]
Favours = tuple[tuple[str, float], ...]
"""What is added to the scores of classes before one of them is drawn, in logits; by name."""
Mode = Literal["exact", "faithful"]
WeightsDtype = Literal["fp16", "fp32"]
OnError = Literal["fail", "skip"]
Order = Literal["first", "last", "newest", "finest"]
Resampling = Literal[
    "nearest", "bilinear", "cubic", "cubic_spline", "lanczos", "average", "mode", "max", "min", "med", "q1", "q3", "rms"
]


class Tile(NamedTuple):
    """An XYZ tile, row 0 in the north; equal to and usable as a `mercantile.Tile`."""

    x: int
    y: int
    z: int


class Bounds(NamedTuple):
    """Web-mercator metres."""

    left: float
    bottom: float
    right: float
    top: float


class LngLatBounds(NamedTuple):
    """Degrees."""

    west: float
    south: float
    east: float
    north: float
