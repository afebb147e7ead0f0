"""Outlines of buildings with square corners."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely

from geo2map.features.streets import UNITS

_Polygons = npt.NDArray[np.object_]
_NONE = np.array([None], object)

FILLS = 0.8
"""Share of its smallest rectangle that a building fills if it is taken for one."""
HONEST = 0.86
"""Least intersection over union of an outline with its squared one."""
_STEP = 2.5
"""Edges shorter than this are steps of the raster, not of the building. Pixels."""


def rectangular(plain: _Polygons) -> _Polygons:
    """The smallest rectangle about each outline that nearly fills it, made as large as the outline; else None."""
    box = shapely.minimum_rotated_rectangle(plain)
    area, of_box = shapely.area(plain), shapely.area(box)
    fills = (of_box > 0) & (area >= FILLS * of_box)
    factor = np.sqrt(np.divide(area, of_box, out=np.ones_like(area), where=of_box > 0))
    holed = shapely.get_num_interior_rings(plain) > 0
    centre = shapely.get_coordinates(shapely.centroid(np.where(holed, plain, box)))
    points, of = shapely.get_coordinates(box, return_index=True)
    scaled = centre[of] + factor[of, None] * (points - centre[of])
    return _honest(np.where(fills, shapely.set_coordinates(box, scaled), _NONE), plain)


def rectilinear(plain: _Polygons) -> _Polygons:
    """Each outline with all edges along its main direction or across it; else None."""
    outlines = shapely.simplify(shapely.polygons(shapely.get_exterior_ring(plain)), 1.6 * UNITS)
    return _honest(np.array([_turned(outline) for outline in outlines] or [None], object)[: len(plain)], plain)


def _honest(squared: _Polygons, plain: _Polygons) -> _Polygons:
    """Squared outlines in whole coordinates, None for those that differ too much from the plain ones."""
    whole = shapely.normalize(shapely.transform(squared, np.rint))
    good = shapely.is_valid(whole) & (shapely.area(whole) > 0)
    whole = np.where(good, whole, _NONE)
    common = shapely.area(shapely.intersection(whole, plain))
    alike = common >= HONEST * (shapely.area(whole) + shapely.area(plain) - common)
    return np.where(alike, whole, _NONE)


def _turned(outline: shapely.Polygon) -> shapely.Polygon | None:
    points = shapely.get_coordinates(outline)
    angle = _direction(points)
    turn = np.array(((np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))))
    corners = _snapped(points[:-1] @ turn)
    return None if corners is None else shapely.Polygon(corners @ turn.T)


def _direction(points: npt.NDArray[np.float64]) -> float:
    """The direction, modulo a right angle, that most of an outline's length goes along."""
    step = np.diff(points, axis=0)
    length, angle = np.hypot(*step.T), np.arctan2(step[:, 1], step[:, 0])
    turn = np.sum(length**2 * np.exp(4j * angle))
    return float(np.angle(turn) / 4)


def _snapped(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64] | None:
    """Corners of the outline whose edges are level or upright, by what each edge is nearer to."""
    step = np.roll(points, -1, axis=0) - points
    level = np.abs(step[:, 0]) >= np.abs(step[:, 1])
    if level.all() or not level.any():
        return None
    first = int(np.flatnonzero(level != np.roll(level, 1))[0])
    points, step, level = np.roll(points, -first, 0), np.roll(step, -first, 0), np.roll(level, -first)
    middle = points + step / 2
    length = np.hypot(*step.T)
    run = np.cumsum(np.append(True, level[1:] != level[:-1])) - 1
    count = int(run[-1]) + 1
    if count < 4 or count % 2:
        return None
    across = np.where(level, middle[:, 1], middle[:, 0])  # where an edge's line lies
    lies = np.bincount(run, across * length, count) / np.bincount(run, length, count)
    is_level = level[np.searchsorted(run, np.arange(count))]
    after = np.roll(lies, -1)
    corners = np.where(is_level[:, None], np.stack((after, lies), -1), np.stack((lies, after), -1))
    sides = np.hypot(*(np.roll(corners, -1, axis=0) - corners).T)
    return corners if sides.min() >= _STEP * UNITS else None
