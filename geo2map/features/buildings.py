"""Buildings: one polygon for each, with square corners where that is honest."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import shapely
from scipy import ndimage as ndi
from shapely import affinity

from geo2map.features.areas import AreaLayer, Region
from geo2map.features.coverage import trace_fields
from geo2map.features.evidence import Evidence
from geo2map.features.rasters import EVERY, smooth_weight, smoothed, spans, without_small
from geo2map.features.streets import UNITS
from geo2map.features.window import Box, CodesArray
from geo2map.types import Mask

BUILDING_BLUR = (2, 2, 2, 2)
"""Running sums that smooth buildings; a Gaussian of one pixel."""
LEAST_BUILDING = 25
"""Square pixels."""
SHARE = 0.42
"""Threshold of the smoothed building class; below one half, since smoothing rounds corners off."""
LARGEST = 160
"""Most extent of a building that is squared, pixels."""
_TILE = 1024
"""Side of the squares whose buildings are traced at once, pixels."""
FILLS = 0.8
"""Share of its smallest rectangle that a building fills if it is taken for one."""
HONEST = 0.86
"""Least intersection over union of an outline with its squared one."""
APART = 0.75
"""Pixels around a squared outline that must be nearer to its own building than to any other."""
STICKING = 8
"""Most pixels by which a squared outline sticks out of its building's box."""
_STEP = 2.5
"""Edges shorter than this are steps of the raster, not of the building. Pixels."""


