"""Polygons of any CRS become an area: validated, densified, projected, wrapped round the antimeridian."""

from __future__ import annotations

import math

import mercantile
import numpy as np
import numpy.typing as npt
import shapely
from rasterio.crs import CRS
from rasterio.warp import transform
from shapely.affinity import translate

from geo2map.aoi.area import Aoi, Geometries
from geo2map.errors import AoiError
from geo2map.files.rasterio_internals import GDAL_ERRORS
from geo2map.grid import EARTH_RADIUS, HALF_WORLD
from geo2map.grid.mercator import web_mercator

LONGEST_EDGE = 500.0
"""Metres: a straight edge of this length, in degrees or in a projected CRS, bends by centimetres in web-mercator."""
NORTHERNMOST = 85.06
"""Degrees, a little beyond web-mercator's square."""
PRECISION = 1e-4
"""Metres to which coordinates are rounded, so that no library's last digit is part of a plan."""
_WORLD = 2 * HALF_WORLD
_SQUARE = shapely.box(-HALF_WORLD, -HALF_WORLD, HALF_WORLD, HALF_WORLD)


def polygons_of(geometries: Geometries) -> Geometries:
    """The polygons among geometries of any type and among their parts, however deep; without z."""
    parts = shapely.get_parts(shapely.force_2d(geometries))
    while (shapely.get_type_id(parts) > shapely.GeometryType.POLYGON).any():
        parts = shapely.get_parts(parts)
    return parts[(shapely.get_type_id(parts) == shapely.GeometryType.POLYGON) & ~shapely.is_empty(parts)]


def polygons_aoi(polygons: Geometries, crs: CRS, name: str) -> Aoi:
    """The area that polygons cover together.

    Straight edges are straight in their own CRS. In degrees, longitudes beyond 180 go on round the Earth, and an edge
    longer than 180 (but not 360) degrees takes the short way, over the antimeridian.

    Args:
        name: for errors.

    Raises:
        AoiError: no area, or outside web-mercator.
    """
    if crs != web_mercator():
        factor = crs.units_factor[1]  # metres or, in a geographic CRS, radians
        period, edge = (math.tau, LONGEST_EDGE / EARTH_RADIUS) if crs.is_geographic else (math.inf, LONGEST_EDGE)
        polygons = polygons_of(shapely.make_valid(_unwrapped(polygons, period / factor)))
        polygons = shapely.transform(shapely.segmentize(polygons, edge / factor), lambda xy: _project(xy, crs, name))
        polygons = shapely.simplify(_unwrapped(polygons, _WORLD), PRECISION)  # parallels and meridians stay straight
    area = shapely.union_all(polygons_of(shapely.make_valid(polygons)))
    copies = [shapely.intersection(translate(area, turn * _WORLD), _SQUARE) for turn in (-1, 0, 1)]
    area = shapely.union_all(polygons_of(shapely.set_precision(copies, PRECISION)))
    if area.is_empty:
        raise AoiError(f"{name} has no area between 85.05° N and S; draw a polygon there")
    return Aoi(shapely.to_wkt(shapely.normalize(area), rounding_precision=-1))


def bounds_aoi(west: float, south: float, east: float, north: float) -> Aoi:
    """The area between two meridians and two parallels, degrees; west > east crosses the antimeridian.

    Raises:
        AoiError: out of range, or no area between them.
    """
    name = f"bounds {west:g},{south:g},{east:g},{north:g}"
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= 90 and -90 <= north <= 90):
        raise AoiError(f"{name} exceed 180 and 90 degrees; give west,south,east,north", option="bounds")
    if west == east or south >= north:
        raise AoiError(f"{name} enclose nothing; give west,south,east,north in degrees", option="bounds")
    limit = NORTHERNMOST
    left, bottom = mercantile.xy(west, max(south, -limit))
    right, top = mercantile.xy(east + 360 * (west > east), min(north, limit))
    return polygons_aoi(np.array([shapely.box(left, bottom, right, top)]), web_mercator(), name)


def _project(xy: npt.NDArray[np.float64], crs: CRS, name: str) -> npt.NDArray[np.float64]:
    """Coordinates (points, 2) in web-mercator metres."""
    try:
        projected = np.column_stack(transform(crs, web_mercator(), *xy.T))
    except (*GDAL_ERRORS, ValueError) as error:
        raise AoiError(
            f"no transformation from the CRS {crs.to_string()[:60]} of {name} to web-mercator; reproject it first"
        ) from error
    if not np.isfinite(projected).all():
        raise AoiError(f"{name} extends beyond web-mercator; clip it to 85° N..S first")
    return projected


def _unwrapped(polygons: Geometries, period: float) -> Geometries:
    """The polygons, with those that cross the antimeridian continued beyond it.

    Args:
        period: circumference of the Earth in the polygons' units.
    """
    bounds = shapely.bounds(polygons)
    wide = bounds[:, 2] - bounds[:, 0] > period / 2
    if not wide.any():
        return polygons
    polygons = polygons.copy()
    polygons[wide] = [_carried_on(polygon, period) for polygon in polygons[wide]]
    return polygons


def _carried_on(polygon: shapely.Polygon, period: float) -> shapely.Polygon:
    shell, *holes = (_ring(np.array(ring.coords), period) for ring in (polygon.exterior, *polygon.interiors))
    middle = (shell[:, 0].min() + shell[:, 0].max()) / 2
    for hole in holes:  # may have begun on the other side
        hole[:, 0] += period * np.rint((middle - (hole[:, 0].min() + hole[:, 0].max()) / 2) / period)
    return shapely.Polygon(shell, holes)


def _ring(xy: npt.NDArray[np.float64], period: float) -> npt.NDArray[np.float64]:
    """A ring without its jumps; one that then does not close encircles a pole and is left unchanged."""
    jumps = np.diff(xy[:, 0])
    jumps[(np.abs(jumps) <= period / 2) | (np.abs(jumps) >= period * (1 - 1e-9))] = 0.0
    x = xy[:, 0] - period * np.concatenate(([0.0], np.sign(jumps).cumsum()))
    return np.column_stack((x, xy[:, 1])) if x[0] == x[-1] else xy
