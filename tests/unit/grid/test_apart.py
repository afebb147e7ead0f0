"""How far apart two placings of a raster are."""

from __future__ import annotations

import math

import numpy as np
import pytest

from geo2map.grid.apart import largest_distance, probe_points


def test_metres_and_pixels() -> None:
    columns, rows = probe_points(100, 50)
    here = np.array([10 + columns * 1e-5, 0.001 - rows * 1e-5])
    there = np.array([here[0], here[1] + 3e-5])
    metres, pixels = largest_distance(here, there, 100, 50)
    assert metres == pytest.approx(3.34, abs=0.01)
    assert pixels == pytest.approx(3, rel=1e-3)
    assert largest_distance(here, np.array([here[0] + 360, here[1]]), 100, 50)[1] < 1e-6
    there[0, 2] = np.nan
    assert largest_distance(here, there, 100, 50) == (math.inf, math.inf)
