"""Paints a town as its true map, in the palette's exact colours."""

from __future__ import annotations

import numpy as np
import shapely

from geo2map.colour.palette import MAPS_PALETTE
from geo2map.demo.draw import Canvas
from geo2map.demo.plan import RoadKind
from geo2map.demo.scatter import Town
from geo2map.types import Image

LAND, BUILDING, ROAD, WATER, PARK, ORANGE, YELLOW = (colour for _, colour in MAPS_PALETTE.entries)

DRAWN: dict[RoadKind, tuple[float, tuple[int, int, int]]] = {
    "path": (2.6, LAND),
    "street": (11.2, ROAD),
    "main": (14.4, ROAD),
    "ramp": (9.0, YELLOW),
    "highway": (15.5, ORANGE),
}
"""Width in metres, wider than the asphalt as map makers draw it, and colour."""


def paint_truth(town: Town, size: int, resolution: float) -> Image:
    """The map a cartographer would draw, uint8 (size, size, 3)."""
    canvas = Canvas.blank("RGB", size, resolution, LAND)
    for green in (town.plan.park, town.plan.promenade):
        canvas.shape(green, PARK)
    for quarter in town.quarters:
        canvas.shape(shapely.polygons(quarter.greens.corners), PARK)
        canvas.shape(shapely.polygons(quarter.buildings), BUILDING)
    canvas.shape(town.plan.water, WATER)
    for road in town.plan.roads:
        width, colour = DRAWN[road.kind]
        canvas.shape(road.area(width), colour)
    return np.asarray(canvas.image)
