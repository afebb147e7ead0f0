"""The part of web-mercator that a scene covers: across the antimeridian, around a pole, up to the 85th parallel."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from geo2map.errors import GeoreferenceError
from geo2map.grid import EARTH_RADIUS, HALF_WORLD
from geo2map.scene.georeference import Georeference, Points
from geo2map.types import Bounds

LIMIT = math.degrees(math.atan(math.sinh(math.pi)))
"""85.0511 degrees: where web-mercator is as high as it is wide."""
EDGE_STEPS = 256
GRID_STEPS = 33
FINE_STEPS = 129
_TOLERANCE = 1e-9
"""Degrees by which rounding may carry a longitude over the antimeridian, a latitude over the limit (0.1 mm)."""


@dataclass(frozen=True)
class Footprint:
    """The extent of a scene in web-mercator.

    Attributes:
        bounds: web-mercator metres; `left` is in the world, `right` lies beyond its right edge where the scene
            crosses the antimeridian.
        clipped: whether parts of the scene lie beyond web-mercator's 85.0511 degrees.
        jacobian: how many web-mercator metres east and north (rows) one column and one row (columns) go, in
            the middle of the scene; float (2, 2).
    """

    bounds: Bounds
    clipped: bool
    jacobian: Points

    @property
    def latitude(self) -> float:
        """Degrees, of the middle of the bounds."""
        return math.degrees(math.atan(math.sinh((self.bounds.bottom + self.bounds.top) / 2 / EARTH_RADIUS)))

    @property
    def ground_resolution(self) -> float:
        """Metres on the ground per pixel: the geometric mean of both axes."""
        return math.sqrt(abs(np.linalg.det(self.jacobian))) * math.cos(math.radians(self.latitude))

    def scale(self, mercator_resolution: float) -> tuple[float, float]:
        """Output pixels per scene column and per scene row (GDAL's XSCALE and YSCALE).

        A round output pixel covers an ellipse of scene pixels; these are the inverse half-widths of its bounding box,
        so that they hold for rotated, sheared and oblong pixels, too.
        """
        columns, rows = np.linalg.norm(np.linalg.inv(self.jacobian) * mercator_resolution, axis=1)
        return 1 / float(columns), 1 / float(rows)


def find_footprint(place: Georeference) -> Footprint:
    """Follows the outline of a scene in steps, and samples a grid of its pixels.

    Raises:
        GeoreferenceError: wholly outside web-mercator, or nowhere on Earth.
    """
    inside = _grid(place, GRID_STEPS)
    outline = place.lnglat(*_outline(place))
    if np.isfinite(outline).all():
        longitudes, latitudes = _follow(outline, inside[:, np.isfinite(inside).all(axis=0)])
    else:
        longitudes, latitudes = _spread(_grid(place, FINE_STEPS), place.name)
    west, east = _normalised(longitudes)
    south, north = float(latitudes.min()), float(latitudes.max())
    bottom, top = (_mercator_y(np.clip(latitude, -LIMIT, LIMIT)) for latitude in (south, north))
    bounds = Bounds(math.radians(west) * EARTH_RADIUS, float(bottom), math.radians(east) * EARTH_RADIUS, float(top))
    if bounds.left >= bounds.right or bounds.bottom >= bounds.top:
        raise GeoreferenceError(
            f"{place.name} is entirely outside web-mercator (85.05° N..S), at {north:.2f}° north; give another scene"
        )
    clipped = south < -LIMIT - _TOLERANCE or north > LIMIT + _TOLERANCE
    return Footprint(bounds, clipped, _jacobian(place, bounds, inside))


def find_outline(place: Georeference) -> Points:
    """Degrees (longitudes, latitudes) once around a scene, (2, points), longitudes without jumps.

    Not finite off the Earth; does not close where it goes round a pole.
    """
    longitudes, latitudes = place.lnglat(*_outline(place))
    return np.array([np.unwrap(longitudes, period=360.0), latitudes])


def _outline(place: Georeference) -> tuple[Points, Points]:
    """Columns and rows along the edges, once around, the first point again at the end."""
    steps = np.arange(EDGE_STEPS) / EDGE_STEPS
    zeros, ones = np.zeros_like(steps), np.ones_like(steps)
    columns = np.concatenate((steps, ones, 1 - steps, zeros, [0.0]))
    rows = np.concatenate((zeros, steps, ones, 1 - steps, [0.0]))
    return columns * place.width, rows * place.height


def _middles(place: Georeference, steps: int) -> tuple[Points, Points]:
    shares = (np.arange(steps) + 0.5) / steps
    columns, rows = np.meshgrid(shares * place.width, shares * place.height)
    return columns.ravel(), rows.ravel()


def _grid(place: Georeference, steps: int) -> Points:
    return place.lnglat(*_middles(place, steps))


def _follow(outline: Points, inside: Points) -> tuple[Points, Points]:
    """Longitudes without jumps and latitudes of a closed outline; one that goes round the Earth holds a pole."""
    longitudes, latitudes = np.unwrap(outline[0], period=360.0), outline[1]
    if abs(longitudes[-1] - longitudes[0]) < 180:
        return longitudes, latitudes
    pole = math.copysign(90.0, inside[1, np.abs(inside[1]).argmax()]) if inside.size else 90.0
    return np.array([-180.0, 180.0]), np.append(latitudes, pole)


def _spread(points: Points, name: str) -> tuple[Points, Points]:
    """The same of a scene that reaches beyond the Earth's limb: of a dense grid, and one step more on every side."""
    found = np.isfinite(points).all(axis=0)
    if not found.any():
        raise GeoreferenceError(f"no pixel of {name} lies on Earth; check its CRS and geotransform")
    longitudes, latitudes = points[:, found]
    middle = longitudes[longitudes.size // 2]
    longitudes = middle + (longitudes - middle + 180) % 360 - 180
    return _widened(longitudes), np.clip(_widened(latitudes), -90, 90)


def _widened(degrees: Points) -> Points:
    step = np.ptp(degrees) / FINE_STEPS
    return np.array([degrees.min() - step, degrees.max() + step])


def _normalised(longitudes: Points) -> tuple[float, float]:
    """West and east with west from -180 on; all of the world where they are that far apart."""
    west, east = float(longitudes.min()), float(longitudes.max())
    if east - west >= 360 - _TOLERANCE:
        return -180.0, 180.0
    turn = 360 * math.floor((west + 180 + _TOLERANCE) / 360)
    west, east = max(west - turn, -180.0), east - turn
    return west, 180.0 if 180 < east < 180 + _TOLERANCE else east


def _mercator_y(latitude: float) -> float:
    return EARTH_RADIUS * math.asinh(math.tan(math.radians(latitude)))


def _jacobian(place: Georeference, bounds: Bounds, inside: Points) -> Points:
    """Central differences over one pixel, at the grid point that is nearest to the middle of the bounds.

    Not simply in the middle of the raster, which may be a pole.
    """
    with np.errstate(all="ignore"):
        y = EARTH_RADIUS * np.arcsinh(np.tan(np.radians(inside[1])))
        x = np.radians(inside[0]) * EARTH_RADIUS - (bounds.left + bounds.right) / 2
        x = (x + HALF_WORLD) % (2 * HALF_WORLD) - HALF_WORLD
        distance = np.hypot(x, y - (bounds.bottom + bounds.top) / 2)
    if not np.isfinite(distance).any():
        raise GeoreferenceError(f"no pixel of {place.name} is within web-mercator; check its CRS")
    column, row = (points[np.nanargmin(distance)] for points in _middles(place, GRID_STEPS))
    longitudes, latitudes = place.lnglat(column + np.array([0.5, -0.5, 0, 0]), row + np.array([0, 0, 0.5, -0.5]))
    longitudes = np.unwrap(longitudes, period=360.0)
    easts = np.radians(longitudes) * EARTH_RADIUS
    norths = EARTH_RADIUS * np.arcsinh(np.tan(np.radians(latitudes)))
    jacobian = np.array([easts, norths]) @ [[1, 0], [-1, 0], [0, 1], [0, -1]]
    if not np.isfinite(jacobian).all() or np.linalg.det(jacobian) == 0:
        raise GeoreferenceError(f"the pixels of {place.name} have no extent on Earth; check its CRS and geotransform")
    return jacobian
