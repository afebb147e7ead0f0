"""The area of interest as a value on the global pixel grid: which tiles it touches, which pixels it holds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import mercantile
import numpy as np
import numpy.typing as npt
import shapely
from rasterio.features import geometry_mask
from rasterio.warp import transform
from shapely.affinity import translate

from geo2map import grid
from geo2map.errors import AoiError
from geo2map.grid import TILE_SIZE, PixelWindow
from geo2map.grid.block import Block
from geo2map.types import Bounds, Mask, Tile

TOLERANCE = 0.01
"""Pixels by which an area may extend over a tile's border without touching the tile: copied bounds are
rounded."""
Geometries = npt.NDArray[np.object_]
_WORLD = 2 * grid.HALF_WORLD
_INWARDS = np.array([1, 1, -1, -1])
_WINDS = ("east", "north-east", "north", "north-west", "west", "south-west", "south", "south-east")


@dataclass(frozen=True)
class Aoi:
    """The area to be written. A value: picklable, comparable, JSON-able.

    A tile belongs to the area if it shares more than its border (`TOLERANCE`) with it, a pixel if its centre lies
    inside. Both depend on the tile alone: they are the same whichever block or plan asks. Columns are counted modulo
    the world.

    Attributes:
        wkt: a valid POLYGON or MULTIPOLYGON in web-mercator metres, within web-mercator's square.
    """

    wkt: str

    def __post_init__(self) -> None:
        if self.geometry.is_empty or self.geometry.geom_type not in ("Polygon", "MultiPolygon"):
            raise AoiError(f"area {self.wkt[:40]!r} is not a polygon; give one with an area")

    @cached_property
    def geometry(self) -> shapely.Polygon | shapely.MultiPolygon:
        """The area, prepared for many spatial predicates."""
        geometry = shapely.from_wkt(self.wkt)
        shapely.prepare(geometry)
        return geometry

    def tiles(self, tiles: PixelWindow, zoom: int) -> Mask:
        """Which tiles belong to the area, bool (rows, columns).

        Args:
            tiles: columns and rows of tiles, right and bottom excluded.
        """
        rows = (tiles._replace(top=row, bottom=row + 1) for row in range(tiles.top, tiles.bottom))
        return np.concatenate([shapely.intersects(self.geometry, _boxes(row, zoom)) for row in rows])

    def mask(self, block: Block, clip: bool) -> Mask:
        """Which pixels of a block may be written, bool (H, W) of the size of `block.core`.

        Args:
            clip: pixels inside the area only; otherwise all pixels of its tiles.
        """
        tiles = grid.tile_range(block.core)
        touched = self.tiles(tiles, block.z)
        mask: Mask = touched.repeat(TILE_SIZE, axis=0).repeat(TILE_SIZE, axis=1)
        if clip:
            crossed = touched & ~shapely.covers(self.geometry, _boxes(tiles, block.z))
            for row, column in np.argwhere(crossed).tolist():
                tile = Tile(tiles.left + column, tiles.top + row, block.z)
                mask[grid.tile_window(tile).slices(block.core)] = self._inside(tile)
        return mask

    def _inside(self, tile: Tile) -> Mask:
        """Which pixels of a tile have their centre inside, bool (256, 256).

        Always computed for a whole tile and the polygons' part there: a frame that depended on the block would round
        differently where an edge runs through pixel centres.
        """
        window = grid.tile_window(tile._replace(x=tile.x % 2**tile.z))
        part = shapely.clip_by_rect(self.geometry, *grid.window_bounds(window.grow(1), tile.z))
        polygons = [piece for piece in shapely.get_parts(part) if piece.geom_type == "Polygon"]
        if not polygons:
            return np.zeros((TILE_SIZE, TILE_SIZE), dtype=np.bool_)
        matrix = grid.window_transform(window, tile.z)
        inside: Mask = geometry_mask(polygons, (TILE_SIZE, TILE_SIZE), matrix, invert=True)
        return inside

    def cut(self, window: PixelWindow, zoom: int, clip: bool, name: str) -> PixelWindow:
        """The part of a scene's window that contains the area; extended to whole tiles unless it clips.

        Args:
            name: of the scene, for the error.

        Raises:
            AoiError: the area is elsewhere; states the distance.
        """
        inner = np.array(grid.window_bounds(window, zoom)) + TOLERANCE * grid.mercator_resolution(zoom) * _INWARDS
        parts = [shapely.clip_by_rect(translate(self.geometry, turn * _WORLD), *inner) for turn in (0, 1)]
        if all(part.is_empty for part in parts):
            raise self._elsewhere(window, zoom, name)
        pixels = grid.bounds_window(Bounds(*shapely.total_bounds(parts)), zoom, TOLERANCE)
        if not clip:
            pixels = PixelWindow(*(edge * TILE_SIZE for edge in grid.tile_range(pixels)))
        return pixels.intersection(window)

    def _elsewhere(self, window: PixelWindow, zoom: int, name: str) -> AoiError:
        """The message when the scene's window contains none of the area; distance the shorter way around the Earth."""
        scene = shapely.box(*grid.window_bounds(window, zoom))
        copies = (translate(self.geometry, turn * _WORLD) for turn in (-1, 0, 1))
        line = min((shapely.shortest_line(scene, copy) for copy in copies), key=lambda line: line.length)
        (lng, lat), there = (mercantile.lnglat(*point) for point in line.coords)
        # distances from the centre of an azimuthal equidistant projection are geodesic
        (east,), (north,) = transform(
            "EPSG:4326", f"+proj=aeqd +lon_0={lng} +lat_0={lat} +datum=WGS84", [there.lng], [there.lat]
        )
        wind = _WINDS[round(math.atan2(north, east) / (math.pi / 4)) % 8]
        bounds = ",".join(f"{degrees:.5f}" for degrees in grid.lnglat_bounds(window, zoom))
        return AoiError(
            f"the area of interest lies {_distance(math.hypot(east, north))} {wind} of {name}, which covers "
            f"{bounds} (west,south,east,north); check the area's coordinates and CRS, or give another scene"
        )


def _boxes(tiles: PixelWindow, zoom: int) -> Geometries:
    """The tiles in metres, `TOLERANCE` smaller on every side, polygons (rows, columns)."""
    size = grid.mercator_resolution(zoom)
    side, less = TILE_SIZE * size, TOLERANCE * size
    left, top = np.meshgrid(
        np.arange(tiles.left, tiles.right) % 2**zoom * side - grid.HALF_WORLD,
        grid.HALF_WORLD - np.arange(tiles.top, tiles.bottom) * side,
    )
    boxes: Geometries = shapely.box(left + less, top - side + less, left + side - less, top - less)
    return boxes


def _distance(metres: float) -> str:
    return f"{metres:.3g} m" if metres < 1000 else f"{metres / 1000:.{0 if metres >= 1e5 else 1}f} km"
