"""Vector tiles (MVT) of the features in a file, generalised zoom by zoom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from geo2map.features import UNITS, Feature, attributes_of, geometries_of, layer_of
from geo2map.formats.subset import rescale
from geo2map.formats.vectors.read import FeatureFile
from geo2map.grid import TILE_SIZE, PixelWindow, ground_resolution, tile_range, window_latitude
from geo2map.types import Tile

EXTENT = TILE_SIZE * UNITS
"""Units along a tile's side, as MVT has them by default: at the map's zoom, features keep their coordinates."""
_BUFFER = 8 * UNITS
"""Units around a tile within which features go on, so that wide lines have no gap at its border."""
_TOLERANCE = UNITS / 2
"""Units of a zoom by which outlines are simplified, below the map's zoom."""
_LEAST_AREA = 16
"""Square pixels of a zoom that an area has at least, below the map's zoom."""
_AT_ONCE = 8
"""Tiles along a side of a square that is read at once, at the map's zoom."""


def vector_tiles(features: FeatureFile, minzoom: int) -> Iterator[tuple[Tile, bytes]]:
    """The vector tiles of a map that hold anything, zoom by zoom from the map's down.

    Yields:
        Tiles and their bytes, uncompressed; the same for the same features.

    Raises:
        TileSetError: the file is damaged.
    """
    frame = features.frame
    for zoom in range(frame.zoom, minzoom - 1, -1):
        down = frame.zoom - zoom
        side = max(1, _AT_ONCE >> down)
        where = _conditions(features, zoom)
        if not where:
            continue
        span = tile_range(rescale(frame.window, frame.zoom, zoom))
        for top in range(span.top // side * side, span.bottom, side):
            for left in range(span.left // side * side, span.right, side):
                square = PixelWindow(left, top, left + side, top + side)
                yield from _tiles_of(features, zoom, square.intersection(span), where)


def vector_tile(features: FeatureFile, tile: Tile) -> bytes:
    """One of the tiles that `vector_tiles` gives; b"" where it gives none.

    Raises:
        TileSetError: the file is damaged.
    """
    frame, where = features.frame, _conditions(features, tile.z)
    if tile.z > frame.zoom or not where:
        return b""
    span = tile_range(rescale(frame.window, frame.zoom, tile.z))
    for column in (tile.x, tile.x + 2**tile.z):
        part = PixelWindow(column, tile.y, column + 1, tile.y + 1).intersection(span)
        for _, data in () if part.empty else _tiles_of(features, tile.z, part, where):
            return data
    return b""


def _conditions(features: FeatureFile, zoom: int) -> dict[str, str]:
    """Layers shown at a zoom, each with a condition in SQL."""
    frame, found = features.frame, dict[str, str]()
    size = ground_resolution(zoom, window_latitude(frame.window, frame.zoom))
    for name, layer in features.layers.items():
        if zoom >= layer.first_zoom:
            found[name] = "" if layer.is_line or zoom == frame.zoom else f"area >= {_LEAST_AREA * size * size:.3f}"
        elif layer.is_line:
            found[name] = "class = 'highway'"
    return found


def _tiles_of(
    features: FeatureFile, zoom: int, span: PixelWindow, where: Mapping[str, str]
) -> Iterator[tuple[Tile, bytes]]:
    """The tiles of a range of columns and rows."""
    down = features.frame.zoom - zoom
    window = PixelWindow(*(edge * TILE_SIZE << down for edge in span))
    near = features.near(window, (_BUFFER // UNITS) << down, where=where)
    if not near:
        return
    shapes = _at_zoom(near, down)
    tree = shapely.STRtree(shapes)
    for x in range(span.left, span.right):
        for y in range(span.top, span.bottom):
            corner = np.array((x, y)) * EXTENT
            box = shapely.box(*(corner - _BUFFER), *(corner + EXTENT + _BUFFER))
            found = sorted(tree.query(box, "intersects").tolist())
            if data := encode_features([(near[index], shapes[index]) for index in found], box, corner, features.layers):
                yield Tile(x % 2**zoom, y, zoom), data


def _at_zoom(features: Sequence[Feature], down: int) -> npt.NDArray[Any]:
    """Geometries in units of a zoom, simplified where that is not the map's."""
    shapes = geometries_of(features)
    if not down:
        return shapes
    shapes = shapely.transform(shapes, lambda points: points / 2**down)
    return np.asarray(shapely.simplify(shapes, _TOLERANCE), object)


def encode_features(
    features: Sequence[tuple[Feature, shapely.Geometry]],
    box: shapely.Polygon,
    corner: npt.NDArray[np.int64],
    layers: Sequence[str] | Mapping[str, Any],
) -> bytes:
    """A tile's bytes, uncompressed; b"" without features.

    Args:
        features: with their geometries in units of the tile's zoom.
        box: what the tile holds, its buffer included.
        corner: the tile's north-western corner, int64 (2,).
        layers: names of layers in order.
    """
    from mapbox_vector_tile import encode

    found: dict[str, list[dict[str, Any]]] = {name: [] for name in layers}
    for feature, shape in features:
        if (clipped := _clipped(shape, box, corner)) is not None:
            entry = {"geometry": clipped, "properties": _properties(feature)}
            found[layer_of(feature)].append(entry)
    for entries in found.values():
        entries.sort(key=lambda entry: (shapely.to_wkb(entry["geometry"]), sorted(entry["properties"].items())))
    tile = [{"name": name, "features": entries} for name, entries in found.items() if entries]
    if not tile:
        return b""
    data: bytes = encode(tile, default_options={"extents": EXTENT, "y_coord_down": True})
    return data


def _clipped(shape: shapely.Geometry, box: shapely.Polygon, corner: npt.NDArray[np.int64]) -> shapely.Geometry | None:
    """What a tile has of a geometry, valid in whole units from its corner; None if nothing is left."""
    inside = shape if shapely.contains_properly(box, shape) else shapely.intersection(shape, box)
    inside = shapely.transform(inside, lambda points: np.rint(points - corner))
    if shapely.get_dimensions(shape) == 1:
        lines = [line for line in shapely.get_parts(shapely.remove_repeated_points(inside)) if shapely.length(line)]
        lines = [line for line in lines if shapely.get_dimensions(line) == 1]
        return shapely.multilinestrings(lines) if len(lines) > 1 else lines[0] if lines else None
    parts = shapely.get_parts(shapely.set_precision(shapely.make_valid(inside), 1))
    areas = [part for part in parts if shapely.get_dimensions(part) == 2 and shapely.area(part)]
    return shapely.multipolygons(areas) if len(areas) > 1 else areas[0] if areas else None


def _properties(feature: Feature) -> dict[str, Any]:
    """The columns of a feature that have a value; confidence is the last."""
    values = attributes_of(feature)
    confidence = values.pop("confidence")
    return values if confidence is None else values | {"confidence": confidence}
