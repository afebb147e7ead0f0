"""A one-line hint on viewing a finished output."""

from __future__ import annotations

import os
import shlex
from contextlib import suppress
from pathlib import Path

from geo2map.errors import Geo2MapError
from geo2map.formats.documents.sidecars import PAGE, layer_name
from geo2map.formats.geotiff.write import GEOTIFF_SUFFIXES
from geo2map.formats.vectors.read import VECTOR_SUFFIXES
from geo2map.tiles.tilejson import TileSet


def way_to_open(out: str | Path) -> str:
    """The path of an output and how to view it: QGIS, a browser, or `geo2map view`."""
    path = Path(out)
    in_qgis_only = {*GEOTIFF_SUFFIXES, *VECTOR_SUFFIXES} - {".gpkg"}
    if path.suffix.lower() in in_qgis_only and path.is_file():
        return f"{path}: drag it into QGIS"
    if path.is_file() and path.suffix.lower() != ".pmtiles":  # which QGIS reads as vector tiles alone, since 3.32
        return f"{path}: drag it into QGIS, or view it with: geo2map view {_quoted(path)}"
    with suppress(Geo2MapError):
        if (tileset := TileSet.load(path)) is not None:
            layer, page = path / layer_name(tileset), path / PAGE
            if tileset.format == "mvt" and layer.is_file():  # a page on a disk cannot read vector tiles
                return f"{path}: drag {layer} into QGIS, or view it with: geo2map view {_quoted(path)}"
            if layer.is_file() and page.is_file():
                return f"{path}: drag {layer} into QGIS, or open {page} in a browser"
    return f"{path}: view it with: geo2map view {_quoted(path)}"


def _quoted(path: Path) -> str:
    """A path quoted for the shell."""
    if os.name != "nt":
        return shlex.quote(str(path))
    return f'"{path}"' if set(str(path)) & set(" &()^;,=%!'") else str(path)
