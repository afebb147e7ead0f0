"""A look without reading: it may miss what is empty, but never takes for empty what is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.enums import ColorInterp, Resampling
from rasterio.shutil import copy

from geo2map import grid
from geo2map.grid import PixelWindow
from geo2map.scene import Scene, View, open_scene

PLACES = {
    "UTM": ("EPSG:32618", Affine(0.9, 0, 590_000, 0, -0.9, 4_510_000)),
    "rotated": (
        "EPSG:32618",
        Affine.translation(590_000, 4_510_000) @ Affine.rotation(33) @ Affine.scale(0.9, -0.9),
    ),
    "degrees": ("EPSG:4326", Affine(1.1e-5, 0, -74.0, 0, -0.8e-5, 40.7)),
    "mercator": ("EPSG:3857", Affine(1.1, 0, -8_238_000.3, 0, -1.3, 4_970_000.7)),
    "across the antimeridian": ("EPSG:32660", Affine(0.9, 0, 754_800, 0, -0.9, 4_510_000)),
}
KINDS = ("nodata", "alpha", "palette", "float", "nothing")
SIDE = 900


def write(path: Path, valid: np.ndarray, place: str = "UTM", kind: str = "nodata", **stored: Any) -> Path:
    """A scene of noise with data where asked; SIDE squared, in blocks of 128 px."""
    colours = np.random.default_rng(0).integers(1, 250, (3, *valid.shape), dtype=np.uint8) * valid
    nodata: float | None = None if kind in ("alpha", "nothing") else np.nan if kind == "float" else 0
    if kind == "alpha":
        colours = np.concatenate([colours, valid[None] * np.uint8(255)])
    elif kind == "palette":
        colours = colours[:1] % 8
        colours[0][valid & (colours[0] == 0)] = 3
    elif kind == "float":
        colours = np.where(valid, colours, np.nan).astype(np.float32)
    crs, matrix = PLACES[place]
    fixed = {"driver": "GTiff", "count": len(colours), "width": valid.shape[1], "height": valid.shape[0]}
    layout = {"tiled": True, "blockxsize": 128, "blockysize": 128, "compress": "deflate"} | stored
    with rasterio.open(
        path, "w", **fixed, dtype=colours.dtype, crs=crs, transform=matrix, nodata=nodata, **layout
    ) as dataset:
        if kind == "palette":
            dataset.colorinterp = [ColorInterp.palette]
            dataset.write_colormap(1, {value: (value * 30, 99, value, 255) for value in range(8)})
        if kind == "alpha":
            dataset.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
        dataset.write(colours)
    return path


def windows(scene: Scene, zoom: int, side: int) -> list[PixelWindow]:
    """Squares all over a scene, and a few around it."""
    whole = scene.window(zoom)
    steps = [range(start - side, stop + side, side) for start, stop in zip(whole[:2], whole[2:], strict=True)]
    return [PixelWindow(x, y, x + side, y + side) for y in steps[1] for x in steps[0]]


def told(path: Path, zoom: int = 17, side: int = 96, **view: Any) -> tuple[int, int]:
    """How many windows count as empty, of how many that are, once it is sure that no other does."""
    said, true = 0, 0
    with open_scene(path) as scene, scene.at(View(zoom, **view)) as source:
        for window in windows(scene, zoom, side):
            empty = not source.read_window(window)[1].any()
            if source.is_empty(window):
                assert empty, window
                said += 1
            true += empty
    return said, true


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_counts_as_empty_is(place: str, kind: str, tmp_path: Path) -> None:
    valid = np.zeros((SIDE, SIDE), dtype=np.bool_)
    valid[:150, :300] = valid[400, 333] = valid[640:700, 250:] = True
    said, true = told(write(tmp_path / "scene.tif", valid, place, kind))
    outside = 30  # windows around the scene
    if kind == "nothing" or place == "across the antimeridian":
        assert said <= true
    else:
        assert said > outside + (true - outside) / 5


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    seed=st.integers(0, 10**6),
    place=st.sampled_from(["UTM", "rotated", "degrees"]),
    resampling=st.sampled_from(["nearest", "cubic", "lanczos", "average", "max"]),
    zoom=st.sampled_from([15, 17, 18]),
)
def test_a_single_pixel_is_enough(seed: int, place: str, resampling: str, zoom: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    valid = np.zeros((500, 500), dtype=np.bool_)
    for row, column in rng.integers(0, 500, (3, 2)):
        valid[row, column] = True
    valid[127:129, 255] = True  # on the border of two of the file's blocks
    told(write(tmp_path / f"{seed}.tif", valid, place), zoom, 64, resampling=resampling)


def test_overviews_are_judged_by_their_own_pixels(tmp_path: Path) -> None:
    """Zoom 15 is read from an overview; a pixel that only the full raster has shows in no output."""
    valid = np.zeros((2000, 2000), dtype=np.bool_)
    valid[:500, :500] = True
    path = write(tmp_path / "scene.tif", valid)
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2, 4], Resampling.average)
    said, true = told(path, zoom=15, side=64)
    assert said > 0.5 * true


@pytest.mark.parametrize("stored", [{"sparse_ok": True}, {"compress": "lzw"}, {"interleave": "band"}])
def test_however_it_is_stored(stored: dict[str, Any], tmp_path: Path) -> None:
    valid = np.zeros((SIDE, SIDE), dtype=np.bool_)
    valid[:150, :300] = True
    said, true = told(write(tmp_path / "scene.tif", valid, **stored))
    assert said > 0.6 * true


@pytest.mark.parametrize("driver", ["PNG", "COG"])
def test_another_format_is_read(driver: str, tmp_path: Path) -> None:
    valid = np.zeros((SIDE, SIDE), dtype=np.bool_)
    valid[:150, :300] = True
    path = write(tmp_path / "scene.tif", valid)
    with rasterio.open(path) as dataset:
        copy(dataset, tmp_path / "other", driver=driver)
    said, true = told(tmp_path / "other")
    assert said <= true


def test_half_transparent_is_not_empty(tmp_path: Path) -> None:
    """Weights of a kernel may bring it above the half."""
    path = write(tmp_path / "scene.tif", np.zeros((SIDE, SIDE), dtype=np.bool_), kind="alpha")
    with rasterio.open(path, "r+") as dataset:
        bands = dataset.read()
        bands[3, 300:600, 300:600] = 1
        dataset.write(bands)
    with open_scene(path) as scene, scene.at(View(17)) as source:
        middle = scene.window(17)
        x, y = (middle.left + middle.right) // 2, (middle.top + middle.bottom) // 2
        assert not source.is_empty(PixelWindow(x, y, x + 8, y + 8))
        assert source.is_empty(PixelWindow(middle.left, middle.top, middle.left + 8, middle.top + 8))


def test_what_cannot_be_opened_is_read_and_says_why(tmp_path: Path) -> None:
    path = write(tmp_path / "scene.tif", np.zeros((SIDE, SIDE), dtype=np.bool_))
    with open_scene(path) as scene:
        source, window = scene.at(View(17)), scene.window(17)
    path.unlink()
    assert not source.is_empty(window)


def test_beyond_the_scene_there_is_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "scene.tif", np.ones((SIDE, SIDE), dtype=np.bool_), kind="nothing")
    with open_scene(path) as scene, scene.at(View(17)) as source:
        window, world = scene.window(17), grid.world_window(17).width
        assert source.is_empty(window.shift(window.width + 10))
        assert not source.is_empty(window.shift(world))
