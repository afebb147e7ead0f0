"""Buildings: one polygon for each, with square corners where that is honest."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import shapely
from scipy import ndimage as ndi

from geo2map.features.areas import AreaLayer, Region
from geo2map.features.coverage import trace_fields
from geo2map.features.evidence import Evidence
from geo2map.features.rasters import EVERY, smooth_weight, smoothed, spans
from geo2map.features.squaring import rectangular, rectilinear
from geo2map.features.streets import UNITS
from geo2map.features.window import Box, CodesArray
from geo2map.types import Mask

BUILDING_BLUR = (2, 2, 2, 2)
"""Running sums that smooth buildings; a Gaussian of one pixel."""
LEAST_BUILDING = 25
"""Square pixels that the least building's outline encloses."""
SHARE = 0.42
"""Threshold of the smoothed building class; below one half, since smoothing rounds corners off."""
LARGEST = 160
"""Most extent of a building that is squared, pixels."""
STEPS = 0.45
"""Tolerance that takes the raster's steps off an outline; less than half of what two are apart at least. Pixels."""
_ROWS = 1024
"""Rows whose buildings are traced at once."""
APART = 0.75
"""Pixels around a squared outline that must be nearer to its own building than to any other."""
STICKING = 8
"""Most pixels by which a squared outline sticks out of its building's box."""


