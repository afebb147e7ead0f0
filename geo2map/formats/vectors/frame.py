"""Where a map's features lie on the Earth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from geo2map.features import UNITS
from geo2map.grid import TILE_SIZE, PixelWindow, ground_resolution, window_latitude
from geo2map.grid.ellipsoid import ring_area, segment_lengths


@dataclass(frozen=True)
class MapFrame:
    """The pixel grid that features are whole numbers on: sixteenths of a global pixel at one zoom.

    Attributes:
        zoom: of the map.
        window: global pixels of the map at that zoom; continues beyond the world's right edge across the antimeridian.
    """

    zoom: int
    window: PixelWindow

    @property
    def metres(self) -> float:
        """On the ground, of a pixel's side in the middle of the map."""
        return ground_resolution(self.zoom, window_latitude(self.window, self.zoom))

    @property
    def _side(self) -> int:
        """Units around the world."""
        return TILE_SIZE * UNITS << self.zoom

    def to_degrees(self, units: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Longitude and latitude, float64 (N, 2), of points in units."""
        shares = units / float(self._side)
        latitude = np.arctan(np.sinh(np.pi * (1 - 2 * shares[:, 1])))
        return np.column_stack((shares[:, 0] * 360 - 180, np.degrees(latitude)))

    def to_units(self, degrees: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Points in whole units, int64 (N, 2), of longitude and latitude; undoes `to_degrees`."""
        rows = (1 - np.arcsinh(np.tan(np.radians(degrees[:, 1]))) / np.pi) / 2
        shares = np.column_stack(((degrees[:, 0] + 180) / 360, rows))
        return np.rint(shares * self._side).astype(np.int64)

    def unwrapped(self, degrees: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Longitudes and latitudes, float64 (N, 2), with longitudes counted on beyond 180 where the map goes on."""
        west, _, east, _ = self.bounds_of(self.window)
        turns = np.rint(((west + east) / 2 - degrees[:, 0]) / 360)
        return np.column_stack((degrees[:, 0] + 360 * turns, degrees[:, 1]))

    def length(self, line: npt.NDArray[np.int64]) -> float:
        """Metres along a line in units, on the ellipsoid."""
        return float(segment_lengths(self.to_degrees(line)).sum())

    def area(self, polygon: shapely.Polygon) -> float:
        """Square metres of a polygon in units, on the ellipsoid."""
        rings = [self.to_degrees(shapely.get_coordinates(ring)) for ring in (polygon.exterior, *polygon.interiors)]
        return ring_area(rings[0]) - sum(ring_area(ring) for ring in rings[1:])

    def bounds_of(self, window: PixelWindow) -> tuple[float, float, float, float]:
        """West, south, east, north in degrees of pixels of the map's zoom."""
        corners = np.array([(window.left, window.bottom), (window.right, window.top)], np.int64) * UNITS
        (west, south), (east, north) = self.to_degrees(corners)
        return float(west), float(south), float(east), float(north)
