"""The distance between two georeferences of a raster, at its centre and corners."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from geo2map.grid.window import EARTH_RADIUS

_Points = npt.NDArray[np.float64]


def probe_points(width: int, height: int) -> tuple[_Points, _Points]:
    """Columns and rows of a raster's middle and corners, (5,) each."""
    return np.array([0.5, 0, 1, 0, 1]) * width, np.array([0.5, 0, 0, 1, 1]) * height


def largest_distance(here: _Points, there: _Points, width: int, height: int) -> tuple[float, float]:
    """The largest distance between two georeferences of `probe_points`: in metres on the ground, and in pixels.

    Args:
        here, there: degrees (longitudes, latitudes), (2, 5); pixels are those of `here`.

    Returns:
        Infinite where a point is off the Earth.
    """
    metres = float(np.max(_metres(here, there)))
    pixel = float(_metres(here[:, 1], here[:, 4])) / math.hypot(width, height)
    return metres, metres / pixel if pixel else math.inf


def _metres(here: _Points, there: _Points) -> _Points:
    """Along the ground, of points in degrees (2, ...); infinite where one is off the Earth."""
    (west, south), (east, north) = np.radians(here), np.radians(there)
    half = np.sin((north - south) / 2) ** 2 + np.cos(south) * np.cos(north) * np.sin((east - west) / 2) ** 2
    return np.nan_to_num(2 * EARTH_RADIUS * np.arcsin(np.sqrt(np.clip(half, 0, 1))), nan=math.inf)
