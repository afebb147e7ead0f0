"""Where a raster's pixels lie on Earth: by a geotransform, or by a polynomial through ground control points."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from affine import Affine
from rasterio._err import CPLE_AppDefinedError
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.io import DatasetReader
from rasterio.transform import GCPTransformer
from rasterio.warp import transform

from geo2map.errors import GeoreferenceError
from geo2map.scene.gdal import wrap_gdal

WGS84 = "EPSG:4326"
USE_EARTH = "set crs to a CRS of the Earth"
TOLERANCE = 1e-6
"""Degrees by which a pole may be missed: a decimetre of rounding."""

Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Georeference:
    """The way from pixels to the Earth.

    Attributes:
        crs: of the geotransform or of the ground control points.
        transform: from (column, row) of pixel corners to the CRS; None where there are only control points.
        gcps: ground control points; GDAL puts a polynomial through them, of second order from six points on
            (`gdalwarp`'s default). Empty where there is a geotransform.
        width, height: of the raster.
        name: of the file, for errors.
    """

    crs: CRS
    transform: Affine | None
    gcps: tuple[GroundControlPoint, ...]
    width: int
    height: int
    name: str

    def lnglat(self, columns: Points, rows: Points) -> Points:
        """Degrees (longitudes, latitudes) of points in pixel coordinates, (2, points); not finite off the Earth.

        Raises:
            GeoreferenceError: PROJ knows no way from the CRS to WGS 84.
        """
        known = self.crs.to_string()[:60]
        with wrap_gdal(f"no way from {self.name}'s CRS {known} to web-mercator", GeoreferenceError, USE_EARTH):
            if self.transform is None:
                xs, ys = GCPTransformer(self.gcps).xy(rows, columns, offset="ul")
            else:
                xs, ys = _apply(self.transform, columns, rows)
            longitudes, latitudes = _to_wgs84(self.crs, xs, ys)
        beyond = (np.abs(latitudes) > 90 + TOLERANCE) | (np.abs(longitudes) > 720)
        return np.where(beyond, np.nan, (longitudes, np.clip(latitudes, -90, 90)))

    def decimated(self, width: int, height: int) -> Georeference:
        """The same place in fewer pixels: that of an overview."""
        x, y = self.width / width, self.height / height
        matrix = None if self.transform is None else self.transform @ Affine.scale(x, y)
        gcps = tuple(GroundControlPoint(p.row / y, p.col / x, p.x, p.y, p.z) for p in self.gcps)
        return replace(self, transform=matrix, gcps=gcps, width=width, height=height)

    @property
    def centre_longitude(self) -> float | None:
        """Degrees of the middle of a raster whose longitudes leave -180 to 180, None for any other.

        Without it, PROJ's -170 would not be found in a raster that counts 190.
        """
        if self.transform is None or not self.crs.is_geographic:
            return None
        columns, rows = np.array([0, self.width] * 2), np.array([0, 0, self.height, self.height])
        longitudes, _ = _apply(self.transform, columns, rows)
        if longitudes.min() >= -180 - 1e-9 and longitudes.max() <= 180 + 1e-9:
            return None
        return float(longitudes.min() + longitudes.max()) / 2


def find_georeference(dataset: DatasetReader, name: str, crs: str | None = None) -> Georeference:
    """What a file says about its place; a geotransform goes before control points.

    Args:
        crs: used instead of the file's own.

    Raises:
        GeoreferenceError: no CRS, no geotransform and no control points, or only a camera model (RPCs).
    """
    gcps, gcp_crs = dataset.gcps
    matrix = dataset.transform
    usable = matrix != Affine.identity() and math.isfinite(matrix.determinant) and matrix.determinant != 0
    known = _parse_crs(crs, name) if crs else dataset.crs or gcp_crs
    if not usable and not gcps and dataset.rpcs is not None:
        raise GeoreferenceError(
            f"{name} is placed by a camera model only (RPCs), which needs the height of every pixel; "
            "orthorectify it first, e.g. with gdalwarp -rpc"
        )
    if known is None:
        raise GeoreferenceError(
            f"{name} has no coordinate reference system, so nobody can say where on Earth it is; "
            "set crs to the right one, e.g. EPSG:32618",
            option="crs",
        )
    if not usable and not gcps:
        raise GeoreferenceError(f"{name} has a CRS but no usable geotransform; georeference it first")
    size = dataset.width, dataset.height
    if usable:
        return Georeference(known, matrix, (), *size, name)
    return Georeference(known, None, tuple(gcps), *size, name)


def _to_wgs84(crs: CRS, xs: Points, ys: Points) -> Points:
    """Longitudes and latitudes, (2, points). PROJ refuses all points if one is off the Earth; so they are halved."""
    try:
        return np.array(transform(crs, WGS84, xs, ys))
    except CPLE_AppDefinedError:
        if len(xs) == 1:
            return np.full((2, 1), np.nan)
        half = len(xs) // 2
        return np.concatenate((_to_wgs84(crs, xs[:half], ys[:half]), _to_wgs84(crs, xs[half:], ys[half:])), axis=1)


def _apply(matrix: Affine, columns: Points, rows: Points) -> tuple[Points, Points]:
    return matrix.a * columns + matrix.b * rows + matrix.c, matrix.d * columns + matrix.e * rows + matrix.f


def _parse_crs(text: str, name: str) -> CRS:
    try:
        return CRS.from_user_input(text)
    except (CRSError, ValueError) as error:  # EPSG:nonsense is a ValueError
        raise GeoreferenceError(
            f"unknown CRS {text!r} for {name}; give one that PROJ knows, e.g. EPSG:32618", option="crs"
        ) from error
