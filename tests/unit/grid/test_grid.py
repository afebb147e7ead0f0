from __future__ import annotations

import math

import mercantile
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo2map import grid
from geo2map.grid import PixelWindow
from geo2map.types import Tile

zooms = st.integers(0, 22)


@st.composite
def tiles(draw: st.DrawFn) -> Tile:
    z = draw(zooms)
    return Tile(draw(st.integers(0, 2**z - 1)), draw(st.integers(0, 2**z - 1)), z)


@given(tiles())
def test_tile_windows_lie_where_mercantile_says(tile: Tile) -> None:
    ours = grid.window_bounds(grid.tile_window(tile), tile.z)
    theirs = mercantile.xy_bounds(tile)
    assert ours == pytest.approx(tuple(theirs), abs=1e-6 * grid.mercator_resolution(tile.z) + 1e-6)


@given(tiles())
def test_bounds_window_inverts_window_bounds(tile: Tile) -> None:
    window = grid.tile_window(tile)
    assert grid.bounds_window(grid.window_bounds(window, tile.z), tile.z) == window


@given(tiles())
def test_tile_range_of_a_tile_is_the_tile(tile: Tile) -> None:
    assert grid.tile_range(grid.tile_window(tile)) == (tile.x, tile.y, tile.x + 1, tile.y + 1)


@given(zooms, st.floats(-80, 80))
def test_nearest_zoom_inverts_ground_resolution(zoom: int, latitude: float) -> None:
    assert grid.nearest_zoom(grid.ground_resolution(zoom, latitude), latitude) == zoom
    assert grid.nearest_zoom(grid.ground_resolution(zoom, latitude) * 1.4, latitude) == zoom


def test_known_resolutions() -> None:
    assert grid.mercator_resolution(17) == pytest.approx(1.194328566955879)
    assert grid.ground_resolution(17, 40.7128) == pytest.approx(0.905, abs=5e-4)
    assert grid.ground_resolution(17, 60) == pytest.approx(grid.mercator_resolution(17) / 2)


@given(tiles())
def test_one_tile_zoom_is_the_largest_that_fits(tile: Tile) -> None:
    window = grid.tile_window(tile).grow(3).intersection(grid.world_window(tile.z))
    zoom = grid.one_tile_zoom(window, tile.z)
    scale = 2 ** (tile.z - zoom)

    def count(window: PixelWindow, scale: int) -> int:
        left, top = window.left // scale // 256, window.top // scale // 256
        right, bottom = math.ceil(window.right / scale / 256), math.ceil(window.bottom / scale / 256)
        return (right - left) * (bottom - top)

    assert count(window, scale) == 1
    assert zoom == tile.z or count(window, scale // 2) > 1


def test_window_latitude_and_lnglat_bounds() -> None:
    tile = mercantile.tile(-74.006, 40.7128, 17)
    window = grid.tile_window(Tile(*tile))
    assert grid.lnglat_bounds(window, 17) == pytest.approx(tuple(mercantile.bounds(tile)), abs=1e-9)
    south, north = mercantile.bounds(tile).south, mercantile.bounds(tile).north
    assert south < grid.window_latitude(window, 17) < north
