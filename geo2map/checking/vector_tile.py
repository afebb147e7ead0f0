"""Checks the bytes of one vector tile."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import shapely
from google.protobuf.message import DecodeError
from shapely.errors import ShapelyError
from shapely.geometry import shape

from geo2map.errors import TileSetError
from geo2map.tiles.mvt import is_whole_vector

_BROKEN = (DecodeError, ShapelyError, LookupError, ValueError, TypeError, AttributeError)


def require_features(data: bytes, layers: Collection[str]) -> None:
    """Refuse a vector tile that clients could not draw.

    Args:
        data: uncompressed.
        layers: names that a layer may have; any if empty.

    Raises:
        TileSetError: it cannot be decoded, has an unknown layer, or a geometry that is not valid; names no tile.
    """
    for name, shapes in _decode(data).items():
        if layers and name not in layers:
            raise TileSetError(f"layer {name!r} is none of {', '.join(layers)}")
        kinds = shapely.get_dimensions(shapes)
        measures = np.where(kinds == 2, shapely.area(shapes), np.where(kinds == 1, shapely.length(shapes), 1))
        wrong = ~shapely.is_valid(shapes) | shapely.is_empty(shapes) | (measures == 0)
        if wrong.any():
            first = shapely.is_valid_reason(shapes[int(wrong.argmax())])
            raise TileSetError(f"{int(wrong.sum())} of {len(shapes)} geometries of layer {name!r} are wrong ({first})")


def _decode(data: bytes) -> dict[str, Any]:
    """Geometries, object (N,), by layer, in the tile's own units.

    Raises:
        TileSetError: not a complete vector tile.
    """
    from mapbox_vector_tile import decode

    try:
        if not is_whole_vector(data):
            raise ValueError("its layers do not end with it")
        found: dict[str, Any] = {}
        for name, layer in decode(data, default_options={"y_coord_down": True}).items():
            shapes = np.empty(len(layer["features"]), object)
            shapes[:] = [shape(feature["geometry"]) for feature in layer["features"]]
            found[name] = shapes
        return found
    except _BROKEN as error:
        cause = " ".join(str(error).split())[:100]
        raise TileSetError(f"cannot be read as a vector tile ({cause}; {len(data)} bytes); create it again") from error