class Buildings:
    """The buildings of a window: small ones one by one, large ones as a layer of areas."""

    def __init__(self, evidence: Evidence, building: CodesArray | None) -> None:
        drawn = evidence.among("building")[evidence.kind]
        built = smoothed(drawn, BUILDING_BLUR) > SHARE * smooth_weight(BUILDING_BLUR)
        self.number, _ = ndi.label(without_small(built, LEAST_BUILDING, LEAST_BUILDING), EVERY)
        self.boxes = ndi.find_objects(self.number)
        self.small = spans(self.number) <= LARGEST
        self.score = building
        self.layer = AreaLayer(("building",), np.append(False, ~self.small).astype(np.uint8)[self.number], None)

    def squared(self, window: Box, core: Box, metres: float) -> Iterator[Region]:
        """The small buildings that belong to a core: those whose first pixel, row by row, lies in it."""
        for number, plain in self._plain(window, core):
            outline = self._outline(number, plain)
            moved = shapely.transform(outline, lambda points: points + UNITS * np.array((window.left, window.top)))
            confidence = None
            if self.score is not None:
                box = self.boxes[number - 1]
                inside = self.score[box][self.number[box] == number]
                confidence = round(int(inside.sum(dtype=np.int64)) / 255 / len(inside), 4)
            yield Region("building", moved, moved.area / UNITS**2 * metres**2, confidence)

    def _plain(self, window: Box, core: Box) -> Iterator[tuple[int, shapely.Polygon]]:
        """Number of each small building of a core, and its outline halfway between its pixels and others; in units
        from the window's corner."""
        corners = [
            (columns.start + int(np.argmax(self.number[rows.start, columns] == number)), rows.start)
            for number, (rows, columns) in enumerate(self.boxes, 1)
        ]
        at = np.array(corners, np.int64).reshape(-1, 2) + np.array((window.left, window.top))
        x, y = at[:, 0], at[:, 1]
        owned = np.append(False, self.small & core.contains(x, y))
        for tile in core.tiled(_TILE):
            mine = owned & np.append(False, tile.contains(x, y))
            if not mine.any():
                continue
            top, left = max(0, tile.top - window.top - 1), max(0, tile.left - window.left - LARGEST)
            part = self.number[top : tile.bottom - window.top + LARGEST + 1, left : tile.right - window.left + LARGEST]
            yield from _largest(_traced(mine[part], left, top), self.number, mine)

    def _outline(self, number: int, plain: shapely.Polygon) -> shapely.Polygon:
        """A building's outline: squared if it stays on its own ground."""
        for candidate in (_rectangle(plain), _rectilinear(plain)):
            if candidate is not None and _alike(candidate, plain) and self._own_ground(candidate, number):
                return candidate
        return plain

    def _own_ground(self, outline: shapely.Polygon, number: int) -> bool:
        """Whether all pixels of an outline are nearer to its building than to any other."""
        wide = shapely.buffer(outline, APART * UNITS)
        x0, y0, x1, y1 = (int(value // UNITS) for value in wide.bounds)
        rows, columns = self.boxes[number - 1]
        inside = (
            rows.start - STICKING <= y0 <= y1 < rows.stop + STICKING
            and columns.start - STICKING <= x0 <= x1 < columns.stop + STICKING
        )
        top, left = max(0, rows.start - 2 * STICKING), max(0, columns.start - 2 * STICKING)
        around = self.number[top : rows.stop + 2 * STICKING, left : columns.stop + 2 * STICKING]
        if not inside or y0 < top or x0 < left or y1 >= top + around.shape[0] or x1 >= left + around.shape[1]:
            return False
        if not ((around != number) & (around > 0)).any():
            return True
        depth, nearest = ndi.distance_transform_edt(around == 0, return_indices=True)
        y, x = np.mgrid[y0 : y1 + 1, x0 : x1 + 1].reshape(2, -1)
        within = shapely.contains_xy(wide, x * UNITS + UNITS // 2, y * UNITS + UNITS // 2)
        y, x = y[within] - top, x[within] - left
        return bool((around[tuple(axis[y, x] for axis in nearest)] == number).all() and depth[y, x].max() <= STICKING)


def _traced(mask: Mask, left: int, top: int) -> list[shapely.Polygon]:
    """Outlines halfway between a mask's pixels and others; corners are cut."""
    inside = np.pad(mask, 1).astype(np.uint8)
    height, width = mask.shape
    x = np.arange(left - 1, left + width + 1) * UNITS + UNITS // 2
    y = np.arange(top - 1, top + height + 1) * UNITS + UNITS // 2
    return [region.polygon for region in trace_fields(inside, None, x, y, UNITS * 0.6)]


def _largest(
    outlines: list[shapely.Polygon], numbers: npt.NDArray[np.int32], mine: Mask
) -> Iterator[tuple[int, shapely.Polygon]]:
    """Each number's largest outline: where pixels touch at corners only, a building has several."""
    found: dict[int, shapely.Polygon] = {}
    for outline in outlines:
        x, y = outline.exterior.coords[0]
        before = int((y - UNITS // 2) // UNITS), int((x - UNITS // 2) // UNITS)
        after = int(-((UNITS // 2 - y) // UNITS)), int(-((UNITS // 2 - x) // UNITS))
        number = max(int(numbers[at]) for at in (before, after) if mine[numbers[at]])
        if number not in found or outline.area > found[number].area:
            found[number] = outline
    yield from sorted(found.items())


def _whole(polygon: shapely.Polygon) -> shapely.Polygon | None:
    rounded = shapely.transform(polygon, np.rint)
    return rounded.normalize() if rounded.is_valid and rounded.area > 0 and rounded.geom_type == "Polygon" else None


def _alike(squared: shapely.Polygon, plain: shapely.Polygon) -> bool:
    common = shapely.intersection(squared, plain).area
    return bool(common >= HONEST * (squared.area + plain.area - common))


def _rectangle(plain: shapely.Polygon) -> shapely.Polygon | None:
    """The smallest rectangle about an outline that nearly fills it, made as large as the outline."""
    box = shapely.minimum_rotated_rectangle(plain)
    if box.geom_type != "Polygon" or plain.area < FILLS * box.area:
        return None
    factor = (plain.area / box.area) ** 0.5
    centre = plain.centroid if plain.interiors else box.centroid
    return _whole(affinity.scale(box, factor, factor, origin=centre))


def _rectilinear(plain: shapely.Polygon) -> shapely.Polygon | None:
    """An outline with all edges along its main direction or across it."""
    outline = shapely.simplify(plain, 1.6 * UNITS).exterior
    angle = _direction(shapely.get_coordinates(outline))
    turned = affinity.rotate(shapely.Polygon(outline), -angle, origin=(0, 0), use_radians=True)
    points = _snapped(shapely.get_coordinates(turned)[:-1])
    if points is None:
        return None
    return _whole(affinity.rotate(shapely.Polygon(points), angle, origin=(0, 0), use_radians=True))


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
