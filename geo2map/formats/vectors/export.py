"""Vector files of other formats and in other CRS, from a GeoPackage of geo2map."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from geo2map.errors import OutputError
from geo2map.features import FeatureLayer, Style
from geo2map.files.vector_gdal import vector_gdal
from geo2map.formats.vectors.read import DEGREES, FeatureFile, moved
from geo2map.formats.vectors.table import COLUMN_DTYPES, Rows
from geo2map.formats.vectors.write import facts_of, finish_geopackage, highest_first, write_rows, writing
from geo2map.protocols import Progress

_COLUMNS: dict[str, type] = {"layer": object, **COLUMN_DTYPES}
"""Columns of a file with one layer: those of all layers, and which it is."""


def export_geopackage(features: FeatureFile, path: Path, style: Style, crs: str, progress: Progress | None) -> None:
    """A GeoPackage in a CRS.

    Raises:
        OutputError: it cannot be written.
        TileSetError: the CRS does not reach the map, or the source is damaged.
    """
    layers = features.stored_layers
    for layer in highest_first(layers):
        for number, rows in enumerate(_some(features, layer, crs)):
            write_rows(path, layer, rows, facts=facts_of(features.tileset), crs=crs)
            _tell(progress, layer.name, number)
    finish_geopackage(path, layers, style)


Exporter = Callable[[FeatureFile, Path, Style, str, "Progress | None"], None]
"""Writes features to an unused path: source, path, style, CRS, progress."""


@dataclass(frozen=True)
class _OneLayer:
    """All layers' rows as one, with a column that says which."""

    layer: FeatureLayer
    rows: Rows

    @property
    def wkb(self) -> npt.NDArray[Any]:
        return np.array([shapely.to_wkb(shape) for shape in self.rows.shapes], object)

    def columns(self) -> tuple[list[npt.NDArray[Any]], list[npt.NDArray[np.bool_]]]:
        """Values and whether they are known, column by column."""
        count = len(self.rows.shapes)
        values, known = [np.full(count, self.layer.name, object)], [np.ones(count, bool)]
        for name, dtype in list(_COLUMNS.items())[1:]:
            if name in self.layer.columns:
                at = self.layer.columns.index(name)
                column = np.where(self.rows.known[at], self.rows.columns[at], 0) if dtype is np.int32 else None
                values.append((self.rows.columns[at] if column is None else column).astype(dtype))
                known.append(self.rows.known[at])
            else:
                values.append(np.full(count, None if dtype is object else 0, dtype))
                known.append(np.zeros(count, bool))
        return values, known


def export_ogr(driver: str, options: dict[str, str]) -> Exporter:
    """A writer of one file with one layer, by GDAL's driver.

    Args:
        driver: by GDAL's name, "FlatGeobuf" or "GeoJSON".
        options: of its layer.
    """

    def export(features: FeatureFile, path: Path, style: Style, crs: str, progress: Progress | None) -> None:  # noqa: ARG001
        """Write the file.

        Raises:
            OutputError: it cannot be written.
            TileSetError: the CRS does not reach the map, or the source is damaged.
        """
        parts = list(_parts(features, crs))
        values, known = zip(*(part.columns() for part in parts), strict=True)
        names = list(_COLUMNS)
        with writing(path):
            vector_gdal().raw.write(
                path,
                np.concatenate([part.wkb for part in parts]),
                [np.concatenate([columns[at] for columns in values]) for at in range(len(names))],
                names,
                field_mask=[~np.concatenate([columns[at] for columns in known]) for at in range(len(names))],
                layer=features.tileset.name,
                driver=driver,
                geometry_type="Unknown",
                crs=crs,
                layer_metadata=facts_of(features.tileset) if driver == "FlatGeobuf" else None,
                **options,
            )
        _tell(progress, driver, len(parts))

    return export


def export_parquet(features: FeatureFile, path: Path, style: Style, crs: str, progress: Progress | None) -> None:  # noqa: ARG001
    """A GeoParquet 1.1 file.

    Raises:
        OutputError: pyarrow is missing, or it cannot be written.
        TileSetError: the CRS does not reach the map, or the source is damaged.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise OutputError(f"{path}: GeoParquet needs pyarrow; pip install 'geo2map[parquet]'") from error
    types = {object: pa.string(), np.float64: pa.float64(), np.int32: pa.int32(), np.bool_: pa.bool_()}
    fields = [pa.field(name, types[dtype]) for name, dtype in _COLUMNS.items()]
    column = {"encoding": "WKB", "geometry_types": ["LineString", "Polygon"], "crs": _projjson(crs)}
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    facts = {"geo": json.dumps(geo), **facts_of(features.tileset)}
    schema = pa.schema([*fields, pa.field("geometry", pa.binary())], metadata=facts)
    with writing(path), pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for number, part in enumerate(_parts(features, crs)):
            values, known = part.columns()
            arrays = [
                pa.array(column, field.type, mask=~there)
                for column, there, field in zip(values, known, fields, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays([*arrays, pa.array(part.wkb, pa.binary())], schema=schema))
            _tell(progress, "rows", number)


def _parts(features: FeatureFile, crs: str) -> Iterator[_OneLayer]:
    for layer in features.layers.values():
        yield from (_OneLayer(layer, rows) for rows in _some(features, layer, crs))


def _some(features: FeatureFile, layer: FeatureLayer, crs: str) -> Iterator[Rows]:
    """Rows of a layer in a CRS; at least once, so that empty layers are written, too."""
    begun = False
    for rows in features.rows(layer):
        begun = True
        yield rows if crs == features.crs else rows._replace(shapes=moved(rows.shapes, features.crs, crs))
    if not begun:
        none: list[npt.NDArray[Any]] = [np.empty(0, _COLUMNS[name]) for name in layer.columns]
        yield Rows(np.empty(0, object), none, [np.empty(0, bool) for _ in none])


def _projjson(crs: str) -> Any:
    """A CRS as PROJJSON; None would mean that it is unknown."""
    from rasterio.crs import CRS

    return CRS.from_user_input(crs).to_dict(projjson=True)


def _tell(progress: Progress | None, stage: str, done: int) -> None:
    if progress is not None:
        progress(stage, done + 1, done + 1)


_EXPORTERS: dict[str, Exporter] = {
    ".gpkg": export_geopackage,
    ".fgb": export_ogr("FlatGeobuf", {}),
    ".geojson": export_ogr("GeoJSON", {"RFC7946": "YES", "WRITE_NAME": "NO"}),
    ".parquet": export_parquet,
}


def export_features(
    features: FeatureFile, path: Path, *, style: Style | None, crs: str | None, progress: Progress | None
) -> None:
    """Write features as the kind of file that the path's suffix names.

    Args:
        path: must not exist.
        style: the one that QGIS shows; None takes the map's own colours.
        crs: of the coordinates; None is WGS 84.

    Raises:
        OutputError: it cannot be written.
        TileSetError: the CRS does not reach the map, or the source is damaged.
    """
    shown = features.style if style is None else style
    _EXPORTERS[path.suffix.lower()](features, path, shown, crs or DEGREES, progress)
