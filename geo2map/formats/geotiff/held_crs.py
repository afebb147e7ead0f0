"""Whether the tags of a GeoTIFF preserve its CRS; GDAL silently drops what they cannot represent."""

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
"""Tolerance in pixels for positions by the CRS that was read back."""


def crs_beside(path: Path, grid: RasterGrid) -> str | None:
    """The CRS to be written to a sidecar, as WKT; None if the tags of the file preserve it.

    Args:
        path: the finished file.
        grid: its intended grid.

    Raises:
        OutputError: the CRS cannot be written as WKT either.
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
        f"crs_out: the CRS of {path.name} fits neither a GeoTIFF nor a sidecar; choose another one", option="crs_out"
    )


def _places_alike(crs: CRS | None, grid: RasterGrid) -> bool:
    """Whether a CRS puts the corners and the centre of a grid in the same positions."""
    if crs is None:
        return False
    points: Any = np.array(probe_points(grid.width, grid.height))
    x, y = grid.transform @ points
    try:
        here, there = (np.array(transform(one, "EPSG:4326", x, y)[:2]) for one in (grid.crs, crs))
    except GDAL_ERRORS:
        return False
    return largest_distance(here, there, grid.width, grid.height)[1] <= _NEAR
