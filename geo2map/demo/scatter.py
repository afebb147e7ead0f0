"""Puts a planned town on the ground: buildings where nothing is in their way, trees and cars along roads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry import LineString

from geo2map.demo.blocks import CARS, SIDEWALK, fill_district
from geo2map.demo.draw import Canvas, smooth_noise
from geo2map.demo.plan import (
    ASPHALT,
    RIVERSIDE,
    Array,
    District,
    RoadKind,
    TownPlan,
    ball_field,
    lay_out_town,
)
from geo2map.demo.roofs import roof_parts
from geo2map.demo.site import Rects, join, pick


@dataclass(frozen=True)
class Shapes:
    """Coloured quadrangles in scene metres: corners float64 (n, 4, 2) and colours float64 (n, 3), levels."""

    corners: Array
    colours: Array


@dataclass(frozen=True)
class Quarter:
    """What stands in one district, in scene metres.

    Attributes:
        ground: yards, gardens and car parks, the lowest first.
        greens: small parks.
        buildings: outlines, float64 (n, 4, 2).
        heights: of the buildings, float64 (n,).
        roofs: parts of the roofs, in drawing order.
        cars: parked off the street.
        trees: float64 (n, 3) of x, y and crown radius.
    """

    ground: Shapes
    greens: Shapes
    buildings: Array
    heights: Array
    roofs: Shapes
    cars: Shapes
    trees: Array


@dataclass(frozen=True)
class Town:
    """A whole town, in scene metres.

    Attributes:
        plan: roads, water and the park.
        quarters: what stands in each district.
        cars: parked and driving on roads.
        trees: all of them, float64 (n, 3) of x, y and crown radius.
    """

    plan: TownPlan
    quarters: list[Quarter]
    cars: Shapes
    trees: Array


def build_town(size: int, resolution: float, rng: np.random.Generator) -> Town:
    """A town of `size` by `size` pixels of `resolution` metres."""
    plan = lay_out_town(size * resolution, rng)
    owner = _owners(plan, size, resolution)
    quarters = [_quarter(k, district, owner, plan.side, rng) for k, district in enumerate(plan.districts, start=1)]
    trees = [*(quarter.trees for quarter in quarters), _park_trees(plan, size, resolution, rng)]
    trees += [_roadside_trees(plan, rng), _shore_trees(plan, rng)]
    free = _may_root(np.concatenate(trees), plan, quarters, owner)
    # Chance order, so that no kind of tree always covers another.
    return Town(plan, quarters, _street_cars(plan, rng), rng.permutation(free))


def _owners(plan: TownPlan, size: int, resolution: float) -> Canvas:
    """Which district may build where, from 1; 0 where roads, water and parks leave no room."""
    owner = Canvas.blank("L", size, resolution)
    for k, district in enumerate(plan.districts, start=1):
        owner.shape(district.area, k)
    for road in plan.roads:
        owner.shape(road.area(ASPHALT[road.kind] + 2 * SIDEWALK), 0)
    for taken in (plan.highway.buffer(24), plan.promenade, plan.park):
        owner.shape(taken, 0)
    return owner


def _quarter(index: int, district: District, owner: Canvas, side: float, rng: np.random.Generator) -> Quarter:
    """Fills a district and keeps what fits between roads, water and parks."""
    site, frame = fill_district(district, side, rng), district.frame

    def fitting(rects: Rects) -> Rects:
        return rects.take((owner.at(frame.to_scene(_samples(rects.uv))) == index).all(axis=1))

    def shapes(rects: Rects) -> Shapes:
        return Shapes(rects.corners(frame), rects.colours)

    ground = join(site.ground)
    centres = frame.to_scene((ground.uv[:, :2] + ground.uv[:, 2:]) / 2)
    buildings = fitting(join(site.buildings))
    uvr = np.concatenate([np.empty((0, 3)), *site.trees])
    trees = np.hstack([frame.to_scene(uvr[:, :2]), uvr[:, 2:]])
    return Quarter(
        ground=shapes(ground.take(owner.at(centres) == index)),
        greens=shapes(fitting(join(site.greens))),
        buildings=buildings.corners(frame),
        heights=buildings.heights,
        roofs=shapes(roof_parts(buildings, frame, rng)),
        cars=shapes(fitting(join(site.cars))),
        trees=trees[owner.at(trees[:, :2]) == index],
    )


def _samples(uv: Array) -> Array:
    """A net of 6 by 6 points over each rectangle, float64 (n, 36, 2)."""
    steps = np.linspace(0, 1, 6)
    net = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(1, -1, 2)
    return uv[:, None, :2] + net * (uv[:, None, 2:] - uv[:, None, :2])


def _along(line: LineString, spacing: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Chance places along a line, and the direction there as unit vectors; both float64 (n, 2)."""
    at = np.sort(rng.uniform(0, line.length, int(line.length / spacing)))
    here = shapely.get_coordinates(shapely.line_interpolate_point(line, at))
    there = shapely.get_coordinates(shapely.line_interpolate_point(line, np.minimum(at + 1, line.length)))
    back = shapely.get_coordinates(shapely.line_interpolate_point(line, np.maximum(at - 1, 0)))
    ahead = there - back
    return here, ahead / np.maximum(np.hypot(*ahead.T), 1e-6)[:, None]


