"""A small drawing of where a plan's map lies: its window, its blocks, its area of interest."""

from __future__ import annotations

import shapely
from shapely.affinity import affine_transform, translate

from geo2map.aoi import Aoi
from geo2map.files.notebook import PICTURE_SIDE, svg_picture
from geo2map.grid import HALF_WORLD, TILE_SIZE, PixelWindow, window_bounds

_LEAST_CELL = 4.0
"""Pixels of the drawing between lines of blocks; closer ones are left out."""
_MOST_CORNERS = 1500
"""Of an area's outline in the drawing, some ten bytes each."""
_TOLERANCES = (0.5, 1.0, 2.0, 4.0)
"""Pixels by which the outline may be off; the first that leaves few enough corners, the largest rings in any case."""


def area_svg(window: PixelWindow, *, zoom: int, block_span: int, aoi: Aoi | None, words: str) -> str:
    """A map's window with the lines between its blocks, north at the top, and the area of interest in it.

    Args:
        window: of the map in global pixels at `zoom`.
        words: what it is, as plain text.

    Returns:
        An SVG element of at most `PICTURE_SIDE` pixels a side and some 20 KB.
    """
    scale = PICTURE_SIDE / max(window.width, window.height)
    width, height = max(2.0, round(window.width * scale, 1)), max(2.0, round(window.height * scale, 1))
    parts = [f'<rect width="{width:g}" height="{height:g}" fill="#dbe5f1" stroke="#5f7ea6"/>']
    if aoi is not None:
        outline = _outline(window, zoom, aoi, scale)
        parts.append(f'<path d="{outline}" fill="#f2b25c" fill-rule="evenodd" stroke="#a86a13"/>')
    step = block_span * TILE_SIZE
    if step * scale >= _LEAST_CELL:
        across = (f"M{_short((x - window.left) * scale)} 0V{height:g}" for x in _lines(window.left, window.right, step))
        down = (f"M0 {_short((y - window.top) * scale)}H{width:g}" for y in _lines(window.top, window.bottom, step))
        parts.append(f'<path d="{"".join([*across, *down])}" fill="none" stroke="#5f7ea6" stroke-opacity=".5"/>')
    return svg_picture("".join(parts), width, height, words)


def _lines(first: int, last: int, step: int) -> range:
    """Multiples of a step between two numbers."""
    return range((first // step + 1) * step, last, step)


def _outline(window: PixelWindow, zoom: int, aoi: Aoi, scale: float) -> str:
    """The area within a window as the data of an SVG path."""
    west, south, east, north = window_bounds(window, zoom)
    pixels = scale * window.width / (east - west)
    parts = [
        part
        for turn in (0, 1)  # columns go on over the world's edge
        for part in shapely.get_parts(
            shapely.clip_by_rect(translate(aoi.geometry, turn * 2 * HALF_WORLD), west, south, east, north)
        )
        if part.geom_type == "Polygon"
    ]
    on_paper = [affine_transform(part, (pixels, 0, 0, -pixels, -west * pixels, north * pixels)) for part in parts]
    for tolerance in _TOLERANCES:
        shapes = [shape for part in on_paper for shape in shapely.get_parts(shapely.simplify(part, tolerance))]
        rings = [ring for shape in shapes for ring in (shape.exterior, *shape.interiors)]
        if sum(len(ring.coords) for ring in rings) <= _MOST_CORNERS:
            break
    found, left = [], _MOST_CORNERS
    for ring in sorted(rings, key=lambda ring: -shapely.Polygon(ring).area):
        left -= len(ring.coords)
        if left < 0:
            break
        found.append("M" + "L".join(f"{_short(x)} {_short(y)}" for x, y in ring.coords[:-1]) + "Z")
    return "".join(found)


def _short(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
