"""The plan of a town: districts with street grids, avenues, a highway, a river and a park.

Coordinates are metres from the north-west corner of the scene, x to the east and y to the south.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import shapely
from scipy.interpolate import make_interp_spline
from shapely.geometry import LineString, Point, Polygon
from shapely.ops import polygonize, substring

Array = npt.NDArray[np.float64]
RoadKind = Literal["street", "main", "highway", "ramp", "path"]

ASPHALT: dict[RoadKind, float] = {"street": 8.5, "main": 13.0, "highway": 11.5, "ramp": 7.0, "path": 2.8}
"""Width of the carriageway on the ground, metres."""

CARRIAGEWAY_OFFSET = 7.5
"""From the middle of the highway to the middle of a carriageway, metres."""

PARAPET = 1.0
"""Beside the highway's carriageways, metres."""

RIVERSIDE = 40.0
"""From the water to the middle of the avenue along it, metres."""


@dataclass(frozen=True)
class Road:
    """A road by its middle line, in scene metres."""

    line: LineString
    kind: RoadKind

    def area(self, width: float) -> Polygon:
        """The road drawn `width` metres wide."""
        return self.line.buffer(width / 2, cap_style="flat", quad_segs=4)


@dataclass(frozen=True)
class Frame:
    """A turned coordinate frame: u along the streets, v across them, both in metres."""

    x: float
    y: float
    angle: float

    def to_scene(self, uv: Array) -> Array:
        """Points (..., 2) from (u, v) to scene (x, y)."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return uv @ np.array([[cos, sin], [-sin, cos]]) + (self.x, self.y)

    def to_frame(self, xy: Array) -> Array:
        """Points (..., 2) from scene (x, y) to (u, v)."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return (xy - (self.x, self.y)) @ np.array([[cos, -sin], [sin, cos]])


@dataclass(frozen=True)
class District:
    """A part of the town with one street grid.

    Attributes:
        area: polygon in scene metres.
        frame: the grid's frame.
        columns, rows: u of the cross streets and v of the streets, ascending metres.
    """

    area: Polygon
    frame: Frame
    columns: Array
    rows: Array

    def rectangle(self, west: int, north: int, east: int, south: int) -> Polygon:
        """The rectangle between four grid lines, by their indices, in scene metres."""
        u, v = self.columns[[west, east]], self.rows[[north, south]]
        return Polygon(self.frame.to_scene(np.array([[u[0], v[0]], [u[1], v[0]], [u[1], v[1]], [u[0], v[1]]])))


@dataclass(frozen=True)
class TownPlan:
    """Everything larger than a block.

    Attributes:
        side: width and height of the scene, metres.
        roads: all roads, the highest last.
        districts: the parts of the town.
        highway: middle line of the highway.
        water, park: polygons.
        home: home plate of the park's baseball field, which opens to the park's middle.
    """

    side: float
    roads: list[Road]
    districts: list[District]
    highway: LineString
    water: Polygon
    park: Polygon
    home: Point

    @property
    def promenade(self) -> Polygon:
        """The river and the green strip between it and the avenues along it."""
        return self.water.buffer(RIVERSIDE - 9)

    @property
    def deck(self) -> Polygon:
        """What the highway lies on, above the streets, parapets included: no real one crosses streets on the level."""
        return self.highway.buffer(CARRIAGEWAY_OFFSET + ASPHALT["highway"] / 2 + PARAPET)


def lay_out_town(side: float, rng: np.random.Generator) -> TownPlan:
    """Lays out a town of `side` by `side` metres."""
    river = _curve([(0.74, -0.1), (0.85, 0.25), (0.86, 0.55), (0.79, 0.8), (0.70, 1.1)], side, rng)
    avenue = _curve([(0.08, -0.1), (0.22, 0.3), (0.34, 0.7), (0.42, 1.1)], side, rng)
    highway = _curve([(-0.1, 0.66), (0.3, 0.56), (0.65, 0.62), (1.1, 0.42)], side, rng)
    water = river.buffer(0.055 * side, quad_segs=16)
    districts = _districts(side, [river, avenue], rng)
    middle = min(districts, key=lambda d: d.area.distance(Point(0.5 * side, 0.3 * side)))
    park = _park(middle, water, highway, side, rng)
    shores = [river.offset_curve(bank * (0.055 * side + RIVERSIDE)) for bank in (-1, 1)]
    arteries = [Road(line, "main") for line in (avenue, *shores)]
    streets = [road for district in districts for road in _streets(district, water, park, highway)]
    roads = [*_paths(park), *streets, *arteries, *_ramps(highway, avenue, side), *_carriageways(highway)]
    return TownPlan(side, roads, districts, highway, water, park, _home_plate(park))


def _curve(points: list[tuple[float, float]], side: float, rng: np.random.Generator) -> LineString:
    """A smooth line near points given as fractions of the side."""
    places = (np.array(points) + rng.normal(0, 0.008, (len(points), 2))) * side
    spline = make_interp_spline(np.linspace(0, 1, len(points)), places, k=3)
    return LineString(spline(np.linspace(0, 1, 160)))


def _districts(side: float, borders: list[LineString], rng: np.random.Generator) -> list[District]:
    """Cuts the scene along `borders` and gives each part its own grid."""
    square = shapely.box(-0.08 * side, -0.08 * side, 1.08 * side, 1.08 * side)
    parts = polygonize(shapely.union_all([square.exterior, *borders]))
    turns = np.deg2rad(rng.uniform(12, 24) + np.array([0.0, 17.0, -11.0]))
    return [_grid(part, float(turns[k % 3]), rng) for k, part in enumerate(parts)]


