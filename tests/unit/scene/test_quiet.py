"""Threads that open rasters without a place leave Python's filters of warnings as they were."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from geo2map.scene.gdal import open_raster
from geo2map.scene.quiet import quiet


@pytest.fixture
def placeless(tmp_path: Path) -> str:
    with (
        quiet(),
        rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", width=8, height=8, count=1, dtype="uint8") as file,
    ):
        file.write(np.zeros((1, 8, 8), np.uint8))
    return str(tmp_path / "a.tif")


def test_nobody_hears_of_it_and_others_warnings_stay(placeless: str) -> None:
    """All threads are within at once, and leave in another order than they came."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = list(warnings.filters)
        barrier = Barrier(8)

        def open_one(number: int) -> None:
            with quiet():
                barrier.wait(60)
                open_raster(placeless).close()
                if number % 2:
                    barrier.wait(60)
            if not number % 2:
                barrier.wait(60)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(open_one, range(8)))
        assert list(warnings.filters) == before
        with pytest.raises(NotGeoreferencedWarning):
            rasterio.open(placeless)


def test_a_filter_that_others_set_meanwhile_stays(placeless: str) -> None:
    with warnings.catch_warnings():
        with quiet():
            warnings.simplefilter("error", RuntimeWarning)
            open_raster(placeless).close()
        with pytest.raises(RuntimeWarning):
            warnings.warn("x", RuntimeWarning, stacklevel=1)
