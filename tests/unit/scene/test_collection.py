"""Many scenes as one: the right one on top, the same pixels whichever block asks, few files open."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.warp import transform_bounds
from rasters import write_raster
from scipy.ndimage import gaussian_filter

from geo2map import grid
from geo2map.errors import BandError, GeoreferenceError, SceneError
from geo2map.grid import PixelWindow
from geo2map.grid.block import Block
from geo2map.scene import View, open_scenes
from geo2map.scene.collection.feather import Part, feather_weights, overlay
from geo2map.scene.collection.stack import OPEN_SCENES, SceneCollection
from geo2map.types import Image, Mask

ZOOM = 17
SIZE = grid.mercator_resolution(ZOOM)
LEFT, TOP = 256 * 38_616, 256 * 49_271  # New York
FRAME = PixelWindow(LEFT, TOP, LEFT + 700, TOP + 600)

Writer = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Writes pixels (bands, rows, columns) that lie on the grid, their corner at a column and row of FRAME."""

    def write(
        name: str,
        pixels: np.ndarray,
        column: float = 0,
        row: float = 0,
        tags: dict[str, str] | None = None,
        **more: Any,
    ) -> Path:
        place = grid.window_transform(FRAME, ZOOM) @ Affine.translation(column, row)
        path = write_raster(tmp_path / name, pixels, **{"crs": "EPSG:3857", "transform": place} | more)
        if tags:  # which move the directory to the end of the file
            with rasterio.open(path, "r+") as dataset:
                dataset.update_tags(**tags)
        return path

    return write


def plain(level: int, height: int = 300, width: int = 300) -> np.ndarray:
    return np.full((3, height, width), level, np.uint8)


def noise(seed: int, height: int = 400, width: int = 400) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 255, (3, height, width), dtype=np.uint8)


def together(paths: Sequence[Path], **options: Any) -> SceneCollection:
    scenes = open_scenes([str(path) for path in paths], **options)
    assert isinstance(scenes, SceneCollection)
    return scenes


def read(paths: Sequence[Path], window: PixelWindow = FRAME, span: int = 4, **options: Any) -> tuple[Image, Mask]:
    """A window's pixels and mask, put together from blocks of `span` tiles."""
    tiles = grid.tile_range(window)
    pixels = np.zeros((window.height, window.width, 3), np.uint8)
    mask = np.zeros((window.height, window.width), np.bool_)
    with together(paths, **options) as scenes, scenes.at(View(ZOOM)) as source:
        for y in range(tiles.top, tiles.bottom, span):
            for x in range(tiles.left, tiles.right, span):
                image = source.read(Block(ZOOM, x, y, span, span, 32))
                part = image.core().block.window.intersection(window)
                into, out_of = part.slices(window), part.slices(image.block.window)
                pixels[into], mask[into] = image.pixels[out_of], image.mask[out_of]
    return pixels, mask


# Which is on top


def test_the_first_is_on_top_and_gaps_are_filled_from_the_next(write: Writer) -> None:
    holed = plain(10)
    holed[:, 100:200, 100:200] = 0
    paths = [write("a.tif", holed, nodata=0), write("b.tif", plain(20), 50, 50), write("c.tif", plain(30), 100, 150)]
    pixels, mask = read(paths)
    expected = np.zeros(mask.shape, np.uint8)
    expected[150:450, 100:400] = 30
    expected[50:350, 50:350] = 20
    expected[:300, :300][holed[0] > 0] = 10
    np.testing.assert_array_equal(mask, expected > 0)
    np.testing.assert_array_equal(pixels, np.repeat(expected[..., None], 3, axis=2))


