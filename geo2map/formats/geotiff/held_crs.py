"""Whether a GeoTIFF's tags hold its CRS; GDAL drops in silence what they cannot spell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.enums import WktVersion
from rasterio.errors import CRSError
from rasterio.warp import transform

from geo2map.errors import OutputError
from geo2map.files.rasterio_internals import GDAL_ERRORS
from geo2map.grid.apart import largest_distance, probe_points
from geo2map.grid.raster import RasterGrid

_NEAR = 1e-3
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
    points: Any = np.array(probe_points(grid.width, grid.height))
    x, y = grid.transform @ points
    try:
        here, there = (np.array(transform(one, "EPSG:4326", x, y)[:2]) for one in (grid.crs, crs))
    except GDAL_ERRORS:
        return False
    return largest_distance(here, there, grid.width, grid.height)[1] <= _NEAR
