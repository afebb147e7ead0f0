"""Outlines of buildings with square corners."""

from __future__ import annotations

from cmath import phase
from itertools import groupby, pairwise
from math import cos, dist, sin
from operator import mul

import numpy as np
import numpy.typing as npt
import shapely

from geo2map.features.streets import UNITS

_Polygons = npt.NDArray[np.object_]
_Corners = list[tuple[float, float]]
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
    outlines = shapely.simplify(shapely.get_exterior_ring(plain), 1.6 * UNITS, preserve_topology=False)
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
    points = shapely.get_coordinates(outline).tolist()
    angle = _direction(points)
    cosine, sine = cos(angle), sin(angle)
    corners = _snapped([(x * cosine + y * sine, y * cosine - x * sine) for x, y in points[:-1]])
    return corners and shapely.Polygon([(x * cosine - y * sine, x * sine + y * cosine) for x, y in corners])


def _direction(points: _Corners) -> float:
    """The direction, modulo a right angle, that most of a closed outline's length goes along."""
    edges = [complex(x1 - x0, y1 - y0) for (x0, y0), (x1, y1) in pairwise(points)]
    # an edge turned by four times its angle, so that all four directions are one
    turn = sum(edge**4 / abs(edge) ** 2 for edge in edges if edge)
    return phase(turn) / 4


def _snapped(points: _Corners) -> _Corners | None:
    """Corners of an open ring's outline whose edges are level or upright, by what each edge is nearer to."""
    edges = [(start, end) for start, end in zip(points, [*points[1:], points[0]], strict=True) if start != end]
    level = [abs(x1 - x0) >= abs(y1 - y0) for (x0, y0), (x1, y1) in edges]
    first = next((number for number in range(len(level)) if level[number] != level[number - 1]), None)
    if first is None:
        return None
    lines: list[tuple[bool, float]] = []  # runs of edges of one kind: which, and where their line lies
    order = [*range(first, len(edges)), *range(first)]
    for kind, run in groupby(order, key=lambda number: level[number]):
        own = [edges[number] for number in run]
        lengths = [dist(start, end) for start, end in own]
        middles = [(start[kind] + end[kind]) / 2 for start, end in own]
        lines.append((kind, sum(map(mul, lengths, middles)) / sum(lengths)))
    if len(lines) < 4:
        return None
    corners = [(b, a) if kind else (a, b) for (kind, a), (_, b) in zip(lines, [*lines[1:], lines[0]], strict=True)]
    shortest = min(dist(start, end) for start, end in zip(corners, [*corners[1:], corners[0]], strict=True))
    return corners if shortest >= _STEP * UNITS else None
