"""Paints a town as an aerial picture: ground, shadows, roofs, trees, then what air and camera do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from PIL import Image, ImageFilter

from geo2map.demo import site as ink
from geo2map.demo.blocks import SIDEWALK
from geo2map.demo.draw import Canvas, Field, smooth_noise
from geo2map.demo.plan import ASPHALT, CARRIAGEWAY_OFFSET, Array, Road, RoadKind, TownPlan, ball_field
from geo2map.demo.roofs import SUN
from geo2map.demo.scatter import Shapes, Town
from geo2map.types import Image as Picture

LEAVES = (36, 41, 31)
WATER = (28, 38, 33)
BANK = (66, 63, 56)
VERGE = (44, 48, 35)
INFIELD = (112, 84, 62)
WALK = (97, 95, 90)
SURFACE: dict[RoadKind, tuple[int, int, int]] = {
    "street": (86, 85, 81),
    "main": (84, 83, 80),
    "highway": (78, 77, 73),
    "ramp": (80, 79, 75),
    "path": (92, 88, 80),
}
MARKING = (108, 105, 96)
SHADE = 0.4
"""Light in the shade, of that in the sun."""

AIRLIGHT = np.array([2, 3, 2], dtype=np.int16)
"""Light that the air adds, levels."""

SHADOW_LENGTH = 0.95
"""Metres of shadow for each metre of height."""


def paint_aerial(town: Town, size: int, resolution: float, rng: np.random.Generator) -> Picture:
    """The town from above, uint8 (size, size, 3)."""
    picture = _ground(town, size, resolution).astype(np.float32)
    _texture(picture, town.plan, resolution, rng)
    _cast_shadows(picture, town, resolution)
    picture = _roofs(picture, town, resolution)
    _trees(picture, town.trees, resolution, rng)
    return _expose(picture, rng)


def _ground(town: Town, size: int, resolution: float) -> Picture:
    """Everything flat: yards, roads, parks, cars."""
    canvas = Canvas.blank("RGB", size, resolution, ink.SOIL)
    for quarter in town.quarters:
        _fill(canvas, quarter.greens)
        _fill(canvas, quarter.ground)
    canvas.shape(town.plan.park, ink.LAWN)
    _roads(canvas, town.plan)
    for part, colour in zip(ball_field(town.plan), (ink.LAWN, INFIELD, ink.LAWN), strict=True):
        canvas.shape(part, colour)
    for cars in (town.cars, *(quarter.cars for quarter in town.quarters)):
        _fill(canvas, cars)
    return np.asarray(canvas.image)


def _fill(canvas: Canvas, shapes: Shapes) -> None:
    colours = np.clip(shapes.colours, 1, 255).astype(int).tolist()
    canvas.polygons(shapes.corners, [tuple(colour) for colour in colours])


def _roads(canvas: Canvas, plan: TownPlan) -> None:
    """All sidewalks first, so that roads join at crossings."""
    canvas.shape(plan.highway.buffer(24), VERGE)
    for road in plan.roads:
        if road.kind in ("street", "main"):
            canvas.shape(road.area(ASPHALT[road.kind] + 2 * SIDEWALK), WALK)
    canvas.shape(plan.promenade, ink.GRASS)
    canvas.shape(plan.water.buffer(5), BANK)
    canvas.shape(plan.water, WATER)
    raised = ("ramp", "highway")
    _surfaces(canvas, [road for road in plan.roads if road.kind not in raised])
    canvas.shape(plan.deck, WALK)
    canvas.shape(plan.highway.buffer(CARRIAGEWAY_OFFSET), VERGE)
    _surfaces(canvas, [road for road in plan.roads if road.kind in raised])  # a ramp leads through the parapet


def _surfaces(canvas: Canvas, roads: Sequence[Road]) -> None:
    for road in roads:
        canvas.shape(road.area(ASPHALT[road.kind]), SURFACE[road.kind])
        if road.kind in ("main", "highway"):
            canvas.shape(road.area(0.8), MARKING)


def _texture(picture: Field, plan: TownPlan, resolution: float, rng: np.random.Generator) -> None:
    """Uneven ground, at the sizes of bushes, yards and blocks; roads are smoother and the river is smooth."""
    roughness = Canvas.blank("L", len(picture), resolution, 90)
    roughness.shape(plan.water, 25)
    for road in plan.roads:
        roughness.shape(road.area(ASPHALT[road.kind]), 45)
    grain = np.zeros(picture.shape[:2], dtype=np.float32)
    for metres in (1.8, 6.0, 160.0):
        grain += smooth_noise(len(picture), metres / resolution, rng)
    grain *= np.asarray(roughness.image) * np.float32(1e-3)
    picture *= np.exp(grain, out=grain)[..., None]


def _cast_shadows(picture: Field, town: Town, resolution: float) -> None:
    """Darkens what lies in the shade of buildings and trees."""
    canvas = Canvas.blank("L", len(picture), resolution)
    for quarter in town.quarters:
        shift = -SUN * SHADOW_LENGTH * quarter.heights[:, None, None]
        swept = shapely.convex_hull(shapely.multipoints(np.hstack([quarter.buildings, quarter.buildings + shift])))
        canvas.shape(swept, 255)
    crowns = town.trees.copy()
    crowns[:, :2] -= SUN * 3.5
    canvas.discs(crowns, [255] * len(crowns))
    picture *= np.where(np.asarray(canvas.image), np.float32(SHADE), np.float32(1))[..., None]


def _roofs(picture: Field, town: Town, resolution: float) -> Field:
    """Draws roofs over the ground."""
    canvas = Canvas(_as_image(picture), resolution)
    for quarter in town.quarters:
        _fill(canvas, quarter.roofs)
    return np.asarray(canvas.image).astype(np.float32)


def _trees(picture: Field, trees: Array, resolution: float, rng: np.random.Generator) -> None:
    """Round crowns, lit from the sun's side and mottled by their leaves."""
    size = len(picture)
    canvas = Canvas.blank("I", size, resolution)
    canvas.discs(trees, range(1, len(trees) + 1))
    numbers = np.asarray(canvas.image)
    rows, columns = np.nonzero(numbers)
    index = numbers[rows, columns] - 1
    x, y, radius = trees[index].T.astype(np.float32)
    slope = ((columns + 0.5) * resolution - x) * SUN[0] + ((rows + 0.5) * resolution - y) * SUN[1]
    tone = rng.lognormal(0, 0.22, len(trees)).astype(np.float32)[index]
    leaves = smooth_noise(size, 1.9 / resolution, rng)[rows, columns]
    light = tone * np.exp(0.65 * slope / radius + 0.36 * leaves)
    picture[rows, columns] = light[:, None] * np.array(LEAVES, dtype=np.float32)


def _expose(picture: Field, rng: np.random.Generator) -> Picture:
    """The camera's blur and noise, uint8; a valid pixel is never 0."""
    blurred = _as_image(picture).filter(ImageFilter.GaussianBlur(0.5))
    noise = np.rint(2 * rng.standard_normal(picture.shape[:2], dtype=np.float32)).astype(np.int16)
    exposed = np.asarray(blurred).astype(np.int16)
    exposed += AIRLIGHT
    exposed += noise[..., None]
    return np.clip(exposed, 1, 255).astype(np.uint8)


def _as_image(picture: Field) -> Image.Image:
    return Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