def _beside(place: Array, ahead: Array, offset: Array | float) -> Array:
    """Points moved to the right of where a line leads."""
    return place + np.stack([-ahead[:, 1], ahead[:, 0]], axis=1) * np.reshape(offset, (-1, 1))


def _street_cars(plan: TownPlan, rng: np.random.Generator) -> Shapes:
    """Cars parked at both kerbs of streets, and driving on wider roads; none is seen below the highway."""
    spacing: dict[RoadKind, float] = {"street": 9.0, "main": 9.0, "highway": 26.0, "ramp": 60.0}
    deck, parts = plan.deck, []
    for road in plan.roads:
        if road.kind in spacing:
            place, ahead = _along(road.line, spacing[road.kind] / 2, rng)
            kerb = ASPHALT[road.kind] / 2 - 1.2
            lane = rng.choice([-1, 1], len(place)) * np.where(rng.random(len(place)) < 0.85, kerb, 0.4 * kerb)
            cars = _cars(_beside(place, ahead, lane), ahead, rng)
            seen = ~shapely.intersects(deck, shapely.polygons(cars.corners)) | (road.kind == "highway")
            parts.append(Shapes(cars.corners[seen], cars.colours[seen]))
    return Shapes(np.concatenate([p.corners for p in parts]), np.concatenate([p.colours for p in parts]))


def _cars(place: Array, ahead: Array, rng: np.random.Generator) -> Shapes:
    """Cars of 4.6 by 1.9 m."""
    across = np.stack([-ahead[:, 1], ahead[:, 0]], axis=1)
    ends = [(-2.3, -0.95), (2.3, -0.95), (2.3, 0.95), (-2.3, 0.95)]
    corners = np.stack([place + a * ahead + b * across for a, b in ends], axis=1)
    return Shapes(corners, pick(CARS, len(place), rng))


def _crowns(place: Array, rng: np.random.Generator, mean: float = 3.2) -> Array:
    return np.hstack([place, rng.gamma(10, mean / 10, (len(place), 1))])


def _roadside_trees(plan: TownPlan, rng: np.random.Generator) -> Array:
    """Street trees, and thickets beside the highway."""
    trees = []
    for road in plan.roads:
        if road.kind in ("street", "main"):
            place, ahead = _along(road.line, 10.5, rng)
            kerb = (ASPHALT[road.kind] / 2 + 2.4) * rng.choice([-1, 1], len(place))
            trees.append(_crowns(_beside(place, ahead, kerb), rng, 2.9))
    place, ahead = _along(plan.highway, 1.6, rng)
    verge = rng.uniform(18, 34, len(place)) * rng.choice([-1, 1], len(place))
    return np.concatenate([*trees, _crowns(_beside(place, ahead, verge), rng)])


def _shore_trees(plan: TownPlan, rng: np.random.Generator) -> Array:
    place, ahead = _along(plan.water.buffer(RIVERSIDE / 2).exterior, 2.5, rng)
    return _crowns(_beside(place, ahead, rng.normal(0, 6, len(place))), rng)


def _park_trees(plan: TownPlan, size: int, resolution: float, rng: np.random.Generator) -> Array:
    """Woods and lawns: trees where a slow noise is high, and none on the baseball field."""
    left, top, right, bottom = plan.park.bounds
    place = rng.uniform((left, top), (right, bottom), (int(plan.park.envelope.area / 13), 2))
    woods = smooth_noise(size, 80 / resolution, rng)
    pixels = np.clip((place / resolution).astype(int), 0, size - 1)
    wooded = woods[pixels[:, 1], pixels[:, 0]] + rng.normal(0, 0.35, len(place)) > 0.05
    inside = shapely.contains_xy(plan.park.buffer(-3).difference(ball_field(plan)[0]), place)
    return _crowns(place[wooded & inside], rng, 3.6)


def _may_root(trees: Array, plan: TownPlan, quarters: list[Quarter], owner: Canvas) -> Array:
    """The trees that stand neither on a roof nor a road nor the highway's deck nor in the water."""
    taken = Canvas.blank("L", owner.image.width, owner.resolution)
    for quarter in quarters:
        taken.shape(shapely.polygons(quarter.buildings), 1)
    for road in plan.roads:
        taken.shape(road.area(ASPHALT[road.kind]), 1)
    taken.shape(plan.water, 1)
    taken.shape(plan.deck, 1)
    return trees[taken.at(trees[:, :2]) == 0]