class Buildings:
    """The buildings of a window: small ones one by one, large ones as a layer of areas."""

    def __init__(self, evidence: Evidence, building: CodesArray | None, inside: tuple[slice, slice]) -> None:
        """Finds them.

        Args:
            evidence: of the window.
            building: uint8 (H, W), 255 times the probability of building; None where it was not kept.
            inside: rows and columns of the window that lie within the map; buildings end there.
        """
        built = smoothed(evidence.where("building"), BUILDING_BLUR) > int(SHARE * smooth_weight(BUILDING_BLUR))
        within = np.zeros_like(built)
        within[inside] = built[inside]
        self.number, _ = ndi.label(within, EVERY)
        self.boxes = ndi.find_objects(self.number)
        self.small = spans(self.number) <= LARGEST
        self.score = building
        large = np.append(False, ~self.small)
        top = np.zeros(built.shape, np.uint8)
        if large.any():  # as all areas, these go on beyond the map's border
            rows, columns = inside
            beyond = [
                (side.start, length - side.stop) for side, length in zip((rows, columns), built.shape, strict=True)
            ]
            top = np.pad(_by_number(large, self.number[inside]).view(np.uint8), beyond, mode="edge")
        self.layer = AreaLayer(("building",), top, (), building)

    def squared(self, window: Box, core: Box, metres: float) -> Iterator[Region]:
        """The small buildings that belong to a core: those whose first pixel, row by row, lies in it."""
        found = self._plain(window, core)
        numbers, outlines = list(found), np.array([*found.values(), None], object)[:-1]
        for squaring in (rectangular, rectilinear):
            rest = np.flatnonzero(outlines == np.array([*found.values(), None], object)[:-1])
            for index, candidate in zip(rest.tolist(), squaring(outlines[rest]), strict=True):
                if candidate is not None and self._own_ground(candidate, numbers[index]):
                    outlines[index] = candidate
        areas = shapely.area(outlines) / UNITS**2 * metres**2
        corners = self._corners(numbers) + UNITS * np.array((window.left, window.top))
        for number, outline, area in zip(numbers, _moved(outlines, corners), areas.tolist(), strict=True):
            yield Region("building", outline, area, self._confidence(number))

    def _corners(self, numbers: list[int]) -> npt.NDArray[np.int64]:
        """The upper left corners of buildings' boxes, int64 (N, 2), units in the window."""
        boxes = [self.boxes[number - 1] for number in numbers]
        return UNITS * np.array([(columns.start, rows.start) for rows, columns in boxes], np.int64).reshape(-1, 2)

    def _confidence(self, number: int) -> float | None:
        if self.score is None:
            return None
        box = self.boxes[number - 1]
        inside = self.score[box][self.number[box] == number]
        return round(int(inside.sum(dtype=np.int64)) / 255 / len(inside), 4)

    def _plain(self, window: Box, core: Box) -> dict[int, shapely.Polygon]:
        """The outline of each small building of a core, halfway between its pixels and others; in units from the
        corner of its box."""
        corners = [
            (columns.start + int(np.argmax(self.number[rows.start, columns] == number)), rows.start)
            for number, (rows, columns) in enumerate(self.boxes, 1)
        ]
        at = np.array(corners, np.int64).reshape(-1, 2) + np.array((window.left, window.top))
        x, y = at[:, 0], at[:, 1]
        owned = np.append(False, self.small & core.contains(x, y))
        found: dict[int, shapely.Polygon] = {}
        for top in range(core.top, core.bottom, _ROWS):
            strip = Box(core.left, top, core.right, min(top + _ROWS, core.bottom))
            mine = owned & np.append(False, strip.contains(x, y))
            if mine.any():
                rows, columns = strip.grown(LARGEST + 1).clipped(window).part(window)
                outlines = _traced(_by_number(mine, self.number[rows, columns]), columns.start, rows.start)
                found.update(self._largest(outlines, mine))
        return found

    def _largest(self, outlines: list[shapely.Polygon], mine: Mask) -> dict[int, shapely.Polygon]:
        """Each number's largest outline: where pixels touch at corners only, a building has several."""
        points, of = shapely.get_coordinates(outlines, return_index=True)
        firsts = points[np.searchsorted(of, np.arange(len(outlines)))]
        # an outline's point lies between two pixels, of which one is the building's
        low, high = np.floor((firsts - UNITS // 2) / UNITS), np.ceil((firsts - UNITS // 2) / UNITS)
        beside = np.stack([self.number[at[:, 1], at[:, 0]] for at in (low.astype(np.int64), high.astype(np.int64))])
        numbers = np.where(mine[beside], beside, 0).max(0)
        area = shapely.area(outlines)
        order = np.lexsort((-area, numbers))
        found, largest = np.unique(numbers[order], return_index=True)
        large = area[order[largest]] >= LEAST_BUILDING * UNITS**2
        found, largest = found[large], largest[large]
        plain = np.array(outlines, object)[order[largest]]
        shapes = shapely.simplify(plain, STEPS * UNITS, preserve_topology=False)
        shapes = np.where(shapely.is_valid(shapes) & (shapely.area(shapes) > 0), shapes, plain)
        return dict(zip(found.tolist(), _moved(shapes, -self._corners(found.tolist())), strict=True))

    def _own_ground(self, outline: shapely.Polygon, number: int) -> bool:
        """Whether all pixels of an outline are nearer to its building than to any other."""
        rows, columns = self.boxes[number - 1]
        top, left = rows.start - 2 * STICKING, columns.start - 2 * STICKING
        around = self.number[max(top, 0) : rows.stop + 2 * STICKING, max(left, 0) : columns.stop + 2 * STICKING]
        if not ((around != number) & (around > 0)).any():
            return True
        wide = shapely.buffer(outline, APART * UNITS)
        x0, y0, x1, y1 = (int(value // UNITS) for value in wide.bounds)
        height, width = rows.stop - rows.start, columns.stop - columns.start
        if min(x0, y0) < -STICKING or x1 >= width + STICKING or y1 >= height + STICKING or min(top, left) < 0:
            return False
        depth, nearest = ndi.distance_transform_edt(around == 0, return_indices=True)
        y, x = np.mgrid[y0 : y1 + 1, x0 : x1 + 1].reshape(2, -1)
        within = shapely.contains_xy(wide, x * UNITS + UNITS // 2, y * UNITS + UNITS // 2)
        y, x = y[within] + 2 * STICKING, x[within] + 2 * STICKING
        if max(y.max() - around.shape[0], x.max() - around.shape[1]) >= 0:
            return False
        return bool((around[tuple(axis[y, x] for axis in nearest)] == number).all() and depth[y, x].max() <= STICKING)


def _by_number(table: npt.NDArray[np.bool_], numbers: npt.NDArray[np.int32]) -> Mask:
    """The table's value for each pixel's number; row by row, since NumPy converts indices to 64 bits."""
    found = np.empty(numbers.shape, bool)
    for row, out in zip(numbers, found, strict=True):
        np.take(table, row, out=out)
    return found


def _moved(outlines: npt.NDArray[np.object_], by: npt.NDArray[np.int64]) -> npt.NDArray[np.object_]:
    """Outlines, each moved by its own step."""
    points, of = shapely.get_coordinates(outlines, return_index=True)
    moved: npt.NDArray[np.object_] = shapely.set_coordinates(outlines.copy(), points + by[of])
    return moved


def _traced(mask: Mask, left: int, top: int) -> list[shapely.Polygon]:
    """Outlines halfway between a mask's pixels and others; corners are cut."""
    inside = np.pad(mask, 1).astype(np.uint8)
    height, width = mask.shape
    x = np.arange(left - 1, left + width + 1) * UNITS + UNITS // 2
    y = np.arange(top - 1, top + height + 1) * UNITS + UNITS // 2
    return [region.polygon for region in trace_fields(inside, (), x, y, tolerance=0.0)]
