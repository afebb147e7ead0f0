"""Areas of interest from whatever users have: vector files, GeoJSON, shapely geometries."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import shapely
from rasterio.crs import CRS
from rasterio.errors import CRSError

from geo2map.aoi.area import Aoi, Geometries
from geo2map.aoi.shape import bounds_aoi, polygons_aoi, polygons_of
from geo2map.errors import AoiError
from geo2map.files.address import is_file_path, is_there, plain_path
from geo2map.files.encoding import decode_text
from geo2map.files.vector_gdal import vector_gdal
from geo2map.files.vsi import LINE, read_text
from geo2map.grid.mercator import web_mercator

AoiLike: TypeAlias = Aoi | shapely.Geometry | Mapping[str, Any] | tuple[float, float, float, float] | str | Path
"""An area, a shapely geometry in degrees (longitude first), GeoJSON as a dict, (west, south, east, north) in degrees,
or a vector file."""

JSON = frozenset({".json", ".geojson"})
ELSEWHERE = (b"<ogrvrtdatasource", b"<ogrwfsdatasource", b"<ogcapi", b"<wfs_capabilities", b"<wfs:wfs_capabilities")
"""First bytes of documents that make GDAL open the files they name."""


def make_aoi(source: AoiLike) -> Aoi:
    """Reads an area of interest in any of these forms.

    Raises:
        AoiError: as `load_aoi`, `bounds_aoi` and `polygons_aoi` do.
    """
    if isinstance(source, Aoi):
        return source
    if isinstance(source, tuple):
        return bounds_aoi(*source)
    if isinstance(source, shapely.Geometry):
        return _first_polygons([(np.array([source]), "EPSG:4326")], "a geometry")
    if isinstance(source, Mapping):
        return _first_polygons(_layers(json.dumps(source).encode(), "a GeoJSON object"), "a GeoJSON object")
    return load_aoi(source)


def load_aoi(path: str | Path) -> Aoi:
    """Reads the polygons of a vector file: of the first layer that has some.

    Args:
        path: GeoJSON (degrees, unless it has a "crs" member), GeoPackage, Shapefile, KML, FlatGeobuf: what GDAL reads.

    Raises:
        AoiError: no such file, not a vector file, no polygon, no CRS, or outside web-mercator.
    """
    web_mercator()  # first: without PROJ, GDAL silently finds no CRS
    name, path = str(path), plain_path(path)
    if is_file_path(path) and not is_there(path):
        raise AoiError(f"area of interest not found: {path}; check the path", option="aoi")
    if _leads_elsewhere(path):
        raise AoiError(
            f"area of interest {name} refers to other files or servers; give a file with polygons", option="aoi"
        )
    return _first_polygons(_layers(_in_utf8(path), name), name)


def _leads_elsewhere(path: str) -> bool:
    """Whether it is a document that makes GDAL open other files, whatever its name, also alone in an archive."""
    from pyogrio.util import vsi_path  # as pyogrio resolves a path

    head = read_text(str(vsi_path(path)), LINE) or b""
    return any(document in head.lower() for document in ELSEWHERE)


def _in_utf8(path: str) -> str | bytes:
    """The path, or the text of a GeoJSON file that GDAL could not read: PowerShell and others write UTF-16."""
    if not is_file_path(path) or Path(path).suffix.lower() not in JSON:
        return path
    try:
        with Path(path).open("rb") as file:
            head = file.read(2)
            return path if head[:1] in (b"{", b"[") and head[1:] != b"\0" else decode_text(head + file.read()).encode()
    except (OSError, UnicodeDecodeError):  # GDAL says what is wrong
        return path


def _first_polygons(layers: Iterable[tuple[Geometries, str | None]], name: str) -> Aoi:
    """The area of the first layer with a polygon."""
    kinds: set[str] = set()
    for geometries, crs in layers:
        if (polygons := polygons_of(geometries)).size:
            return polygons_aoi(polygons, _crs(crs, name), name)
        kinds |= {geometry.geom_type for geometry in geometries if not geometry.is_empty}
    raise AoiError(
        f"{name} is not an area: it holds {' and '.join(sorted(kinds)) or 'no geometry'}; give a file with a polygon",
        option="aoi",
    )


def _layers(source: str | Path | bytes, name: str) -> Iterator[tuple[Geometries, str | None]]:
    """Geometries and CRS of the layers of a file, one by one."""
    pyogrio = vector_gdal()

    with _gdal_errors(name):
        kinds = pyogrio.list_layers(source)[:, 1]
    for layer, kind in enumerate(kinds):
        if kind is not None:
            with _gdal_errors(name):
                meta, _, wkb, _ = pyogrio.raw.read(source, layer=layer, columns=[], force_2d=True)
                geometries = shapely.from_wkb(wkb)
            yield geometries[~shapely.is_missing(geometries)], meta["crs"]


@contextmanager
def _gdal_errors(name: str) -> Iterator[None]:
    """Turns errors of GDAL and GEOS about a vector file into one sentence; their warnings are suppressed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (RuntimeError, ValueError, shapely.GEOSException) as error:
        said = re.sub(r"^'?\S+'?:? (?=not recog)", "", str(error)).split(";")[0].rstrip(".")
        raise AoiError(
            f"cannot read the area of interest {name}: {said}; give a vector file, e.g. GeoJSON", option="aoi"
        ) from error


def _crs(text: str | None, name: str) -> CRS:
    if not text:
        raise AoiError(f"area of interest {name} has no CRS; add one")
    try:
        return CRS.from_user_input(text)
    except CRSError as error:
        found = " ".join(text.split())[:60]
        raise AoiError(f"area of interest {name} has an unknown CRS ({found}); assign a valid one") from error
