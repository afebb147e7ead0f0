"""The accuracy of PROJ's transformation from a CRS to WGS 84: otherwise a map could be metres off silently."""

from __future__ import annotations

import math
import os
import sqlite3
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.warp import transform

from geo2map.files.rasterio_internals import proj_data_folder

EXACT = 2.0
"""Metres, and pixels, that a transformation may be off without a note."""
UNCHANGED = 1e-9
"""Degrees below which a latitude counts as unchanged."""
WGS84_CODES = ("4326", "4978", "4979")
_OPERATIONS = f"""
SELECT DISTINCT o.auth_name, o.code, o.accuracy, e.west_lon, e.east_lon
FROM coordinate_operation_view o
JOIN geodetic_crs a ON a.auth_name = o.source_crs_auth_name AND a.code = o.source_crs_code
JOIN geodetic_crs b ON b.auth_name = o.target_crs_auth_name AND b.code = o.target_crs_code
JOIN usage u ON u.object_table_name = o.table_name AND u.object_auth_name = o.auth_name AND u.object_code = o.code
JOIN extent e ON e.auth_name = u.extent_auth_name AND e.code = u.extent_code
WHERE o.deprecated = 0 AND o.accuracy IS NOT NULL AND o.auth_name = 'EPSG'
AND :latitude BETWEEN e.south_lat AND e.north_lat
AND ((a.datum_auth_name = :authority AND a.datum_code = :datum AND b.auth_name = 'EPSG' AND b.code IN {WGS84_CODES})
  OR (b.datum_auth_name = :authority AND b.datum_code = :datum AND a.auth_name = 'EPSG' AND a.code IN {WGS84_CODES}))
"""
_GRIDS = """
SELECT g.grid_name, n.proj_grid_name, n.old_proj_grid_name FROM grid_transformation g
LEFT JOIN grid_alternatives n ON n.original_grid_name = g.grid_name
WHERE (g.auth_name = :authority AND g.code = :code) OR (g.auth_name, g.code) IN (
  SELECT step_auth_name, step_code FROM concatenated_operation_step
  WHERE operation_auth_name = :authority AND operation_code = :code)
"""


class Accuracy(NamedTuple):
    """Metres by which a position may be off.

    Attributes:
        used: with the available transformation; None if unknown.
        best: with the one that PROJ would use if all grids were installed; None if unknown.
    """

    used: float | None
    best: float | None


def datum_notes(crs: CRS, longitude: float, latitude: float, pixel: float) -> tuple[str, ...]:
    """A note if the transformation from a CRS to WGS 84 is unknown, or accurate only to some pixels.

    Datums on the ellipsoid of WGS 84 (ETRS89, NAD83, GDA2020 ...) agree with it to a metre or two, and a sphere is no
    datum: they cause no note, nor does a CRS with a transformation of its own (TOWGS84).

    Args:
        longitude, latitude: of the scene, in degrees.
        pixel: metres on the ground.
    """
    base = _base(crs)
    if base is None or not _on_another_ellipsoid(base):
        return ()
    name = _datum(base)["name"]
    accuracy = _accuracy(*_code(base), round(longitude, 1), round(latitude, 1))
    gridless = accuracy.best is not None and (accuracy.used is None or accuracy.best < accuracy.used)
    grid = "; set PROJ_NETWORK=ON for the grid that PROJ lacks" + (f" ({accuracy.best:g} m)" if gridless else "")
    if _is_unshifted(base, longitude, latitude):
        advice = grid if gridless else "; check its position, or transform the scene by parameters of the region first"
        return (
            f"warning: PROJ has no transformation from the datum {name} to WGS 84 here: the map may be some hundred "
            f"metres off{advice}",
        )
    if accuracy.used is None or accuracy.used <= EXACT * max(1.0, pixel):
        return ()
    return (
        f"warning: PROJ transforms the datum {name} to WGS 84 with an accuracy of {accuracy.used:g} m here: the map "
        f"may be that far off{grid if gridless else ''}",
    )


def _base(crs: CRS) -> dict[str, Any] | None:
    """PROJJSON of the base geodetic CRS; None if there is none, or it has its own transformation to WGS 84."""
    try:
        found: dict[str, Any] = crs.to_dict(projjson=True)
    except CRSError:
        return None
    if found.get("type") == "CompoundCRS":
        found = found["components"][0]
    while "base_crs" in found:
        found = found["base_crs"]
    return found if "ellipsoid" in _datum(found) else None


