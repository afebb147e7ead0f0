"""Whether a GeoTIFF's tags hold its CRS; GDAL drops in silence what they cannot spell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from rasterio._err import CPLE_BaseError  # the public error module leaves GDAL's own errors out
from rasterio.crs import CRS
from rasterio.enums import WktVersion
from rasterio.errors import CRSError, RasterioError
from rasterio.warp import transform

from geo2map.errors import OutputError
from geo2map.grid.raster import RasterGrid

NEAR = 1e-3
"""Pixels by which the CRS that was read back may place a pixel elsewhere."""


def crs_beside(path: Path, grid: RasterGrid) -> str | None:
    """The CRS that has to lie beside a GeoTIFF in a sidecar, as WKT; None where the tags of the file hold it.

    Args:
        path: of the file, finished.
        grid: what it was to lie on.

    Raises:
        OutputError: a CRS that cannot be written as WKT, either.
    """
    with rasterio.open(path, GEOREF_SOURCES="INTERNAL") as dataset:
        if _places_alike(dataset.crs, grid):
            return None
    try:
        text = str(CRS.from_user_input(grid.crs).to_wkt(version=WktVersion.WKT2_2019))
        if _places_alike(CRS.from_wkt(text), grid):
            return text
    except CRSError:
        pass
    raise OutputError(
        f"the CRS of {path.name} can be kept neither in a GeoTIFF nor beside it: choose another one", option="crs_out"
    )


def _places_alike(crs: CRS | None, grid: RasterGrid) -> bool:
    """Whether a CRS puts the corners and the middle of a grid where its own does."""
    if crs is None:
        return False
    columns, rows = np.array([0.5, 0, 1, 0, 1]) * grid.width, np.array([0.5, 0, 0, 1, 1]) * grid.height
    x, y = grid.transform @ np.array([columns, rows])
    try:
        here, there = (np.array(transform(one, "EPSG:3857", x, y)[:2]) for one in (grid.crs, crs))
    except (RasterioError, CRSError, CPLE_BaseError):
        return False
    pixel = np.hypot(*np.ptp(here, axis=1)) / np.hypot(grid.width, grid.height)
    return bool((np.abs(here - there) <= NEAR * pixel).all())
