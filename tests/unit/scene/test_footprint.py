"""Where scenes lie: every way of saying so, around the antimeridian and the poles, and what cannot be placed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasters import write_raster

from geo2map import grid
from geo2map.errors import GeoreferenceError
from geo2map.grid import HALF_WORLD
from geo2map.scene import open_scene
from geo2map.scene.footprint import LIMIT, Footprint, find_footprint
from geo2map.scene.georeference import Georeference

GEOSTATIONARY = "+proj=geos +h=35785863 +lon_0=140.7 +a=6378137 +b=6356752.3 +units=m"


def place(crs: str, matrix: Affine, width: int = 100, height: int = 80) -> Georeference:
    return Georeference(CRS.from_user_input(crs), matrix, (), width, height, "scene.tif")


def north_up(left: float, top: float, size: float, high: float | None = None) -> Affine:
    return Affine(size, 0, left, 0, -(high or size), top)


def degrees(footprint: Footprint) -> tuple[float, float, float, float]:
    """West, south, east, north; east beyond 180 across the antimeridian."""
    left, bottom, right, top = footprint.bounds
    south, north = (math.degrees(math.atan(math.sinh(y / grid.EARTH_RADIUS))) for y in (bottom, top))
    return left / HALF_WORLD * 180, south, right / HALF_WORLD * 180, north


@pytest.mark.parametrize(
    ("crs", "matrix", "expected"),
    [
        ("EPSG:4326", north_up(10, 50, 0.01), (10, 49.2, 11, 50)),
        ("EPSG:4326", north_up(-180, 90, 3.6, 2.25), (-180, -LIMIT, 180, LIMIT)),  # the world
        ("EPSG:4326", north_up(-180.5, 90, 3.61, 2.25), (-180, -LIMIT, 180, LIMIT)),  # and a bit more
        ("EPSG:4326", north_up(0, 60, 3.6, 1), (-180, -20, 180, 60)),  # the world from Greenwich on
        ("EPSG:4326", north_up(175, 5, 0.1), (175, -3, 185, 5)),
        ("EPSG:4326", north_up(-185, 5, 0.1), (175, -3, 185, 5)),  # the same in other words
        ("EPSG:4326", north_up(190, 5, 0.1), (-170, -3, -160, 5)),
        ("EPSG:4326", north_up(170, 5, 0.1), (170, -3, 180, 5)),  # just not
        ("EPSG:4269", north_up(-180, 5, 0.1), (-180, -3, -170, 5)),
        ("EPSG:4326", north_up(5, 89, 0.1), (5, 81, 15, LIMIT)),
        ("EPSG:3857", north_up(-HALF_WORLD, HALF_WORLD, HALF_WORLD / 50, HALF_WORLD / 40), (-180, -LIMIT, 180, LIMIT)),
        ("EPSG:3857", north_up(HALF_WORLD - 5000, 4000, 100), (179.955084, -0.035932, 180.044916, 0.035932)),
    ],
)
def test_bounds(crs: str, matrix: Affine, expected: tuple[float, ...]) -> None:
    assert degrees(find_footprint(place(crs, matrix))) == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize(("crs", "south", "north"), [("EPSG:3031", -LIMIT, -47.3), ("EPSG:3995", 47.3, LIMIT)])
def test_a_pole_within_a_scene_reaches_all_the_way_round(crs: str, south: float, north: float) -> None:
    footprint = find_footprint(place(crs, north_up(-3.5e6, 3.5e6, 70_000), 100, 100))
    assert footprint.clipped
    assert degrees(footprint) == pytest.approx((-180, south, 180, north), abs=1.5)
    assert np.isfinite(footprint.jacobian).all()


def test_the_wrong_side_of_a_pole_is_not_the_whole_world() -> None:
    """Beside the pole, across the antimeridian of a polar projection."""
    footprint = find_footprint(place("EPSG:3031", north_up(-200_000, -1_000_000, 4000), 100, 100))
    west, south, east, north = degrees(footprint)
    assert 168 < west < 180 < east < 192
    assert -82 < south < north < -76
    assert not footprint.clipped


def test_the_limb_of_the_earth() -> None:
    """A geostationary disk has corners in space."""
    footprint = find_footprint(place(GEOSTATIONARY, north_up(-5_500_000, 5_500_000, 11_000), 1000, 1000))
    west, south, east, north = degrees(footprint)
    assert 60 < west < 66
    assert 215 < east < 222
    assert -85.1 < south < -75
    assert 75 < north < 85.1


def test_clipping_is_told() -> None:
    assert find_footprint(place("EPSG:4326", north_up(5, 86, 0.1))).clipped
    assert not find_footprint(place("EPSG:4326", north_up(5, 85, 0.1))).clipped


@pytest.mark.parametrize(
    ("crs", "matrix", "found"),
    [
        ("EPSG:4326", north_up(5, 89, 0.01), "outside web-mercator"),
        ("EPSG:3031", north_up(-100, 100, 1), "outside web-mercator"),
        ("EPSG:4326", north_up(590_000, 4_510_000, 1), "no pixel of scene.tif lies on Earth"),
        ("EPSG:32618", north_up(5.9e9, 4.5e9, 1), "no pixel of scene.tif lies on Earth"),
        ("+proj=longlat +R=3396190 +no_defs", north_up(5, 5, 0.01), "a terrestrial CRS"),
        ("IAU_2015:30100", north_up(5, 5, 0.01), "a terrestrial CRS"),
        ("EPSG:32618", Affine(1e-12, 0, 590_000, 0, -1e-12, 4_510_000), "no extent on Earth|outside"),
    ],
)
def test_what_cannot_be_placed(crs: str, matrix: Affine, found: str) -> None:
    with pytest.raises(GeoreferenceError, match=found):
        find_footprint(place(crs, matrix))


@pytest.mark.parametrize("turn", [0, 33, 90, 180, -90])
@pytest.mark.parametrize("latitude", [0, 40.7, -65])
def test_the_scale_follows_each_axis(turn: float, latitude: float) -> None:
    """A pixel of 2 m by 0.5 m, however it is turned; a metre on the ground is more in web-mercator."""
    north = 0.9996 * 110_950 * latitude  # roughly; the scale is what counts
    matrix = Affine.translation(500_000, north % 10_000_000) @ Affine.rotation(turn) @ Affine.scale(2, -0.5)
    footprint = find_footprint(place("EPSG:32618" if latitude >= 0 else "EPSG:32718", matrix))
    columns, rows = footprint.scale(grid.mercator_resolution(17))
    metre = 1 / grid.ground_resolution(17, footprint.latitude)
    assert columns == pytest.approx(2 * metre, rel=0.01)
    assert rows == pytest.approx(0.5 * metre, rel=0.01)
    assert footprint.ground_resolution == pytest.approx(1, rel=0.01)


def test_degrees_are_oblong_far_north() -> None:
    footprint = find_footprint(place("EPSG:4326", north_up(25, 65, 1e-5)))
    columns, rows = footprint.scale(1.0)
    assert rows / columns == pytest.approx(1 / math.cos(math.radians(65)), rel=1e-3)


# Files


def write(path: Path, **profile: Any) -> Path:
    return write_raster(path, np.full((3, 50, 60), 9, np.uint8), **profile)


POINTS = [
    GroundControlPoint(row, column, 590_000 + column, 4_510_000 - row) for row in (0, 25, 50) for column in (0, 30, 60)
]


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_control_points_place_a_scene(tmp_path: Path) -> None:
    path = write(tmp_path / "points.tif")
    with rasterio.open(path, "r+") as dataset:
        dataset.gcps = (POINTS, "EPSG:32618")
    plain = write(tmp_path / "plain.tif", crs="EPSG:32618", transform=north_up(590_000, 4_510_000, 1))
    with open_scene(path) as scene, open_scene(plain) as same:
        assert scene.bounds == pytest.approx(same.bounds, abs=1e-6)
        assert scene.ground_resolution == pytest.approx(same.ground_resolution)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_crs_may_be_supplied_or_overridden(tmp_path: Path) -> None:
    matrix = north_up(590_000, 4_510_000, 1)
    without = write(tmp_path / "without.tif", transform=matrix)
    wrong = write(tmp_path / "wrong.tif", transform=matrix, crs="EPSG:32633")
    right = write(tmp_path / "right.tif", transform=matrix, crs="EPSG:32618")
    with open_scene(right) as scene:
        bounds = scene.bounds
    for path in (without, wrong):
        with open_scene(path, crs="EPSG:32618") as scene:
            assert scene.bounds == bounds
    with pytest.raises(GeoreferenceError, match=r"no coordinate reference system.*set crs"):
        open_scene(without)
    with pytest.raises(GeoreferenceError, match=r"unknown CRS 'EPSG:nonsense' for .*; give one that PROJ knows"):
        open_scene(right, crs="EPSG:nonsense")


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_no_place_and_a_camera_model_only(tmp_path: Path) -> None:
    path = write(tmp_path / "nowhere.tif", crs="EPSG:32618")
    with pytest.raises(GeoreferenceError, match="no usable geotransform"):
        open_scene(path)
    coefficients = " ".join(["1"] + ["0"] * 19)
    names = ("LINE_OFF", "SAMP_OFF", "LAT_OFF", "LONG_OFF", "HEIGHT_OFF")
    names += ("LINE_SCALE", "SAMP_SCALE", "LAT_SCALE", "LONG_SCALE", "HEIGHT_SCALE")
    rpcs = dict.fromkeys(names, "1")
    rpcs |= dict.fromkeys(("LINE_NUM_COEFF", "LINE_DEN_COEFF", "SAMP_NUM_COEFF", "SAMP_DEN_COEFF"), coefficients)
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(ns="RPC", **rpcs)
    with pytest.raises(GeoreferenceError, match="camera model only"):
        open_scene(path)
