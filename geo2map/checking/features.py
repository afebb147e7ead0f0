"""Checks a vector file: its bytes against its record, its rows, areas and the graph of its roads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from geo2map.checking.findings import CheckReport, Problem
from geo2map.checking.tiles import add_pending_blocks
from geo2map.errors import Geo2MapError, OtherVersionError, TileSetError
from geo2map.features import UNITS, FeatureLayer, geometries_of
from geo2map.files.vector_gdal import vector_gdal
from geo2map.formats.vectors.read import FeatureFile
from geo2map.formats.vectors.table import Rows
from geo2map.grid import TILE_SIZE, PixelWindow
from geo2map.ledger.content import content_digest
from geo2map.ledger.finished_record import load_record
from geo2map.plan import Job
from geo2map.tiles.layer import MAP
from geo2map.types import Tile

_SQUARE = 8 * TILE_SIZE
"""Pixels along a side of a square whose features are compared with each other."""
_NODED = "FF*F*****"
"""What two lines of a graph have in common, if anything: ends of both."""


def check_vector_file(path: Path) -> CheckReport:
    """Check a vector file; of other kinds than a GeoPackage, that the bytes are those that were written.

    Raises:
        TileSetError: not a GeoPackage written by geo2map, or another vector file without a record.
    """
    report = CheckReport(path.name)
    is_sealed = _check_seal(path, report)
    if path.suffix.lower() == ".gpkg":
        FeaturesCheck(FeatureFile.open(path), report).run()
    elif not is_sealed:
        raise TileSetError(f"{path}: has no record of what was written; give the GeoPackage that it was made from")
    elif report.ok:
        with suppress(ImportError):  # pyarrow, which only GeoParquet needs
            report.features["features"] = _count(path)
    return report


def _count(path: Path) -> int:
    """The number of features in a file of one layer whose bytes are right."""
    if path.suffix.lower() != ".parquet":
        return int(vector_gdal().read_info(path, force_feature_count=True)["features"])
    from pyarrow.parquet import read_metadata

    return int(read_metadata(path).num_rows)


def _check_seal(path: Path, report: CheckReport) -> bool:
    """Compare a file's bytes with its record; whether there is one."""
    try:
        record = load_record(path.resolve())
    except OtherVersionError:
        return False
    except Geo2MapError as error:
        report.problems.append(Problem("metadata", "journal", str(error)))
        return True
    if record is None:
        return False
    with closing(record):
        if isinstance(record.recipe, Job):
            add_pending_blocks(record, report)
        if (seal := record.seal(MAP)) is not None and seal.content != content_digest(path.resolve()):
            report.problems.append(Problem("changed", path.name, "its bytes are not those that were written"))
    return True


