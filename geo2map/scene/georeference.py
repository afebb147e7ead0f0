"""The georeference of a raster: a geotransform, or a polynomial through ground control points."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import WktVersion
from rasterio.errors import CRSError
from rasterio.io import DatasetReader
from rasterio.transform import GCPTransformer
from rasterio.warp import transform

from geo2map.errors import GeoreferenceError
from geo2map.files.rasterio_internals import GDAL_APPLICATION_ERROR
from geo2map.grid.apart import largest_distance, probe_points
from geo2map.scene.gdal import wrap_gdal
from geo2map.scene.statements import PlaceStatement, choose_statement, fault_of_points, find_statements

WGS84 = "EPSG:4326"
USE_EARTH = "set crs to a terrestrial CRS"
_TOLERANCE = 1e-6
"""Degrees of tolerance at a pole: a decimetre of rounding."""
AGREED = 2.0
"""Pixels by which two georeferences may differ without a note."""
CELLS = 16
"""Cells across and down that are checked for folds."""
MOST_DEGREES = 0.01
"""Pixel size from which on coordinates do not count as degrees."""
FOLDED = 0.25
"""Share of a raster that control points may fold over before they are refused."""
ROTATED_POLE = re.compile(r'METHOD\["(?:PROJ ob_tran|Pole rotation)|\+proj=ob_tran')
"""In WKT2, also where it is a remark on what WKT cannot spell."""

Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Georeference:
    """The transformation from pixels to coordinates.

    Attributes:
        crs: of the geotransform or of the ground control points.
        transform: from (column, row) of pixel corners to the CRS; None where there are only control points.
        gcps: ground control points; GDAL puts a polynomial through them, of second order from six points on
            (`gdalwarp`'s default). Empty where there is a geotransform.
        width, height: of the raster.
        name: of the file, for errors.
        notes: for the user.
    """

    crs: CRS
    transform: Affine | None
    gcps: tuple[GroundControlPoint, ...]
    width: int
    height: int
    name: str
    notes: tuple[str, ...] = ()

    def lnglat(self, columns: Points, rows: Points) -> Points:
        """Degrees (longitudes, latitudes) of points in pixel coordinates, (2, points); not finite off the Earth.

        Raises:
            GeoreferenceError: PROJ knows no transformation from the CRS to WGS 84.
        """
        known = self.crs.to_string()[:60]
        with wrap_gdal(
            f"no transformation from {self.name}'s CRS {known} to web-mercator", GeoreferenceError, USE_EARTH
        ):
            if self.transform is None:
                xs, ys = GCPTransformer(self.gcps).xy(rows, columns, offset="ul")
            else:
                xs, ys = _apply(self.transform, columns, rows)
            longitudes, latitudes = _to_wgs84(self.crs, xs, ys)
        beyond = (np.abs(latitudes) > 90 + _TOLERANCE) | (np.abs(longitudes) > 720)
        return np.where(beyond, np.nan, (longitudes, np.clip(latitudes, -90, 90)))

    def decimated(self, width: int, height: int) -> Georeference:
        """The same georeference with fewer pixels: that of an overview."""
        x, y = self.width / width, self.height / height
        matrix = None if self.transform is None else self.transform @ Affine.scale(x, y)
        gcps = tuple(GroundControlPoint(p.row / y, p.col / x, p.x, p.y, p.z) for p in self.gcps)
        return replace(self, transform=matrix, gcps=gcps, width=width, height=height)

    @property
    def centre_longitude(self) -> float | None:
        """Degrees of the middle of a raster whose longitudes leave -180 to 180, None for any other.

        Without it, PROJ's -170 would not be found in a raster that counts 190.
        """
        if self.transform is None or not self.crs.is_geographic:
            return None
        columns, rows = np.array([0, self.width] * 2), np.array([0, 0, self.height, self.height])
        longitudes, _ = _apply(self.transform, columns, rows)
        if longitudes.min() >= -180 - 1e-9 and longitudes.max() <= 180 + 1e-9:
            return None
        return float(longitudes.min() + longitudes.max()) / 2


def find_georeference(dataset: DatasetReader, name: str, crs: str | None = None) -> Georeference:
    """Reads the georeference of a file.

    Of several statements, GDAL's first is used if a CRS belongs to it; a note names others that differ.

    Args:
        crs: overrides the file's.

    Raises:
        GeoreferenceError: no CRS, no geotransform and no usable control points, only a camera model
            (RPCs), or a CRS that cannot be used in several threads.
    """
    size = dataset.width, dataset.height
    faults = []
    statements = []
    for statement in find_statements(dataset):
        if statement.gcps and (fault := fault_of_points(statement.gcps)) is not None:
            faults.append(f"{name} has {fault}, which are unusable")
        else:
            statements.append(statement)
    chosen = choose_statement(statements)
    if chosen is None:
        raise _placeless(dataset, name, faults, known=bool(crs or any(statement.crs for statement in statements)))
    if (known := _parse_crs(crs, name) if crs else chosen.crs) is None:
        raise GeoreferenceError(
            "; ".join([*faults, f"{name} has no coordinate reference system"])
            + "; set crs to the right one, e.g. EPSG:32618",
            option="crs",
        )
    if is_rotated_pole(known):
        raise GeoreferenceError(
            f"{name}: its CRS is a rotated pole, which PROJ cannot transform thread-safely; "
            "warp it first, e.g. gdalwarp -t_srs EPSG:3857"
        )
    place = Georeference(known, chosen.transform, chosen.gcps, *size, name)
    others = [
        (str(other), Georeference(other.crs or known, other.transform, other.gcps, *size, name))
        for other in statements
        if other.places
        and not is_rotated_pole(other.crs or known)
        and (other.transform, other.gcps) != (chosen.transform, chosen.gcps)
    ]
    notes = [f"warning: {fault}: not used" for fault in faults]
    notes += [note for other, elsewhere in others for note in _disagreement(place, str(chosen), elsewhere, other)]
    notes += () if crs else _other_crs(place, statements)
    return replace(place, notes=(*notes, *_degrees_for_metres(place), *_folds(place)))


def is_rotated_pole(crs: CRS) -> bool:
    """Whether a CRS turns the globe (PROJ's ob_tran): several threads that transform by it corrupt PROJ's memory."""
    return ROTATED_POLE.search(crs.to_wkt(version=WktVersion.WKT2_2019)) is not None


def _placeless(dataset: DatasetReader, name: str, faults: list[str], *, known: bool) -> GeoreferenceError:
    if faults:
        return GeoreferenceError(f"{'; '.join(faults)}; georeference it again")
    if dataset.rpcs is not None:
        return GeoreferenceError(
            f"{name} is georeferenced by a camera model only (RPCs); orthorectify it first, e.g. with gdalwarp -rpc"
        )
    if known:
        return GeoreferenceError(f"{name} has a CRS but no usable geotransform; georeference it first")
    return GeoreferenceError(
        f"{name} has no coordinate reference system; set crs to the right one, e.g. EPSG:32618",
        option="crs",
    )


def _disagreement(place: Georeference, used: str, other: Georeference, passed_over: str) -> Iterator[str]:
    """A note if another georeference differs by more than `AGREED` pixels."""
    columns, rows = probe_points(place.width, place.height)
    here = place.lnglat(columns, rows)
    try:
        metres, pixels = largest_distance(here, other.lnglat(columns, rows), place.width, place.height)
    except GeoreferenceError:
        metres = pixels = math.inf
    if pixels > AGREED:
        where = "nowhere on Earth" if math.isinf(metres) else f"{_distance(metres)} away"
        yield f"warning: {place.name} is georeferenced by {used}, not by {passed_over}, which would put it {where}"


def _other_crs(place: Georeference, statements: Sequence[PlaceStatement]) -> Iterator[str]:
    """A note if the coordinates of a raster come with a CRS other than its sidecar's."""
    lone = next((statement for statement in statements if not statement.places and statement.crs == place.crs), None)
    for statement in statements if lone is not None else ():
        same = (statement.transform, statement.gcps) == (place.transform, place.gcps)
        if lone is not None and same and statement.crs is not None and statement.crs != place.crs:
            used = f"the CRS of {lone.source} ({place.crs.to_string()[:60]})"
            passed_over = f"that of {statement.source} ({statement.crs.to_string()[:60]})"
            yield from _disagreement(place, used, replace(place, crs=statement.crs), passed_over)


def _degrees_for_metres(place: Georeference) -> Iterator[str]:
    """A note on coordinates in a projected CRS that are all as small as degrees."""
    if place.transform is None or not place.crs.is_projected:
        return
    columns, rows = np.array([0, 1, 0, 1]) * place.width, np.array([0, 0, 1, 1]) * place.height
    x, y = _apply(place.transform, columns, rows)
    pixel = math.sqrt(abs(place.transform.determinant))
    if np.abs(x).max() <= 360 and np.abs(y).max() <= 90 and pixel < MOST_DEGREES:
        yield (
            f"warning: the coordinates of {place.name} look like degrees, but its CRS counts metres; "
            "set crs to EPSG:4326 if so"
        )


def _distance(metres: float) -> str:
    return f"{metres / 1000:,.0f} km" if metres >= 10_000 else f"{float(f'{metres:.3g}'):,g} m"


def _folds(place: Georeference) -> Iterator[str]:
    """A note if the polynomial through control points folds over within the raster.

    Raises:
        GeoreferenceError: it does so in much of the raster, or there is none.
    """
    if not place.gcps:
        return
    columns, rows = np.meshgrid(np.linspace(0, place.width, CELLS + 1), np.linspace(0, place.height, CELLS + 1))
    with wrap_gdal(f"the control points of {place.name} are unusable", GeoreferenceError, "georeference it again"):
        x, y = GCPTransformer(place.gcps).xy(rows.ravel(), columns.ravel(), offset="ul")
    corners = np.array([x, y]).reshape(2, CELLS + 1, CELLS + 1)
    right, down = np.diff(corners, axis=2)[:, :-1], np.diff(corners, axis=1)[:, :, :-1]
    turned = right[0] * down[1] - right[1] * down[0] > 0
    share = min(turned.mean(), 1 - turned.mean())
    if share > FOLDED:
        raise GeoreferenceError(
            f"the control points of {place.name} are unusable: {share:.0%} of the image would be folded over; "
            "check them, or georeference it again"
        )
    if share > 0:
        yield f"warning: the control points fold {share:.1%} of the image over, far from them; check them"


def _to_wgs84(crs: CRS, xs: Points, ys: Points) -> Points:
    """Longitudes and latitudes, (2, points). PROJ refuses all points if one is off the Earth; so they are halved."""
    try:
        return np.array(transform(crs, WGS84, xs, ys))
    except GDAL_APPLICATION_ERROR:
        if len(xs) == 1:
            return np.full((2, 1), np.nan)
        half = len(xs) // 2
        return np.concatenate((_to_wgs84(crs, xs[:half], ys[:half]), _to_wgs84(crs, xs[half:], ys[half:])), axis=1)


def _apply(matrix: Affine, columns: Points, rows: Points) -> tuple[Points, Points]:
    return matrix.a * columns + matrix.b * rows + matrix.c, matrix.d * columns + matrix.e * rows + matrix.f


def _parse_crs(text: str, name: str) -> CRS:
    try:
        return CRS.from_user_input(text)
    except (CRSError, ValueError) as error:  # EPSG:nonsense is a ValueError
        raise GeoreferenceError(
            f"unknown CRS {text!r} for {name}; give one that PROJ knows, e.g. EPSG:32618", option="crs"
        ) from error
