"""The pixel grid of a raster on another grid than the tiles'."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.warp import calculate_default_transform
from rasterio.warp import transform as move

from geo2map.errors import PlanError
from geo2map.files.rasterio_internals import GDAL_ERRORS
from geo2map.formats.vectors.frame import MapFrame
from geo2map.formats.vectors.read import DEGREES
from geo2map.grid import HALF_WORLD, PixelWindow, ground_resolution, mercator_resolution, window_bounds
from geo2map.grid.raster import RasterGrid
from geo2map.plan import Plan, Storage
from geo2map.scene import Imagery, ReadingOptions, open_imagery
from geo2map.scene.reader import Scene

_MAPS = ("GeographicCRS", "ProjectedCRS", "DerivedGeographicCRS", "DerivedProjectedCRS")
_NO_MAPS = {
    "VerticalCRS": "holds heights only",
    "DerivedVerticalCRS": "holds heights only",
    "GeodeticCRS": "is geocentric, in metres from the Earth's centre",
    "DerivedGeodeticCRS": "is geocentric, in metres from the Earth's centre",
    "EngineeringCRS": "is a local CRS without a place on Earth",
    "DerivedEngineeringCRS": "is a local CRS without a place on Earth",
    "TemporalCRS": "holds times only",
    "DerivedTemporalCRS": "holds times only",
}
"""Types of CRS in PROJJSON that have coordinates on a map, and what is wrong with others."""
_POINTS = 65  # along each edge of the map's window, to find what of a grid it covers
_MOST_SIDE = 2**31 - 1


def resolve_grid(storage: Storage, scene: Imagery, plan: Plan, reading: ReadingOptions) -> Storage:
    """The storage with the raster's grid resolved, where it is not the tiles'.

    The scene's grid is that of the first scene, every pixel of it or, where it is finer than the map, blocks of n x n
    pixels as wide as the map's. In another CRS pixels are as wide as the map's on the ground, or the scene's if those
    are wider.

    Raises:
        PlanError: no such CRS, or a scene without a grid of its own.
    """
    if storage.vector and storage.crs_out is not None:
        return replace(storage, crs_out=feature_crs(storage.crs_out, plan.window, plan.maxzoom, plan.name))
    if not storage.has_own_grid or isinstance(storage.grid, RasterGrid):
        return storage
    with open_imagery(scene.identities[0].path, reading) as first:
        if not isinstance(first, Scene):
            raise PlanError("a folder of tiles has only the tiles' grid: leave grid out", option="grid")
        if storage.crs_out is None:
            own = _own_transform(first)
            crs, matrix = first.crs, _own_matrix(first, own, plan, storage.resolution)
            near = (own @ (first.dataset.width / 2, first.dataset.height / 2))[0]
            limit = (first.dataset.width, first.dataset.height) if len(scene.identities) == 1 else None
        else:
            crs, near = _parse(storage.crs_out), _middle_longitude(plan)
            matrix, limit, own = _other_matrix(first, plan, crs, storage.resolution), None, None
    left, top, right, bottom = _covered(plan, crs, matrix, near)
    if limit is not None and own is not None:
        columns, rows = ~matrix @ (own @ limit)
        left, top = max(left, 0), max(top, 0)
        right, bottom = (min(edge, int(np.ceil(most - 1e-6))) for edge, most in ((right, columns), (bottom, rows)))
    placed = matrix @ Affine.translation(left, top)
    if not (0 < right - left <= _MOST_SIDE and 0 < bottom - top <= _MOST_SIDE):
        raise PlanError(
            f"a raster of {right - left} x {bottom - top} px is impossible: choose another resolution",
            option="resolution",
        )
    name = f"EPSG:{code}" if (code := crs.to_epsg()) else crs.to_wkt()
    grid = RasterGrid.of([name, placed[:6], right - left, bottom - top])
    return replace(storage, grid=grid, crs_out=None, resolution=None)


def feature_crs(text: str, window: PixelWindow, zoom: int, name: str) -> str:
    """A CRS for the features of a map, by its code if it has one.

    Args:
        window: global pixels of the map at its zoom.
        name: of the map, for messages.

    Raises:
        PlanError: no such CRS, or it does not reach the map, or cuts it.
    """
    crs = _parse(text)
    west, south, east, north = MapFrame(zoom, window).bounds_of(window)
    across, up = np.meshgrid(np.linspace(west, east, _POINTS), np.linspace(south, north, _POINTS))
    try:
        placed = np.array(move(DEGREES, crs, across.ravel(), up.ravel())[:2])
    except GDAL_ERRORS as error:
        raise _out_of_reach(crs, name) from error
    if not np.isfinite(placed).all():
        raise _out_of_reach(crs, name)
    if east > 180 and _jumps(placed.reshape(2, _POINTS, _POINTS)[:, [0, -1]]):
        raise _cut(crs, name)
    return f"EPSG:{code}" if (code := crs.to_epsg()) else str(crs.to_wkt())


def _map_resolution(plan: Plan, scene: Scene) -> float:
    return ground_resolution(plan.maxzoom, scene.latitude)


def _own_transform(scene: Scene) -> Affine:
    if scene.transform is None:
        raise PlanError(
            f"{scene.name} is georeferenced by control points and has no pixel grid on the Earth; choose a CRS",
            option="crs_out",
        )
    return scene.transform


def _own_matrix(scene: Scene, matrix: Affine, plan: Plan, resolution: float | None) -> Affine:
    if resolution is None:
        step = max(1, round(_map_resolution(plan, scene) / scene.ground_resolution))
        return matrix @ Affine.scale(step)
    sizes = (float(np.hypot(matrix.a, matrix.d)), float(np.hypot(matrix.b, matrix.e)))
    return matrix @ Affine.scale(*(resolution / size for size in sizes))


def _other_matrix(scene: Scene, plan: Plan, crs: CRS, resolution: float | None) -> Affine:
    """Pixels whose corners are at multiples of their size."""
    bounds = window_bounds(plan.window, plan.maxzoom)
    if crs.is_geographic:  # as large at Greenwich, where no meridian is jumped
        centre = (bounds.left + bounds.right) / 2
        bounds = bounds._replace(left=bounds.left - centre, right=bounds.right - centre)
    try:
        found, _, _ = calculate_default_transform("EPSG:3857", crs, plan.window.width, plan.window.height, *bounds)
    except GDAL_ERRORS as error:
        raise _out_of_reach(crs, plan.name) from error
    size = resolution or found.a * max(1.0, scene.ground_resolution / _map_resolution(plan, scene))
    return Affine(size, 0, np.floor(found.c / size) * size, 0, -size, np.ceil(found.f / size) * size)


def _middle_longitude(plan: Plan) -> float:
    """Degrees, past 180 where the window is."""
    left, _, right, _ = window_bounds(plan.window, plan.maxzoom)
    return (left + right) / 2 / HALF_WORLD * 180


def _covered(plan: Plan, crs: CRS, matrix: Affine, near: float) -> tuple[int, int, int, int]:
    """Columns and rows of a grid that the map's window touches: left, top, right, bottom.

    Longitudes are counted on from `near`; a CRS that begins anew within the window is refused.
    """
    left, bottom, right, top = window_bounds(plan.window, plan.maxzoom)
    along, up = np.linspace(left, right, _POINTS), np.linspace(bottom, top, _POINTS)
    xs = np.concatenate([along, along, np.full(_POINTS, left), np.full(_POINTS, right)])
    ys = np.concatenate([np.full(_POINTS, bottom), np.full(_POINTS, top), up, up])
    try:
        places = np.array(move("EPSG:3857", crs, xs.tolist(), ys.tolist())[:2])
        back = np.array(move(crs, "EPSG:3857", *places.tolist())[:2]) - (xs, ys)
    except GDAL_ERRORS as error:
        raise _out_of_reach(crs, plan.name) from error
    back[0] = (back[0] + HALF_WORLD) % (2 * HALF_WORLD) - HALF_WORLD
    if not (np.isfinite(places).all() and (np.hypot(*back) <= mercator_resolution(plan.maxzoom)).all()):
        raise _out_of_reach(crs, plan.name)
    if crs.is_geographic:
        turn = 2 * np.pi / crs.units_factor[1]
        places[0] = near + (places[0] - near + turn / 2) % turn - turn / 2
    elif right > HALF_WORLD and _jumps(places[:, : 2 * _POINTS]):
        raise _cut(crs, plan.name)
    inverse = ~matrix
    columns = inverse.a * places[0] + inverse.b * places[1] + inverse.c
    rows = inverse.d * places[0] + inverse.e * places[1] + inverse.f
    edges = np.floor([columns.min() + 1e-6, rows.min() + 1e-6]), np.ceil([columns.max() - 1e-6, rows.max() - 1e-6])
    first, last = (edge.astype(np.int64).tolist() for edge in edges)
    return first[0], first[1], last[0], last[1]


def _out_of_reach(crs: CRS, name: str) -> PlanError:
    return PlanError(f"{crs.to_string()[:60]} does not reach all of {name}: choose another CRS", option="crs_out")


def _cut(crs: CRS, name: str) -> PlanError:
    return PlanError(
        f"{crs.to_string()[:60]} is cut at the antimeridian, which {name} lies across: choose another CRS",
        option="crs_out",
    )


def _jumps(places: np.ndarray) -> bool:
    """Whether a step along the upper or lower edge is many times the usual one."""
    steps = np.hypot(*np.diff(places.reshape(2, 2, _POINTS))).ravel()
    return bool(steps.max() > 10 * np.median(steps))


def _parse(text: str) -> CRS:
    """
    Raises:
        PlanError: no CRS, or not a map of the Earth's surface.
    """
    try:
        crs = CRS.from_user_input(text)
    except (CRSError, ValueError) as error:  # EPSG:nonsense is a ValueError
        raise PlanError(
            f"{text!r} is not a CRS that PROJ knows ({error}): give e.g. EPSG:32618", option="crs_out"
        ) from error
    if (fault := _fault_of_map(crs.to_dict(projjson=True))) is not None:
        raise PlanError(f"{text!r} {fault}: choose the CRS of a map, e.g. EPSG:32618", option="crs_out")
    return crs


def _fault_of_map(spelled: dict[str, Any]) -> str | None:
    """Why a CRS, as PROJJSON, is not one of a plane map; None where it is."""
    kind = spelled["type"]
    if kind == "BoundCRS":
        return _fault_of_map(spelled["source_crs"])
    if kind == "CompoundCRS":  # the heights count for nothing
        return _fault_of_map(spelled["components"][0])
    if kind in _NO_MAPS:
        return _NO_MAPS[kind]
    if kind not in _MAPS:
        return f"is not a CRS of the Earth's surface ({kind})"
    if len(spelled["coordinate_system"]["axis"]) != 2:
        return "has a third axis for heights"
    return None