def top_of(paths: Sequence[Path], **options: Any) -> int:
    with together(paths, **options) as scenes, scenes.at(View(ZOOM)) as source:
        return int(source.read(Block(ZOOM, LEFT // 256, TOP // 256, 1, 1)).pixels[100, 100, 0])


def test_orders(write: Writer) -> None:
    fine = grid.window_transform(FRAME, ZOOM) @ Affine.scale(0.5)
    paths = [
        write("1.tif", plain(10), tags={"TIFFTAG_DATETIME": "2021:05:06 07:08:09"}),
        write("2.tif", plain(20), tags={"ACQUISITIONDATETIME": "2023-05-06T07:08:09Z"}),
        write("3.tif", plain(30, 600, 600), transform=fine, tags={"TIFFTAG_DATETIME": "2019:05:06 07:08:09"}),
        write("4.tif", plain(40)),
    ]
    os.utime(paths[3], (1_000_000_000,) * 2)  # 2001
    tops = {order: top_of(paths, order=order) for order in ("first", "last", "newest", "finest")}
    assert tops == {"first": 10, "last": 40, "newest": 20, "finest": 30}
    with together(paths, order="newest") as scenes:
        assert [Path(sheet.path).stem for sheet in scenes.entries] == ["2", "1", "3", "4"]
    os.utime(paths[3], (2_000_000_000,) * 2)  # 2033
    assert top_of(paths, order="newest") == 40


def test_those_that_are_equal_stay_as_given(write: Writer) -> None:
    paths = [write(f"{name}.tif", plain(level)) for name, level in (("b", 10), ("a", 20))]
    assert top_of(paths, order="finest") == 10
    assert top_of(paths[::-1], order="finest") == 20


# The same pixels


def mixed(write: Writer) -> list[Path]:
    """Three CRSs, three resolutions, one to four bands, nodata, alpha and mask, all overlapping."""
    bounds = grid.window_bounds(FRAME, ZOOM)
    paths = []
    for number, (crs, count) in enumerate((("EPSG:32618", 4), ("EPSG:4326", 3), ("EPSG:2263", 1))):
        left, bottom, right, top = transform_bounds("EPSG:3857", crs, *bounds)
        size = 300 + 170 * number
        matrix = Affine((right - left) / 2 / size, 0, left + number * (right - left) / 6, 0, 0, 0)
        matrix = Affine(matrix.a, 0, matrix.c, 0, -(top - bottom) / 2 / size, top - number * (top - bottom) / 6)
        smooth = gaussian_filter(np.random.default_rng(number).normal(0, 1, (count, size, size)), (0, 6, 6))
        pixels = np.clip(smooth * 500 + 128, 1, 254).astype(np.uint8)
        more: dict[str, Any] = {"nodata": 0} if count < 4 else {"photometric": "RGB", "alpha": "YES"}
        if count == 4:
            pixels[3] = 255
        pixels[..., 90:120, 40:160] = 0
        paths.append(write(f"{crs[5:]}.tif", pixels, crs=crs, transform=matrix, **more))
    return paths


@pytest.mark.parametrize("feather", [0, 1, 24])
def test_a_pixel_is_the_same_whichever_block_asks(feather: int, write: Writer) -> None:
    paths = mixed(write)
    pixels, mask = read(paths, span=4, feather=feather)
    assert 0.3 < mask.mean() < 0.95
    for span in (1, 2, 3):
        other_pixels, other_mask = read(paths, span=span, feather=feather)
        np.testing.assert_array_equal(other_mask, mask)
        np.testing.assert_array_equal(other_pixels, pixels)


def test_sheets_cut_from_one_scene_give_it_back(write: Writer) -> None:
    whole = noise(1, 512, 512)
    paths = [
        write(f"{row}{column}.tif", whole[:, row : row + 128, column : column + 128], column, row)
        for row in range(0, 512, 128)
        for column in range(0, 512, 128)
    ]
    pixels, mask = read(paths)
    assert mask[:512, :512].all()
    np.testing.assert_array_equal(pixels[:512, :512], np.moveaxis(whole, 0, -1))


def test_there_is_no_gap_between_sheets_that_abut(write: Writer) -> None:
    """Off the grid by parts of a pixel: of every border pixel each sheet covers a part."""
    for offset in (0.25, 0.5, 0.71):
        paths = [write("west.tif", plain(90), offset, 0), write("east.tif", plain(90), 300 + offset, 0)]
        pixels, mask = read(paths)
        assert mask[:300, 2:598].all()
        assert (pixels[:300, 2:598] == 90).all()


# Feather


def test_a_border_fades_over_its_width(write: Writer) -> None:
    paths = [write("upper.tif", plain(200), 0, 0), write("lower.tif", plain(100, 300, 600), 0, 0)]
    pixels, mask = read(paths, feather=20)
    row = pixels[150, :, 0].astype(int)
    assert mask[:300, :600].all()
    assert (row[20:280] == 200).all()
    assert (row[300:600] == 100).all()
    np.testing.assert_array_equal(row[280:300], np.rint(100 + 100 * np.arange(20, 0, -1) / 20))


def test_without_anything_below_a_sheet_keeps_its_colours(write: Writer) -> None:
    paths = [write("a.tif", noise(2), 0, 0), write("b.tif", plain(9, 100, 100), 600, 500)]
    pixels, mask = read(paths, feather=50)
    assert mask[:400, :400].all()
    np.testing.assert_array_equal(pixels[:400, :400], np.moveaxis(noise(2), 0, -1))


@given(st.integers(0, 1000), st.integers(1, 4), st.integers(0, 40))
def test_an_overlay_is_a_mean_of_what_is_there(seed: int, count: int, feather: int) -> None:
    """Of what is there: never below, never above; and all of the first where it is far from its border."""
    rng = np.random.default_rng(seed)
    window = PixelWindow(7, 9, 67, 59)
    shape = (50 + 2 * feather, 60 + 2 * feather)
    masks = [gaussian_filter(rng.normal(0, 1, shape), 9) > rng.uniform(-0.05, 0.05) for _ in range(count)]
    images = rng.integers(0, 256, (count, *shape, 3), dtype=np.uint8)
    pixels, mask = overlay(window, [Part(window, *part) for part in zip(images, masks, strict=True)], feather)
    inner = window.slices(window.grow(feather))
    there = np.stack(masks)[:, *inner]
    values = images[:, *inner]
    np.testing.assert_array_equal(mask, there.any(axis=0))
    low = np.where(there[..., None], values, 255).min(axis=0)
    high = np.where(there[..., None], values, 0).max(axis=0)
    assert ((low <= pixels) & (pixels <= high))[mask].all()
    opaque = feather_weights(masks[0], feather)[inner] == 1
    np.testing.assert_array_equal(pixels[opaque], values[0][opaque])


@given(st.integers(0, 1000), st.integers(1, 40))
def test_weights_are_distances_to_the_nearest_invalid_pixel(seed: int, feather: int) -> None:
    mask = np.random.default_rng(seed).random((40, 40)) < 0.99
    rows, columns = np.nonzero(~mask)
    weights = feather_weights(mask, feather)
    if not rows.size:
        assert (weights == 1).all()
        return
    y, x = np.mgrid[:40, :40]
    nearest = np.sqrt(((y[..., None] - rows) ** 2 + (x[..., None] - columns) ** 2).min(axis=-1))
    np.testing.assert_allclose(weights, np.minimum(nearest, feather) / feather, rtol=1e-6)


def test_what_is_hidden_is_not_read(write: Writer) -> None:
    paths = [write("a.tif", plain(10)), write("b.tif", plain(20))]
    with together(paths) as scenes, scenes.at(View(ZOOM)) as source:
        paths[1].unlink()
        assert source.read(Block(ZOOM, LEFT // 256, TOP // 256, 1, 1)).mask.all()


def test_a_block_touches_its_own_sheets_only(write: Writer) -> None:
    paths = [write("near.tif", plain(10)), write("far.tif", plain(20), 3000, 3000)]
    with together(paths) as scenes, scenes.at(View(ZOOM)) as source:
        paths[1].unlink()
        assert source.read(Block(ZOOM, LEFT // 256, TOP // 256, 2, 2, 160)).mask.sum() == 300 * 300


# All together


def test_statistics_are_those_of_the_area(write: Writer) -> None:
    """A coarse sheet counts by its area, not by its pixels, and so does a fine one."""
    coarse = grid.window_transform(FRAME, ZOOM) @ Affine.scale(10)
    fine = grid.window_transform(FRAME, ZOOM) @ Affine.translation(300, 0) @ Affine.scale(0.5)
    paths = [write("a.tif", plain(10, 30, 30), transform=coarse), write("b.tif", plain(30, 400, 400), transform=fine)]
    with together(paths) as scenes:
        values = scenes.sample()
    assert len(values) < 1.2 * 1024**2
    shares = [(values[:, 0] == level).mean() for level in (10, 30)]
    np.testing.assert_allclose(shares, [9 / 13, 4 / 13], atol=0.02)


def test_what_is_said_of_all(write: Writer) -> None:
    fine = grid.window_transform(FRAME, ZOOM) @ Affine.translation(400, 100) @ Affine.scale(0.25)
    paths = [write("a.tif", plain(10)), write("b.tif", plain(30, 400, 400), transform=fine)]
    with together(paths, feather=8) as scenes:
        assert scenes.name == "a"
        assert scenes.window(ZOOM) == PixelWindow(LEFT, TOP, LEFT + 500, TOP + 300)
        assert scenes.ground_resolution == pytest.approx(grid.ground_resolution(ZOOM, scenes.latitude) / 4, rel=1e-3)
        note = scenes.notes[0]
        assert "2 scenes as one, the first given on top, faded over 8 px" in note
        covered = scenes.coverage(ZOOM, 10)
    assert covered.shape == (30, 50)
    expected = np.zeros((30, 50), np.bool_)
    expected[:30, :30] = expected[10:20, 40:50] = True
    np.testing.assert_array_equal(covered, expected)


def test_arrangements_differ(write: Writer) -> None:
    paths = [write("a.tif", plain(10)), write("b.tif", plain(10), 7, 7)]
    arrangements = {
        together(which, **options).layout_digest
        for which in (paths, paths[::-1])
        for options in ({}, {"feather": 4}, {"order": "last"})
    }
    assert len(arrangements) == 6
    assert together(paths).layout_digest == together(paths).layout_digest


@pytest.mark.parametrize("swapped", [False, True])
def test_sheets_on_both_sides_of_the_antimeridian_are_near(swapped: bool, tmp_path: Path) -> None:
    paths = []
    for level, west in ((50, 179.99), (90, -179.998)):  # a gap of 0.002 degrees, the antimeridian in it
        matrix = Affine(1e-5, 0, west, 0, -1e-5, -16.5)
        path = tmp_path / f"{level}.tif"
        paths.append(write_raster(path, plain(level, 500, 800), crs="EPSG:4326", transform=matrix))
    world = grid.world_window(ZOOM).width
    with together(paths[::-1] if swapped else paths) as scenes:
        window = scenes.window(ZOOM)
        assert window.left < world < window.right
        assert window.width < 2200
        tiles = grid.tile_range(window)
        with scenes.at(View(ZOOM)) as source:
            image = source.read(Block(ZOOM, tiles.left, tiles.top, tiles.width, tiles.height))
            turned = source.read(Block(ZOOM, 0, tiles.top, 4, tiles.height, 400))
        covered = scenes.coverage(ZOOM, 8)
    row = image.pixels[300, :, 0]
    assert [int(level) for level in row[np.append(True, np.diff(row.astype(int)) != 0)]] == [0, 50, 0, 90, 0]
    assert 0.75 < covered.mean() < 0.85
    assert set(np.unique(turned.pixels[turned.mask])) == {50, 90}


# Mixed numbers


def test_8_bit_beside_16_bit_is_refused(write: Writer) -> None:
    paths = [write("a.tif", plain(10)), write("b.tif", (plain(10).astype(np.uint16) * 200))]
    with together(paths) as scenes, pytest.raises(BandError, match=r"a\.tif .8-bit. and .*b\.tif .uint16."):
        scenes.sample()


def test_8_bit_values_in_16_bits_go_well_with_8_bit(write: Writer) -> None:
    paths = [write("a.tif", plain(10)), write("b.tif", plain(10).astype(np.uint16), 100, 0)]
    with together(paths) as scenes:
        assert scenes.sample().max() == 10
    pixels, mask = read(paths)
    assert (pixels[mask] == 10).all()


# Trouble


def test_a_broken_sheet_is_named(write: Writer) -> None:
    paths = [write(f"{name}.tif", plain(9)) for name in "abc"]
    paths[1].write_bytes(b"II*\0 cut short")
    with pytest.raises(SceneError, match=r"b\.tif"):
        together(paths)
    nowhere = write("d.tif", plain(9), crs=None)
    with pytest.raises(GeoreferenceError, match=r"d\.tif"):
        together([paths[0], nowhere])


def test_data_that_break_off_are_named(write: Writer) -> None:
    paths = [write(f"{name}.tif", noise(0), 50 * number) for number, name in enumerate("abc")]
    paths[2].write_bytes(paths[2].read_bytes()[:200_000])
    with together(paths) as scenes:
        with pytest.raises(SceneError, match=r"c\.tif"):
            scenes.sample()
        with pytest.raises(SceneError, match=r"c\.tif"), scenes.at(View(ZOOM)) as source:
            source.read(Block(ZOOM, LEFT // 256, TOP // 256, 3, 3))


# More than may be open at once

SHEETS = 240
UNDER_A_LIMIT = f"""
import json, os, resource, sys
import numpy as np
from geo2map.grid.block import Block
from geo2map.grid import tile_range
from geo2map.scene import ColourTransform, View, open_scenes
resource.setrlimit(resource.RLIMIT_NOFILE, (96, 96))
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
with open_scenes([sys.argv[1]]) as scenes:
    sample = scenes.sample()
    tiles = tile_range(scenes.window({ZOOM}))
    with scenes.at(View({ZOOM}, ColourTransform())) as source:
        valid = levels = 0
        for y in range(tiles.top, tiles.bottom, 4):
            for x in range(tiles.left, tiles.right, 4):
                image = source.read(Block({ZOOM}, x, y, 4, 4))
                valid += int(image.mask.sum())
        files = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
print(json.dumps([len(scenes.entries), scenes.name, len(sample), valid, files, peak() - before]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit of open files to lower")
def test_many_sheets_are_not_many_open_files(write: Writer, tmp_path: Path) -> None:
    """As many as are more than twice the limit."""
    (tmp_path / "sheets").mkdir()
    pixels = noise(5, 40, 40)
    for number in range(SHEETS):
        row, column = divmod(number, 20)
        write(f"sheets/s{number}.tif", pixels, column * 40, row * 40)
    done = subprocess.run(
        [sys.executable, "-c", UNDER_A_LIMIT, str(tmp_path / "sheets")],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    count, name, sampled, valid, files, memory = json.loads(done.stdout)
    assert (count, name) == (SHEETS, "sheets")
    assert valid == SHEETS * 40 * 40
    assert 0.8 * 1024**2 < sampled < 1.6 * 1024**2
    assert files < OPEN_SCENES + 40
    assert memory < 300
