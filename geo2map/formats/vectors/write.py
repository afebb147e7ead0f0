"""Writing features to a GeoPackage, batch by batch."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import shapely

from geo2map.errors import OutputError
from geo2map.features import COVERAGE_LAYER, Feature, FeatureLayer, Style, feature_layers, layer_of
from geo2map.files.atomic import output_errors
from geo2map.files.vector_gdal import vector_gdal
from geo2map.formats.documents.feature_styles import layer_style
from geo2map.formats.vectors.frame import MapFrame
from geo2map.formats.vectors.table import Rows, to_rows
from geo2map.tiles.tilejson import TileSet

FACTS = "geo2map"
"""Key of geo2map's facts in a file's metadata."""
_AT_ONCE = 5_000
_DATE = "1970-01-01T00:00:00.000Z"
"""GDAL writes the time into a GeoPackage; the same features shall give the same bytes."""
_STYLES = (
    "CREATE TABLE layer_styles (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256), "
    "f_table_schema TEXT(256), f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, "
    "styleSLD TEXT, useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30), update_time DATETIME)"
)
"""As QGIS creates it."""


class FeatureWriter:
    """A GeoPackage under construction; holds some features of each layer in memory.

    A context manager: leaving it completes the file, or removes it after an error.

    Attributes:
        path: of the file; must not exist.
        frame: where the features lie.
        layers: all layers, by name; those without features are written, too.
    """

    def __init__(self, path: Path, tileset: TileSet, classes: tuple[str, ...]) -> None:
        """
        Args:
            tileset: describes the map: name, zoom, window, facts.
            classes: of the map.
        """
        self.path, self._tileset = path, tileset
        self.frame = MapFrame(tileset.maxzoom, tileset.window)
        self.layers = {COVERAGE_LAYER.name: COVERAGE_LAYER, **feature_layers(classes)}
        self._waiting: dict[str, list[Feature]] = {name: [] for name in self.layers}

    def add(self, feature: Feature) -> None:
        """Write a feature, sooner or later.

        Raises:
            OutputError: the file cannot be written.
        """
        name = layer_of(feature)
        self._waiting[name].append(feature)
        if len(self._waiting[name]) >= _AT_ONCE:
            self._flush(name)

    def complete(self, style: Style) -> None:
        """Write what waits, and the styles.

        Raises:
            OutputError: the file cannot be written.
        """
        for name in self._waiting:
            self._flush(name)
        finish_geopackage(self.path, self.layers, style)

    def _flush(self, name: str) -> None:
        if not self.path.exists():
            for layer in highest_first(self.layers):
                self._append(layer, [])
        waiting, self._waiting[name] = self._waiting[name], []
        if waiting:
            self._append(self.layers[name], waiting)

    def _append(self, layer: FeatureLayer, features: list[Feature]) -> None:
        write_rows(self.path, layer, to_rows(features, layer, self.frame), facts=facts_of(self._tileset))


def highest_first(layers: dict[str, FeatureLayer]) -> list[FeatureLayer]:
    """Layers in the order that they have in a file: QGIS puts the first one on top."""
    return list(layers.values())[::-1]


def facts_of(tileset: TileSet) -> dict[str, str]:
    """Metadata of a vector file: what the map is, and who made it from what."""
    words = tileset.all_words()
    found = {"name": tileset.name, "attribution": words.get("attribution", ""), "description": tileset.description}
    if licence := tileset.extra.get("licence"):
        found["licence"] = str(licence)
    return found | {FACTS: json.dumps(tileset.to_dict(), ensure_ascii=True, sort_keys=True)}


def write_rows(
    path: Path,
    layer: FeatureLayer,
    rows: Rows,
    *,
    facts: dict[str, str],
    crs: str = "EPSG:4326",
    driver: str = "GPKG",
) -> None:
    """Append rows to a layer of a file, or begin it.

    Raises:
        OutputError: the file cannot be written.
    """
    with writing(path):
        vector_gdal().raw.write(
            path,
            np.array([shapely.to_wkb(shape) for shape in rows.shapes], object),
            rows.columns,
            list(layer.columns),
            field_mask=[~known for known in rows.known],
            layer=layer.name,
            driver=driver,
            geometry_type=layer.geometry_type,
            crs=crs,
            append=path.exists(),
            dataset_metadata=None if path.exists() else facts,
        )


def finish_geopackage(path: Path, layers: dict[str, FeatureLayer], style: Style) -> None:
    """Add the styles that QGIS applies, and remove the time of writing.

    Raises:
        OutputError: the file cannot be written.
    """
    with writing(path), closing(sqlite3.connect(path)) as database, database:
        database.execute(_STYLES)
        database.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, last_change) "
            "VALUES ('layer_styles', 'attributes', 'layer_styles', '', ?)",
            (_DATE,),
        )
        for layer in layers.values():
            qml = layer_style(style, layer.classes, is_line=layer.is_line).decode()
            values = ("", "", layer.name, "geom", style.name, qml, "", True, f"geo2map, style {style.name}", "", None)
            database.execute(
                "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, "
                "styleName, styleQML, styleSLD, useAsDefault, description, owner, ui, update_time) "
                f"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '{_DATE}')",
                values,
            )
        database.execute("UPDATE gpkg_contents SET last_change = ?", (_DATE,))
        database.execute("UPDATE gpkg_metadata_reference SET timestamp = ?", (_DATE,))


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn errors of GDAL and SQLite while a file is written into OutputError."""
    from pyogrio.errors import DataSourceError, FeatureError, GeometryError

    try:
        with output_errors(path):
            yield
    except (DataSourceError, FeatureError, GeometryError, sqlite3.Error, RuntimeError) as error:
        cause = " ".join(str(error).split())[:200]
        raise OutputError(f"{path}: cannot be written ({cause}); check the disk and its free space") from error
