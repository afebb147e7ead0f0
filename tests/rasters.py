"""GeoTIFFs for tests: one way to write an array, and noise to write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.io import DatasetWriter


def write_raster(
    path: Path, bands: np.ndarray, describe: Callable[[DatasetWriter], None] = lambda _: None, **profile: Any
) -> Path:
    """Writes bands (bands, rows, columns) as a GeoTIFF.

    Args:
        describe: called with the dataset before the pixels are written; GDAL's writer drops some of it after.
        profile: as rasterio has it, e.g. crs and transform.
    """
    count, height, width = bands.shape
    path.parent.mkdir(exist_ok=True)
    shape = {"count": count, "height": height, "width": width, "dtype": bands.dtype}
    with rasterio.open(path, "w", **{"driver": "GTiff"} | profile | shape) as dataset:
        describe(dataset)
        dataset.write(bands)
    return path


def noise(count: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """Values from 1 to 254, uint8 (count, height, width): 0 is free for nodata."""
    return np.random.default_rng(seed).integers(1, 255, (count, height, width), dtype=np.uint8)
