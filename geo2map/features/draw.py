"""Draws features: antialiased, by Anti-Grain Geometry, each tile alone and all of them as one picture."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from geo2map.features.areas import Region
from geo2map.features.roads import RoadLine
from geo2map.features.streets import UNITS
from geo2map.features.style import Rgb, Rule, Style
from geo2map.features.table import geometries_of
from geo2map.types import Image

_Points = npt.NDArray[np.float64]

BUFFER = 8
"""Pixels of the drawing beyond its borders within which features still count, besides their widths."""
_CELL = 256
"""Side of the squares, aligned at 0, that are drawn one by one: the rasteriser rounds a line where a picture's border
cuts it, and so each pixel's border is always the same."""
SHARPNESS = 4.0
"""How much steeper than a pixel's coverage its share of a colour rises: half way between land and road lies the colour
of buildings, so blends are kept few."""
SHARPENED = np.clip(np.rint((np.arange(256) - 127.5) * SHARPNESS + 127.5), 0, 255).astype(np.int32)
GRID = 256
"""Parts of a pixel that the rasteriser knows; corners are rounded to them before a tile's place is taken off."""


class Drawing:
    """Features ready to be drawn, repeatedly and in part.

    Args:
        features: of one map.
        style: how to draw them.
        metres: of a map's pixel, as its features were extracted with.
    """

    def __init__(self, features: Iterable[RoadLine | Region], style: Style, metres: float) -> None:
        self.style, self._metres = style, metres
        self._features = sorted(features, key=_order)
        self._tree = shapely.STRtree(geometries_of(self._features))
        widest = max((f.width for f in self._features if isinstance(f, RoadLine)), default=0.0)
        self._reach = UNITS * widest / metres / 2

    def draw(self, left: int, top: int, size: int, scale: float = 1.0, zoom: int = 17) -> Image:
        """A square of the drawing, uint8 (size, size, 3).

        Args:
            left, top: of the square, in pixels of the drawing, which are `scale` to a pixel of the map.
            size: its side.
            scale: 1 draws as the map was; 2 is a zoom farther in.
            zoom: of the drawing, which decides what is shown.
        """
        picture = np.empty((size, size, 3), np.uint8)
        for y in range(top // _CELL * _CELL, top + size, _CELL):
            for x in range(left // _CELL * _CELL, left + size, _CELL):
                rows, columns = (
                    slice(max(y, top), min(y + _CELL, top + size)),
                    slice(max(x, left), min(x + _CELL, left + size)),
                )
                cell = self._cell(x, y, scale, zoom)
                picture[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = cell[
                    rows.start - y : rows.stop - y, columns.start - x : columns.stop - x
                ]
        return picture

    def _cell(self, left: int, top: int, scale: float, zoom: int) -> Image:
        """A square of `_CELL` pixels."""
        import aggdraw

        size = _CELL

        picture = np.broadcast_to(np.array(self.style.background, np.uint8), (size, size, 3))
        near = self._near(left, top, size, scale)
        for rule in self.style.rules:
            if zoom < rule.least_zoom:
                continue
            rings = [ring for feature in near for ring in self._rings(feature, rule, (left, top, size), scale)]
            if not rings:
                continue
            path = aggdraw.Path()
            for ring in rings:
                path.moveto(*ring[0])
                for point in ring[1:]:
                    path.lineto(*point)
                path.close()
            canvas = aggdraw.Draw("L", (size, size), 0)
            canvas.path(path, aggdraw.Pen(0, 0, 0), aggdraw.Brush(255))  # without a pen it adds a quarter pixel around
            covered = np.frombuffer(canvas.tobytes(), np.uint8).reshape(size, size, 1)
            picture = _over(picture, SHARPENED[covered], rule.colour)
        return picture

    def _near(self, left: int, top: int, size: int, scale: float) -> list[RoadLine | Region]:
        reach = self._reach + BUFFER * UNITS / scale
        box = np.array((left, top, left + size, top + size)) * UNITS / scale
        found = self._tree.query(shapely.box(box[0] - reach, box[1] - reach, box[2] + reach, box[3] + reach))
        return [self._features[index] for index in sorted(found.tolist())]

    def _rings(
        self, feature: RoadLine | Region, rule: Rule, square: tuple[int, int, int], scale: float
    ) -> list[list[tuple[float, float]]]:
        """Rings to fill for a feature, outer ones one way about and holes the other."""
        if feature.kind != rule.kind:
            return []
        left, top, size = square
        if isinstance(feature, Region):
            if rule.shape == "line":
                return []
            polygon = shapely.transform(feature.polygon, lambda points: _placed(points, left, top, scale))
            if rule.shape == "casing":
                polygon = shapely.buffer(polygon, rule.more)
            margin = BUFFER
        else:
            if rule.shape == "area":
                return []
            width = 0.0 if feature.area else feature.width / self._metres * scale + 2 * rule.more
            width = max(width, rule.least)
            margin = int(width) + BUFFER
            runs = _runs(_placed(feature.line, left, top, scale), size, margin)
            polygon = (
                shapely.buffer(shapely.multilinestrings([shapely.linestrings(run) for run in runs]), width / 2)
                if runs
                else shapely.Polygon()
            )
        rings = []
        for part in shapely.get_parts(shapely.orient_polygons(polygon)):
            for ring in (part.exterior, *part.interiors):
                points = _trimmed(np.rint(shapely.get_coordinates(ring)[:-1] * GRID) / GRID, size, BUFFER)
                if len(points) > 2:
                    rings.append([tuple(point) for point in points.tolist()])
        return rings


def _over(picture: Image, covered: npt.NDArray[np.int32], colour: Rgb) -> Image:
    """A colour over a picture, where it covers 0 to 255."""
    mixed = picture * (255 - covered) + np.array(colour, np.int32) * covered
    return ((2 * mixed + 255) // 510).astype(np.uint8)


def _order(feature: RoadLine | Region) -> tuple[object, ...]:
    if isinstance(feature, Region):
        return 0, feature.kind, shapely.to_wkb(feature.polygon)
    return 1, feature.kind, feature.line.tobytes()


def _placed(points: npt.NDArray[Any], left: int, top: int, scale: float) -> _Points:
    """Pixels of a square from units of the map: rounded first, so that a neighbour's pixels fit."""
    placed: _Points = np.rint(points * (scale * GRID / UNITS)) / GRID - (left, top)
    return placed


def _runs(points: _Points, size: int, margin: int) -> list[_Points]:
    """The stretches of a line that come near a square; corners stay as they are."""
    low, high = np.minimum(points[:-1], points[1:]), np.maximum(points[:-1], points[1:])
    near = ((high >= -margin) & (low <= size + margin)).all(1)
    change = np.flatnonzero(np.diff(np.concatenate(([False], near, [False])).astype(np.int8)))
    return [points[first : last + 1] for first, last in change.reshape(-1, 2)]


def _trimmed(points: _Points, size: int, margin: int) -> _Points:
    """A ring without corners between others beyond the same side of a square: what is filled there is the same."""
    for axis in (0, 1):
        for sign, limit in ((-1, margin), (1, size + margin)):
            beyond = sign * points[:, axis] > limit
            # side by side: a corner is only spared if it is not between two others as they are by now
            points = points[~(beyond & np.roll(beyond, 1) & np.roll(beyond, -1))]
    return points
