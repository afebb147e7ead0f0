"""Reading features from a vector file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from rasterio.crs import CRS
from rasterio.warp import transform

from geo2map.errors import TileSetError
from geo2map.features import COVERAGE_LAYER, UNITS, Feature, FeatureLayer, Style
from geo2map.files.rasterio_internals import GDAL_ERRORS
from geo2map.files.vector_gdal import vector_gdal
from geo2map.formats.vectors.frame import MapFrame
from geo2map.formats.vectors.table import Rows, from_rows
from geo2map.formats.vectors.write import FACTS
from geo2map.grid import PixelWindow
from geo2map.grid.mercator import web_mercator
from geo2map.tiles.tilejson import TileSet

_AT_ONCE = 20_000
DEGREES = "EPSG:4326"
"""The CRS of files, unless another is chosen: longitude and latitude on WGS 84."""


VECTOR_SUFFIXES = (".gpkg", ".fgb", ".geojson", ".parquet")


def is_vector_file(path: str | Path) -> bool:
    """Whether a name is that of a vector file."""
    return Path(path).suffix.lower() in VECTOR_SUFFIXES and not Path(path).is_dir()


@dataclass(frozen=True)
class FeatureFile:
    """A vector file with the layers of geo2map.

    Attributes:
        path: of the file.
        tileset: describes the map that the features were read from.
        layers: those of features that are present, by name; the lowest is drawn first.
        crs: of the coordinates.
        is_covered: whether it has the layer `COVERAGE_LAYER`.
    """

    path: Path
    tileset: TileSet
    layers: dict[str, FeatureLayer]
    crs: str = DEGREES
    is_covered: bool = False

    @classmethod
    def open(cls, path: str | Path) -> FeatureFile:
        """
        Raises:
            TileSetError: no such file, not a vector file, or without the layers of geo2map.
        """
        from pyogrio.errors import DataSourceError

        path = Path(path)
        if path.is_dir() or path.suffix.lower() in (".pmtiles", ".mbtiles"):
            raise TileSetError(f"{path}: tiles, which are drawn already; give the GeoPackage of the map")
        if not path.is_file():
            raise TileSetError(f"{path}: not found; check the path")
        if is_vector_file(path) and path.suffix.lower() != ".gpkg":
            raise TileSetError(f"{path}: an export, which is not read back; give the GeoPackage of the map")
        pyogrio = vector_gdal()
        web_mercator()  # first: without PROJ, GDAL silently finds no CRS
        try:
            names = [str(name) for name, _ in pyogrio.list_layers(path)]
            facts = pyogrio.read_info(path, layer=names[0])["dataset_metadata"] if names else None
        except DataSourceError as error:
            raise TileSetError(f"{path}: not a vector file; give a GeoPackage that geo2map wrote") from error
        document = (facts or {}).get(FACTS)
        if document is None:
            raise TileSetError(
                f"{path}: made by another program or saved anew ({', '.join(names) or 'no layers'}); give a GeoPackage "
                "that geo2map wrote"
            )
        tileset = _tileset(path, document)
        known = tileset.feature_layers
        layers = {name: layer for name, layer in known.items() if name in names}
        if not layers:
            raise TileSetError(
                f"{path}: none of the layers {', '.join(known)}; give the GeoPackage as geo2map wrote it"
            )
        crs = pyogrio.read_info(path, layer=next(iter(layers)))["crs"]
        return cls(path, tileset, layers, str(crs or DEGREES), COVERAGE_LAYER.name in names)

    @property
    def stored_layers(self) -> dict[str, FeatureLayer]:
        """All layers of the file, by name."""
        return {COVERAGE_LAYER.name: COVERAGE_LAYER, **self.layers} if self.is_covered else self.layers

    @property
    def lacking(self) -> tuple[str, ...]:
        """Layers that the map has and the file has not, as when another program saved some of it."""
        return tuple(
            name for name in (COVERAGE_LAYER.name, *self.tileset.feature_layers) if name not in self.stored_layers
        )

    def coverage(self) -> list[shapely.Polygon]:
        """Where the map is, in units: its whole window, unless the file has a layer for it.

        Raises:
            TileSetError: the file is damaged.
        """
        if not self.is_covered:
            return [shapely.box(*(UNITS * edge for edge in self.frame.window))]
        shapes = [shape for rows in self.rows(COVERAGE_LAYER) for shape in self.in_degrees(rows.shapes)]
        return [shapely.transform(shape, self.frame.to_units) for shape in shapes]

    @property
    def frame(self) -> MapFrame:
        """Where the features lie."""
        return MapFrame(self.tileset.maxzoom, self.tileset.window)

    @property
    def style(self) -> Style:
        """The style "maps" in the colours of the map's legend."""
        return self.tileset.palette_style

    def near(self, window: PixelWindow, margin: int = 0, *, where: Mapping[str, str] | None = None) -> list[Feature]:
        """Features that touch a window of pixels at the map's zoom, or come within `margin` pixels.

        Args:
            where: layers to read, each with a condition on its columns in SQL, "" for none; None reads all but the
                coverage.

        Raises:
            TileSetError: the file is damaged.
        """
        bounds = self.frame.bounds_of(window.grow(margin))
        if self.crs != DEGREES:
            bounds = _moved_box(bounds, self.crs)
        found: list[Feature] = []
        for name, layer in self.stored_layers.items():
            if name in (self.layers if where is None else where):
                condition = (where or {}).get(name) or None
                found += self._features(self._rows(layer, bbox=bounds, where=condition), layer)
        return found

    def features(self) -> Iterator[Feature]:
        """All features, layer by layer in the order of the file; holds some thousands of them.

        Raises:
            TileSetError: the file is damaged.
        """
        for layer in self.layers.values():
            for rows in self.rows(layer):
                yield from self._features(rows, layer)

    def rows(self, layer: FeatureLayer) -> Iterator[Rows]:
        """All rows of a layer, some thousands at once, in the file's CRS.

        Raises:
            TileSetError: the file is damaged.
        """
        first = 0
        while len((rows := self._rows(layer, skip_features=first, max_features=_AT_ONCE)).shapes):
            yield rows
            first += _AT_ONCE

    def _rows(self, layer: FeatureLayer, **choice: Any) -> Rows:
        from pyogrio.errors import DataSourceError, FeatureError

        try:
            facts, _, shapes, values = vector_gdal().raw.read(
                self.path, layer=layer.name, columns=list(layer.columns), **choice
            )
        except (DataSourceError, FeatureError, RuntimeError) as error:
            cause = " ".join(str(error).split())[:200]
            raise TileSetError(f"{self.path}: layer {layer.name} is damaged ({cause}); create it again") from error
        columns = dict(zip(facts["fields"], values, strict=True))
        if missing := [name for name in layer.columns if name not in columns]:
            raise TileSetError(
                f"{self.path}: layer {layer.name} lacks the column {missing[0]}; give the file as geo2map wrote it"
            )
        chosen = [columns[name] for name in layer.columns]
        return Rows(shapely.from_wkb(shapes), chosen, [_known(column) for column in chosen])

    def in_degrees(self, shapes: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Geometries of the file in longitude and latitude; beyond 180 where the map goes on across the antimeridian.

        Raises:
            TileSetError: they have no place there.
        """
        if self.crs == DEGREES:
            return shapes
        placed: npt.NDArray[Any] = shapely.transform(moved(shapes, self.crs, DEGREES), self.frame.unwrapped)
        return placed

    def _features(self, rows: Rows, layer: FeatureLayer) -> list[Feature]:
        return from_rows(rows._replace(shapes=self.in_degrees(rows.shapes)), layer, self.frame)


def moved(shapes: npt.NDArray[Any], crs: str, to: str) -> npt.NDArray[Any]:
    """Geometries in another CRS.

    Raises:
        TileSetError: they have no place there.
    """
    points = shapely.get_coordinates(shapes)
    if not len(points):
        return shapes
    try:
        x, y = transform(CRS.from_user_input(crs), CRS.from_user_input(to), points[:, 0], points[:, 1])
    except GDAL_ERRORS as error:
        raise TileSetError(f"{to}: does not reach the map ({error}); choose another CRS") from error
    fresh = np.column_stack((x, y))
    if not np.isfinite(fresh).all():
        raise TileSetError(f"{to}: does not reach all of the map; choose another CRS")
    return np.asarray(shapely.set_coordinates(shapes.copy(), fresh), object)


def _moved_box(bounds: tuple[float, float, float, float], crs: str) -> tuple[float, float, float, float]:
    """Bounds in a CRS that hold a box in degrees: those of points along its edges."""
    west, south, east, north = bounds
    steps = np.linspace(0, 1, 33)
    ring = [(west + (east - west) * t, y) for t in steps for y in (south, north)]
    ring += [(x, south + (north - south) * t) for t in steps for x in (west, east)]
    box = shapely.total_bounds(moved(np.array([shapely.MultiPoint(ring)], object), DEGREES, crs))
    return tuple(box.tolist())


def _known(column: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    if column.dtype.kind == "f":
        return ~np.isnan(column)
    if column.dtype.kind == "O":
        return np.array([value is not None for value in column], bool)
    return np.ones(len(column), bool)


def _tileset(path: Path, document: str) -> TileSet:
    try:
        return TileSet.parse(json.loads(document), path)
    except ValueError as error:
        raise TileSetError(f"{path}: its metadata are damaged ({error}); create it again") from error
