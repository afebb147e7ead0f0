"""Features as tables: layers of vector files and vector tiles, their geometry and columns."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import shapely

from geo2map.errors import DataError
from geo2map.features.areas import COVERAGE, Region
from geo2map.features.evidence import ROADS as ROAD_CLASSES
from geo2map.features.extract import Feature
from geo2map.features.roads import RoadLine

ROADS, ROAD_AREAS = "roads", "road_areas"
_STYLES_TABLE = "layer_styles"
"""Where QGIS looks for the styles of a GeoPackage."""
_NOT_AREAS = ("land", *ROAD_CLASSES)
_PLURALS = {"building": "buildings", "park": "parks"}
"""Layers of classes that are not named as their class is."""
KINDS_OF_COLUMNS = {
    "class": "String",
    "width": "Number",
    "length": "Number",
    "area": "Number",
    "confidence": "Number",
    "bridged": "Boolean",
    "in_area": "Boolean",
}
"""Types of columns, as TileJSON names them."""
_FIRST_ZOOMS = {"road": 12, "building": 14}
LINE_COLUMNS = ("class", "width", "length", "confidence", "bridged", "in_area")
AREA_COLUMNS = ("class", "area", "confidence")


class FeatureLayer(NamedTuple):
    """A layer of a vector file.

    Attributes:
        name: of the layer.
        classes: of its features.
        is_line: whether its features are lines; polygons otherwise.
        first_zoom: zoom from which vector tiles show all its features; highways are shown at all zooms.
    """

    name: str
    classes: tuple[str, ...]
    is_line: bool = False
    first_zoom: int = 0

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the attributes; lengths and widths in metres, areas in square metres, confidence in percent."""
        return LINE_COLUMNS if self.is_line else AREA_COLUMNS

    @property
    def geometry_type(self) -> str:
        """By GDAL's name."""
        return "LineString" if self.is_line else "Polygon"


COVERAGE_LAYER = FeatureLayer(COVERAGE, (COVERAGE,))
"""Where the map is: a layer of its GeoPackage alone, the lowest."""


def feature_layers(classes: Iterable[str]) -> dict[str, FeatureLayer]:
    """The layers of a map, by name, for its classes; the lowest is drawn first."""
    known = tuple(dict.fromkeys(classes))
    roads = tuple(kind for kind in ROAD_CLASSES if kind in known)
    areas = sorted((kind for kind in known if kind not in _NOT_AREAS), key=lambda kind: kind == "building")
    layers = [FeatureLayer(_PLURALS.get(kind, kind), (kind,), first_zoom=_FIRST_ZOOMS.get(kind, 0)) for kind in areas]
    if roads:
        first = _FIRST_ZOOMS["road"]
        layers += [FeatureLayer(ROAD_AREAS, roads, first_zoom=first), FeatureLayer(ROADS, roads, True, first)]
    return {layer.name: layer for layer in layers}


def require_layer_names(classes: Iterable[str]) -> None:
    """Refuse classes whose layer would have the name of another one; file formats take no notice of case.

    Raises:
        DataError: there is such a class.
    """
    taken = {COVERAGE, _STYLES_TABLE, ROADS, ROAD_AREAS}
    for kind in dict.fromkeys(classes):
        if kind in _NOT_AREAS:
            continue
        name = _PLURALS.get(kind, kind).lower()
        if name in taken:
            raise DataError(f"class {kind!r}: a layer {name} of features is there already; give the class another name")
        taken.add(name)


def layer_of(feature: Feature) -> str:
    """Name of the layer that a feature belongs to."""
    if isinstance(feature, RoadLine):
        return ROADS
    return ROAD_AREAS if feature.kind in ROAD_CLASSES else _PLURALS.get(feature.kind, feature.kind)


def attributes_of(feature: Feature) -> dict[str, Any]:
    """The columns of a feature by name, see `FeatureLayer.columns`; None where confidence was not kept."""
    confidence = None if feature.confidence is None else round(100 * feature.confidence)
    if isinstance(feature, Region):
        return {"class": feature.kind, "area": feature.area, "confidence": confidence}
    return {
        "class": feature.kind,
        "width": feature.width,
        "length": feature.length,
        "confidence": confidence,
        "bridged": feature.bridged,
        "in_area": feature.area,
    }


def geometries_of(features: Collection[Feature]) -> npt.NDArray[Any]:
    """Lines and polygons of features in units, object (N,)."""
    geometries = np.empty(len(features), object)
    geometries[:] = [each.polygon if isinstance(each, Region) else shapely.LineString(each.line) for each in features]
    return geometries