def _grid(area: Polygon, angle: float, rng: np.random.Generator) -> District:
    """Streets 70 to 86 m apart, cross streets 160 to 240 m, as in Brooklyn and Queens."""
    frame = Frame(area.centroid.x, area.centroid.y, angle)
    uv = frame.to_frame(np.array(area.exterior.coords))
    (u0, v0), (u1, v1) = uv.min(axis=0), uv.max(axis=0)
    columns = u0 - 240 + np.cumsum(rng.uniform(160, 240, int((u1 - u0) / 160) + 4))
    rows = v0 - 86 + np.cumsum(rng.uniform(70, 86, int((v1 - v0) / 70) + 4))
    return District(area, frame, columns, rows)


def _park(district: District, water: Polygon, highway: LineString, side: float, rng: np.random.Generator) -> Polygon:
    """Whole blocks, some 7 % of the scene, where streets give way to a park."""
    wanted = np.array([rng.uniform(0.46, 0.54), rng.uniform(0.22, 0.3)]) * side
    u, v = district.frame.to_frame(wanted)
    west = int(np.abs(district.columns[:-1] + 100 - u).argmin())
    north = int(np.abs(district.rows[:-1] + 40 - v).argmin())
    wide, high = max(1, round(0.24 * side / 200)), max(1, round(0.27 * side / 78))
    west, north = max(0, west - wide // 2), max(0, north - high // 2)
    east = min(west + wide, len(district.columns) - 1)
    block = district.rectangle(west, north, east, min(north + high, len(district.rows) - 1))
    shore = shapely.union_all([water.buffer(RIVERSIDE + 12), highway.buffer(40)])
    return max(shapely.get_parts(block.intersection(district.area.buffer(-15)).difference(shore)), key=lambda p: p.area)


def _streets(district: District, water: Polygon, park: Polygon, highway: LineString) -> list[Road]:
    """The grid's streets; only cross streets bridge the highway, and none the water or the park."""
    u, v = district.columns, district.rows
    shore = district.area.difference(shapely.union_all([water.buffer(RIVERSIDE), park.buffer(-1)]))
    open_ground = shore.difference(highway.buffer(32))
    roads = []
    for k, (place, across) in enumerate([*((x, True) for x in u), *((y, False) for y in v)]):
        ends = [(place, v[0]), (place, v[-1])] if across else [(u[0], place), (u[-1], place)]
        line = LineString(district.frame.to_scene(np.array(ends)))
        parts = shapely.get_parts(line.intersection(shore if across else open_ground))
        kind: RoadKind = "main" if across and k % 3 == 1 else "street"
        roads += [Road(part, kind) for part in parts if isinstance(part, LineString) and part.length > 40]
    return sorted(roads, key=lambda road: road.kind, reverse=True)


def _carriageways(highway: LineString) -> list[Road]:
    return [Road(highway.offset_curve(side * CARRIAGEWAY_OFFSET), "highway") for side in (-1, 1)]


def _ramps(highway: LineString, avenue: LineString, side: float) -> list[Road]:
    """Four ramps that join the highway to the avenue it crosses."""
    crossing = shapely.get_parts(highway.intersection(avenue))[0]
    here, there = highway.project(crossing), avenue.project(crossing)
    reach = min(300.0, 0.22 * side)
    ramps = []
    for along in (-1, 1):
        for across in (-1, 1):
            leave = highway.interpolate(here + along * reach)
            bend = highway.interpolate(here + along * 0.25 * reach)
            join = avenue.interpolate(there + across * 0.35 * reach)
            ramps.append(Road(_bezier(leave, bend, join), "ramp"))
    return ramps


def _bezier(start: Point, control: Point, end: Point) -> LineString:
    t = np.linspace(0, 1, 32)[:, None]
    points = [np.array(point.coords) for point in (start, control, end)]
    return LineString((1 - t) ** 2 * points[0] + 2 * t * (1 - t) * points[1] + t**2 * points[2])


def _paths(park: Polygon) -> list[Road]:
    """A loop inside the park's edge and two winding ways across it."""
    inset = 0.1 * park.area**0.5
    lawn = park.buffer(-2 * inset).buffer(inset).convex_hull
    if lawn.is_empty:
        return []
    loop = lawn.exterior
    paths = [substring(LineString(loop.coords), 0, 0.99, normalized=True)]
    for start, end in ((0.05, 0.55), (0.3, 0.8)):
        first, last = (park.exterior.interpolate(f, normalized=True) for f in (start, end))
        bend = loop.interpolate(start + 0.25, normalized=True)
        paths.append(_bezier(first, bend, last))
    inside = shapely.get_parts(shapely.intersection(paths, park))
    return [Road(path, "path") for path in inside if isinstance(path, LineString)]


def _home_plate(park: Polygon) -> Point:
    """Home plate, in a corner of the park."""
    return LineString([park.centroid, park.exterior.coords[0]]).interpolate(0.75, normalized=True)


def ball_field(plan: TownPlan) -> list[Polygon]:
    """Outfield, infield and the grass inside the bases: quarters of a circle around home plate."""
    x, y = plan.home.x, plan.home.y
    middle = np.arctan2(plan.park.centroid.y - y, plan.park.centroid.x - x)
    size = min(1.0, plan.park.area**0.5 / 300)
    arc = middle + np.linspace(-np.pi / 4, np.pi / 4, 16)
    edges = [np.stack([x + r * size * np.cos(arc), y + r * size * np.sin(arc)], axis=1) for r in (95.0, 38.0)]
    outfield, infield = (Polygon([(x, y), *edge]) for edge in edges)
    return [outfield, infield, infield.buffer(-6 * size, join_style="mitre")]