def _datum(base: dict[str, Any]) -> dict[str, Any]:
    return dict(base.get("datum") or base.get("datum_ensemble") or {})


def _code(base: dict[str, Any]) -> tuple[str, str]:
    """Authority and code of the CRS; empty if it has none."""
    told = base.get("id") or {}
    return str(told.get("authority", "")), str(told.get("code", ""))


def _on_another_ellipsoid(base: dict[str, Any]) -> bool:
    """Whether it is an ellipsoid, and not that of WGS 84 or GRS 80."""
    ellipsoid = _datum(base)["ellipsoid"]
    try:
        major = _metres(ellipsoid["semi_major_axis"])
        if "semi_minor_axis" in ellipsoid:
            minor = _metres(ellipsoid["semi_minor_axis"])
            inverse = major / (major - minor) if major != minor else math.inf
        else:
            inverse = float(ellipsoid["inverse_flattening"])
    except (KeyError, TypeError):  # a sphere has a radius
        return False
    return math.isfinite(inverse) and inverse > 0 and (abs(major - 6378137) > 1.5 or abs(inverse - 298.257) > 0.002)


def _metres(length: Any) -> float:
    if isinstance(length, dict):
        return float(length["value"]) * float(length["unit"]["conversion_factor"])
    return float(length)


def _is_unshifted(base: dict[str, Any], longitude: float, latitude: float) -> bool:
    """Whether PROJ uses latitudes on one ellipsoid as those on another: its "ballpark" transformation.

    Longitudes prove nothing: a proper transformation may leave them unchanged or count from another meridian.
    """
    try:
        crs = CRS.from_dict(base)
        there = transform("EPSG:4326", crs, [longitude], [latitude])[1][0]
        return abs(there * math.degrees(crs.units_factor[1]) - latitude) < UNCHANGED
    except Exception:  # not invertible: unknown
        return False


@lru_cache(maxsize=256)
def _accuracy(authority: str, code: str, longitude: float, latitude: float) -> Accuracy:
    """The accuracy of the transformations from a geodetic CRS to WGS 84 at a position, from PROJ's database."""
    for folder in _data_folders():
        if (folder / "proj.db").is_file():
            try:
                with closing(
                    sqlite3.connect(f"{(folder / 'proj.db').resolve().as_uri()}?mode=ro", uri=True)
                ) as database:
                    return _look_up(database, authority, code, longitude, latitude)
            except sqlite3.Error:  # of another version
                break
    return Accuracy(None, None)


def _look_up(database: sqlite3.Connection, authority: str, code: str, longitude: float, latitude: float) -> Accuracy:
    datum = database.execute(
        "SELECT datum_auth_name, datum_code FROM geodetic_crs WHERE auth_name = ? AND code = ?", (authority, code)
    ).fetchone()
    if datum is None:
        return Accuracy(None, None)
    asked = {"authority": datum[0], "datum": datum[1], "latitude": latitude}
    every: list[float] = []
    usable: list[float] = []
    for operation, number, accuracy, west, east in database.execute(_OPERATIONS, asked).fetchall():
        if (longitude - west) % 360 > (east - west) % 360:
            continue
        every.append(accuracy)
        grids = database.execute(_GRIDS, {"authority": operation, "code": number}).fetchall()
        if all(_is_installed(names) for names in grids):
            usable.append(accuracy)
    return Accuracy(min(usable, default=None), min(every, default=None))


def _is_installed(names: tuple[str | None, ...]) -> bool:
    """Whether a grid is installed under any of its names, or can be downloaded."""
    if os.environ.get("PROJ_NETWORK", "").upper() in ("ON", "YES", "TRUE"):
        return True
    return any((folder / name).is_file() for folder in _data_folders() for name in names if name)


def _data_folders() -> list[Path]:
    """The folders in which PROJ searches its database and grids."""
    named = [os.environ.get("PROJ_DATA", ""), os.environ.get("PROJ_LIB", ""), proj_data_folder()]
    return [Path(folder) for text in named for folder in text.split(os.pathsep) if folder]
