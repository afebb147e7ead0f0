"""Features as rows of a vector file, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import shapely

from geo2map.features import Feature, FeatureLayer, Region, RoadLine, attributes_of, geometries_of
from geo2map.formats.vectors.frame import MapFrame

COLUMN_DTYPES: dict[str, type] = {
    "class": object,
    "width": np.float64,
    "length": np.float64,
    "area": np.float64,
    "confidence": np.int32,
    "bridged": np.bool_,
    "in_area": np.bool_,
}
"""Types of the columns of all layers."""


class Rows(NamedTuple):
    """Features of one layer as columns.

    Attributes:
        shapes: object (N,), shapely geometries in degrees.
        columns: an array (N,) for each column of the layer.
        known: bool (N,) for each column: False where there is no value.
    """

    shapes: npt.NDArray[Any]
    columns: list[npt.NDArray[Any]]
    known: list[npt.NDArray[np.bool_]]


def to_rows(features: Sequence[Feature], layer: FeatureLayer, frame: MapFrame) -> Rows:
    """Features of one layer with lengths and areas on the ellipsoid."""
    values = [_measured(feature, frame) for feature in features]
    columns: list[npt.NDArray[Any]] = [
        np.array([each[name] or 0 if name == "confidence" else each[name] for each in values], COLUMN_DTYPES[name])
        for name in layer.columns
    ]
    known = [np.array([each[name] is not None for each in values], bool) for name in layer.columns]
    shapes = [shapely.transform(shape, frame.to_degrees) for shape in geometries_of(features)]
    return Rows(_objects(shapes), columns, known)


def from_rows(rows: Rows, layer: FeatureLayer, frame: MapFrame) -> list[Feature]:
    """The features of rows; undoes `to_rows`."""
    found: list[Feature] = []
    columns = dict(zip(layer.columns, zip(rows.columns, rows.known, strict=True), strict=True))
    for index, shape in enumerate(rows.shapes):
        row = {name: values[index] if known[index] else None for name, (values, known) in columns.items()}
        sure = None if row["confidence"] is None else float(row["confidence"]) / 100
        if layer.is_line:
            line = frame.to_units(shapely.get_coordinates(shape))
            facts = (float(row["width"] or 0), float(row["length"] or 0), sure, bool(row["bridged"]))
            found.append(RoadLine(str(row["class"]), line, *facts, bool(row["in_area"])))
        else:
            polygon = shapely.transform(shape, frame.to_units)
            found.append(Region(str(row["class"]), polygon, float(row["area"] or 0), sure))
    return found


def _measured(feature: Feature, frame: MapFrame) -> dict[str, Any]:
    """The columns of a feature, with its length or area on the ellipsoid."""
    if isinstance(feature, Region):
        return attributes_of(feature) | {"area": round(frame.area(feature.polygon), 2)}
    return attributes_of(feature) | {"length": round(frame.length(feature.line), 2)}


def _objects(shapes: Sequence[shapely.Geometry]) -> npt.NDArray[Any]:
    array = np.empty(len(shapes), object)
    array[:] = shapes
    return array