class FeaturesCheck:
    """Checks the layers of a GeoPackage; holds some thousands of features at once."""

    def __init__(self, features: FeatureFile, report: CheckReport) -> None:
        self._features, self._report = features, report

    def run(self) -> None:
        """Check everything."""
        expected = self._features.tileset.feature_layers
        for name in expected:
            if name not in self._features.layers:
                self._report.problems.append(Problem("missing", name, "a layer of the map is not in the file"))
        for name, layer in self._features.stored_layers.items():
            try:
                self._report.features[name] = sum(self._check_rows(layer, rows) for rows in self._features.rows(layer))
                for window in _squares(self._features.frame.window):
                    self._check_together(layer, window)
            except TileSetError as error:
                self._report.problems.append(Problem("broken", name, str(error)))

    def _check_rows(self, layer: FeatureLayer, rows: Rows) -> int:
        """Each row by itself; gives their number."""
        columns = dict(zip(layer.columns, zip(rows.columns, rows.known, strict=True), strict=True))
        faults = {
            "its geometry is missing or empty": shapely.is_missing(rows.shapes) | shapely.is_empty(rows.shapes),
            f"its geometry is not a {layer.geometry_type.lower()}": _kinds(rows.shapes) != layer.geometry_type,
            "its geometry is not valid": ~shapely.is_valid(rows.shapes),
            f"its class is none of {', '.join(layer.classes)}": ~np.isin(columns["class"][0], layer.classes),
        }
        for name in ("length", "width", "area"):
            if name in columns:
                values, known = columns[name]
                faults[f"its {name} is not above 0"] = ~(known & (np.nan_to_num(values) > 0))
        values, known = columns["confidence"]
        faults["its confidence is not within 0 to 100"] = known & ~((values >= 0) & (values <= 100))
        if layer.is_line:
            faults["it crosses itself"] = ~shapely.is_simple(rows.shapes)
        unseen = np.ones(len(rows.shapes), bool)
        for fault, wrong in faults.items():
            for index in np.flatnonzero(wrong & unseen).tolist():
                self._add(layer, self._in_units(rows.shapes[index]), "invalid", fault)
            unseen &= ~wrong
        return len(rows.shapes)

    def _in_units(self, shape: shapely.Geometry | None) -> shapely.Geometry:
        """A geometry of the file where features are compared; empty without one."""
        if shape is None or shape.is_empty:
            return shapely.Point()
        found = np.empty(1, object)
        found[0] = shape
        return shapely.transform(self._features.in_degrees(found)[0], self._features.frame.to_units)

    def _check_together(self, layer: FeatureLayer, window: PixelWindow) -> None:
        """Compare features of one layer with each other, each pair in one square only."""
        near = self._features.near(window, 1, where={layer.name: ""})
        shapes = geometries_of(near)
        first, second = _pairs(shapes, window)
        if layer.is_line:
            for one, other in zip(first.tolist(), second.tolist(), strict=True):
                if not _is_noded(shapes[one], shapes[other]):
                    where = shapely.intersection(shapes[one], shapes[other])
                    self._add(layer, where, "crossing", "two lines meet where one of them has no end")
            return
        kinds = np.array([each.kind for each in near], object)
        over = (kinds[first] == kinds[second]) & ~shapely.touches(shapes[first], shapes[second])
        for one, other in zip(first[over].tolist(), second[over].tolist(), strict=True):
            where = shapely.intersection(shapes[one], shapes[other])
            self._add(layer, where, "overlap", f"two areas of the class {near[one].kind} share a part")

    def _add(self, layer: FeatureLayer, where: shapely.Geometry, kind: Any, detail: str) -> None:
        """Report a problem at the first point of a geometry in units."""
        points = shapely.get_coordinates(where)
        if not len(points):
            self._report.problems.append(Problem(kind, layer.name, detail))
            return
        frame = self._features.frame
        longitude, latitude = frame.to_degrees(points[:1])[0]
        column, row = (int(value) // (TILE_SIZE * UNITS) for value in points[0])
        tile = Tile(column % 2**frame.zoom, row, frame.zoom)
        self._report.problems.append(Problem(kind, f"{layer.name} at {longitude:.6f},{latitude:.6f}", detail, tile))


def _squares(window: PixelWindow) -> Iterator[PixelWindow]:
    """Squares that cover a window, beginning at whole multiples of their side."""
    for top in range(window.top // _SQUARE * _SQUARE, window.bottom, _SQUARE):
        for left in range(window.left // _SQUARE * _SQUARE, window.right, _SQUARE):
            yield PixelWindow(left, top, left + _SQUARE, top + _SQUARE)


def _pairs(shapes: npt.NDArray[Any], window: PixelWindow) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Pairs of geometries in units that have a point in common, whose common bounds begin in a window of pixels."""
    first, second = shapely.STRtree(shapes).query(shapes, "intersects")
    first, second = first[once := first < second], second[once]
    boxes = shapely.bounds(shapes)
    corners = np.maximum(boxes[first, :2], boxes[second, :2]) / UNITS
    own = (corners >= window[:2]).all(axis=1) & (corners < window[2:]).all(axis=1)
    return first[own], second[own]


def _is_noded(one: shapely.LineString, other: shapely.LineString) -> bool:
    """Whether lines that touch do so only at ends of both; ends are shared coordinates, and exact."""
    if shapely.relate_pattern(one, other, _NODED):
        return True
    shared = {tuple(point) for point in shapely.get_coordinates(shapely.intersection(one, other)).tolist()}
    return shared <= _ends(one) & _ends(other)  # a loop's ends are no boundary of it


def _ends(line: shapely.LineString) -> set[tuple[float, ...]]:
    points = shapely.get_coordinates(line)
    return {tuple(point) for point in points[[0, -1]].tolist()}


def _kinds(shapes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Names of geometry types, as GDAL spells them."""
    return np.array(["" if shape is None else shape.geom_type for shape in shapes], object)
