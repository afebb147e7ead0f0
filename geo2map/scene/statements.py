"""The georeferences that a file and its sidecars state, each with the CRS that belongs to it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.io import DatasetReader

from geo2map.files.address import is_file_path
from geo2map.files.listing import names_in
from geo2map.scene.gdal import open_raster

SOURCES = {
    "PAM": "its .aux.xml",
    "INTERNAL": "its GeoTIFF tags",
    "TABFILE": "its .tab file",
    "WORLDFILE": "its world file",
}
"""GDAL's sources of a GeoTIFF's georeference, in order of precedence, and their names for users."""
_SIDECARS = {"PAM": (".aux.xml",), "TABFILE": (".tab",), "WORLDFILE": (".wld", ".tfw", ".tifw", ".tiffw")}
"""What the file of a source ends in, in place of the raster's suffix; an .aux.xml follows it."""
_FLAT = 1e-6
"""Ratio of the extents of control points, across and along their longest line, from which on they are one line."""


@dataclass(frozen=True)
class PlaceStatement:
    """One georeference, or a CRS alone.

    Attributes:
        source: e.g. "its world file"; "" if unknown.
        crs: that of this statement; None where it has none.
        transform: from (column, row) of pixel corners to the CRS; None where there is none.
        gcps: ground control points; empty where there is a geotransform.
    """

    source: str
    crs: CRS | None
    transform: Affine | None = None
    gcps: tuple[GroundControlPoint, ...] = ()

    @property
    def places(self) -> bool:
        """Whether it is more than a CRS."""
        return self.transform is not None or bool(self.gcps)

    def __str__(self) -> str:
        kind = "the control points" if self.transform is None else "the geotransform"
        return f"{kind} of {self.source}" if self.source else kind.replace("the", "its", 1)


def find_statements(dataset: DatasetReader) -> list[PlaceStatement]:
    """All statements, in GDAL's order of precedence.

    GDAL merges what several files say, so that numbers of one may come with the CRS of another; it keeps them apart
    for GeoTIFFs only.
    """
    beside = _sources_beside(dataset) if dataset.driver == "GTiff" else frozenset()
    if not beside:
        return [*_of(dataset, ""), *_of_pam(dataset)]
    found: list[PlaceStatement] = []
    for option, source in SOURCES.items():
        if option == "INTERNAL" or option in beside:
            with open_raster(dataset.name, GEOREF_SOURCES=option) as alone:
                found += _of(alone, source)
    return found


def choose_statement(statements: Sequence[PlaceStatement]) -> PlaceStatement | None:
    """The first with a geotransform or points and a CRS, else the first with a geotransform or points.

    A CRS that stands alone belongs to what follows it, even if that has one: so a sidecar mends a wrong one. A
    geotransform without a CRS is in that of another geotransform, but never in that of control points.
    """
    lone: CRS | None = None
    for statement in statements:
        lone = lone or (None if statement.places else statement.crs)
        crs = lone or statement.crs or _lent(statement, statements)
        if statement.places and crs is not None:
            return replace(statement, crs=crs)
    return next((statement for statement in statements if statement.places), None)


def _lent(statement: PlaceStatement, statements: Sequence[PlaceStatement]) -> CRS | None:
    lenders = (other for other in statements if not other.gcps and (other.transform is None or not statement.gcps))
    return next((other.crs for other in lenders if other.crs is not None), None)


def fault_of_points(gcps: Sequence[GroundControlPoint]) -> str | None:
    """Why control points are unusable; None if they are usable."""
    if len(gcps) < 3:
        return f"only {len(gcps)} of at least 3 control points"
    for where, points in (
        ("in the picture", [(point.col, point.row) for point in gcps]),
        ("on the map", [(point.x, point.y) for point in gcps]),
    ):
        spread = np.array(points, dtype=float) - np.mean(points, axis=0)
        if not np.isfinite(spread).all():
            return "control points that are not finite numbers"
        across, along = np.sort(np.linalg.svd(spread, compute_uv=False))
        if along == 0:
            return f"control points that are all the same {where}"
        if across < _FLAT * along:
            return f"control points on one line {where}"
    return None


def _of(dataset: DatasetReader, source: str) -> Iterator[PlaceStatement]:
    gcps, gcp_crs = dataset.gcps
    if is_usable(dataset.transform):
        yield PlaceStatement(source, dataset.crs, dataset.transform)
    elif dataset.crs is not None:
        yield PlaceStatement(source, dataset.crs)
    if gcps:
        yield PlaceStatement(source, gcp_crs, None, tuple(gcps))


def _of_pam(dataset: DatasetReader) -> Iterator[PlaceStatement]:
    """A geotransform in an .aux.xml that GDAL passes over where there is a world file."""
    for path in dataset.files:
        if not path.endswith(".aux.xml") or not is_file_path(path):
            continue
        with suppress(OSError, ET.ParseError, ValueError, TypeError):
            numbers = [float(number) for number in (ET.parse(path).findtext("GeoTransform") or "").split(",")]
            if is_usable(matrix := Affine.from_gdal(*numbers)) and not matrix.almost_equals(dataset.transform):
                yield PlaceStatement(SOURCES["PAM"], dataset.crs, matrix)


def is_usable(matrix: Affine) -> bool:
    """Whether a geotransform is usable."""
    return matrix != Affine.identity() and math.isfinite(matrix.determinant) and matrix.determinant != 0


def _sources_beside(dataset: DatasetReader) -> frozenset[str]:
    """Those of `_SIDECARS` whose file is there; GDAL does not name a world file that it does not use."""
    if not is_file_path(dataset.name):
        return frozenset()
    path = Path(dataset.name)
    try:
        names = names_in(path.parent)
    except OSError:  # a folder whose files may be read, but not listed
        return frozenset(_SIDECARS)
    stems = {option: path.name if option == "PAM" else path.stem for option in _SIDECARS}
    return frozenset(
        option
        for option, suffixes in _SIDECARS.items()
        if any(f"{stems[option]}{suffix}".lower() in names for suffix in suffixes)
    )
