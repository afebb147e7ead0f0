"""A few features as geo2map writes them, for tests of what is made from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import shapely

from geo2map.colour.palette import MAPS_PALETTE
from geo2map.features import UNITS, Region, RoadLine
from geo2map.features.style import palette_style
from geo2map.formats.vectors.read import FeatureFile
from geo2map.formats.vectors.tiles import vector_tiles
from geo2map.formats.vectors.write import FeatureWriter
from geo2map.grid import PixelWindow
from geo2map.tiles.store import MemoryStore
from geo2map.tiles.tilejson import TileSet

LEFT, TOP, ZOOM = 38600, 49273, 17
"""Column and row of the north-western of three tiles a side, in New York."""
WINDOW = PixelWindow(256 * LEFT, 256 * TOP, 256 * (LEFT + 3), 256 * (TOP + 3))
LEGEND = [[name, list(colour)] for name, colour in MAPS_PALETTE.entries]
TILESET = TileSet("small town", "mvt", 14, ZOOM, WINDOW, {"model": "sat2map 0123456789ab", "legend": LEGEND})
NODE = (300, 400)
"""Pixels from the corner: where three roads meet."""


def units(*points: tuple[float, float]) -> np.ndarray:
    """Points in pixels from the corner as features have them, int64 (N, 2)."""
    return ((np.array(points) + WINDOW[:2]) * UNITS).astype(np.int64)


def road(*points: tuple[float, float], kind: str = "road", width: float = 8.0) -> RoadLine:
    return RoadLine(kind, units(*points), width, 1.0, 0.9, False, False)


def area(kind: str, left: int, top: int, right: int, bottom: int) -> Region:
    (west, north), (east, south) = units((left, top), (right, bottom)).tolist()
    return Region(kind, shapely.box(west, north, east, south), 1.0, 0.8)


FEATURES = (
    area("water", 20, 20, 200, 120),
    area("park", 400, 420, 700, 700),
    area("building", 60, 200, 100, 240),
    area("building", 320, 180, 420, 260),
    road((0, 400), NODE),
    road(NODE, (768, 400)),
    road(NODE, (300, 768)),
    road((0, 300), (768, 320), kind="highway", width=22.0),
)


def write_town(path: Path, features: tuple[Region | RoadLine, ...] = FEATURES) -> Path:
    """A GeoPackage."""
    writer = FeatureWriter(path, TILESET, MAPS_PALETTE.classes)
    for feature in features:
        writer.add(feature)
    writer.complete(palette_style(MAPS_PALETTE.entries))
    return path


def town_tiles(path: Path) -> MemoryStore:
    """Vector tiles of a GeoPackage."""
    store = MemoryStore()
    for tile, data in vector_tiles(FeatureFile.open(path), TILESET.minzoom):
        store.put(tile, data)
    return store
