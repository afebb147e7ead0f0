"""Any raster that can be written is placed, read and never added to; any that is broken gets one sentence."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rasterio.enums import ColorInterp
from rasterio.warp import transform

from geo2map import grid
from geo2map.api import tile
from geo2map.colour.stretch import SHOWN
from geo2map.errors import Geo2MapError
from geo2map.grid.block import Block
from geo2map.plan import PlanOptions, make_plan
from geo2map.scene import ColourTransform, View, open_scene
from geo2map.testing import make_card

pytestmark = pytest.mark.slow

CRSS = {
    "EPSG:32618": (590_000, 4_510_000, 1.0),
    "EPSG:32733": (300_000, 6_250_000, 1.0),
    "EPSG:2056": (2_683_000, 1_248_000, 1.0),
    "EPSG:3857": (-8_238_000, 4_970_000, 1.3),
    "EPSG:4326": (25.4, 65.0, 1.2e-5),
    "EPSG:32660": (714_600, 5_550_700, 1.0),
}
DTYPES = ("uint8", "uint16", "int16", "uint32", "int32", "float32", "float64")
COLOUR = 97
CARD = make_card()


@dataclass(frozen=True)
class Recipe:
    """A scene of one colour with holes."""

    crs: str
    matrix: Affine
    dtype: str
    count: int
    validity: str
    nodata: float | None
    holes: np.ndarray
    layout: dict[str, Any]


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    crs = draw(st.sampled_from(sorted(CRSS)))
    left, top, unit = CRSS[crs]
    turn = draw(st.floats(-180, 180) | st.sampled_from([0.0, 90.0]))
    shear = draw(st.floats(-30, 30) | st.just(0.0))
    size = Affine.scale(unit * draw(st.floats(0.3, 3)), unit * draw(st.floats(0.3, 3)) * draw(st.sampled_from([-1, 1])))
    matrix = Affine.translation(left, top) @ Affine.rotation(turn) @ Affine.shear(shear, 0) @ size
    height, width = draw(st.integers(1, 90)), draw(st.integers(1, 90))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    coarse = rng.random((-(-height // 8), -(-width // 8))) < draw(st.sampled_from([0.0, 0.2, 0.6, 1.0]))
    holes = coarse.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]
    dtype = draw(st.sampled_from(DTYPES))
    values = [0.0, 250.0] + ([-9999.0] if dtype[0] in "if" else []) + ([float("nan")] if dtype[0] == "f" else [])
    layout = {
        "compress": draw(st.sampled_from(["none", "deflate", "lzw"])),
        "interleave": draw(st.sampled_from(["pixel", "band"])),
    }
    if draw(st.booleans()):
        layout |= {"tiled": True, "blockxsize": 32, "blockysize": 16}
    validity = draw(st.sampled_from(["all", "nodata", "alpha", "mask"]))
    nodata = draw(st.sampled_from(values)) if validity == "nodata" else None
    return Recipe(crs, matrix, dtype, draw(st.integers(1, 5)), validity, nodata, holes, layout)


def write(path: Path, recipe: Recipe) -> np.ndarray:
    """Writes the scene; returns where it has data, bool (rows, columns)."""
    height, width = recipe.holes.shape
    bands = np.full((recipe.count, height, width), COLOUR, recipe.dtype)
    if recipe.nodata is not None:
        bands[:, recipe.holes] = recipe.nodata
    if recipe.validity == "alpha":
        opaque = np.where(recipe.holes, 0, 255).astype(recipe.dtype)
        bands = np.concatenate((bands, opaque[None]))
    profile: dict[str, Any] = {"driver": "GTiff", "count": len(bands), "height": height, "width": width}
    profile |= {"dtype": recipe.dtype, "crs": recipe.crs, "transform": recipe.matrix, "nodata": recipe.nodata}
    profile |= {"photometric": "MINISBLACK"}  # four bytes a pixel would be taken for RGB and alpha
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", **profile | recipe.layout) as dataset:
        if recipe.validity == "alpha":  # before the pixels: GDAL's writer forgets it after
            dataset.colorinterp = (*dataset.colorinterp[:-1], ColorInterp.alpha)
        dataset.write(bands)
        if recipe.validity == "mask":
            dataset.write_mask(~recipe.holes)
    return np.ones_like(recipe.holes) if recipe.validity == "all" else ~recipe.holes


def under(recipe: Recipe, zoom: int, block: Block) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows of the scene under the middles of a block's pixels, by PROJ alone, (H, W)."""
    window = block.window
    rows, columns = np.mgrid[window.top : window.bottom, window.left : window.right] + 0.5
    xs, ys = grid.window_transform(grid.world_window(zoom), zoom) @ (columns.ravel(), rows.ravel())
    xs = (xs + grid.HALF_WORLD) % (2 * grid.HALF_WORLD) - grid.HALF_WORLD
    easts, norths = np.array(transform("EPSG:3857", recipe.crs, xs, ys))
    found = ~recipe.matrix @ (easts, norths)
    return found[0].reshape(columns.shape), found[1].reshape(rows.shape)


@settings(deadline=None)
@given(recipes(), st.integers(0, 40))
def test_a_scene_is_where_it_lies_and_nothing_is_invented(recipe: Recipe, margin: int) -> None:
    """One colour stays that colour up to the last pixel; a pixel is valid only over a pixel that has data."""
    with tempfile.TemporaryDirectory() as folder:
        valid = write(Path(folder) / "scene.tif", recipe)
        with open_scene(Path(folder) / "scene.tif") as scene:
            assert len(scene.sample()) == valid.sum()
            plan = make_plan(scene, CARD, PlanOptions(force=True, match="none", stretch="0,255"))
            block = next(plan.blocks()).with_margin(margin)
            with scene.at(plan.view) as source:
                image = source.read(block)
                again = source.read(block.with_margin(0))
            columns, rows = under(recipe, plan.maxzoom, block)
    np.testing.assert_array_equal(image.core().pixels, again.pixels)
    np.testing.assert_array_equal(image.core().mask, again.mask)
    assert (image.pixels[image.mask] == COLOUR).all()
    inside = (columns > 0) & (columns < valid.shape[1]) & (rows > 0) & (rows < valid.shape[0])
    there = np.zeros_like(inside)
    there[inside] = valid[rows[inside].astype(int), columns[inside].astype(int)]
    clear = np.minimum(np.abs(columns - columns.round()), np.abs(rows - rows.round())) > 0.01  # of a pixel's edges
    assert not (image.mask & ~there & clear).any()
    if recipe.validity in ("all", "nodata", "mask"):
        assert not (there & ~image.mask & clear).any()


# Damage


@cache
def sound_files() -> tuple[bytes, ...]:
    """Small GeoTIFFs of every kind."""
    matrix = Affine(0.9, 0, 590_000, 0, -0.9, 4_510_000)
    profile = {
        "driver": "GTiff",
        "height": 120,
        "width": 130,
        "crs": "EPSG:32618",
        "transform": matrix,
        "dtype": "uint8",
    }
    noise = np.random.default_rng(0).integers(1, 255, (4, 120, 130), dtype=np.uint8)
    kinds: list[dict[str, Any]] = [
        {"count": 3, "compress": "deflate", "tiled": True, "blockxsize": 64, "blockysize": 64},
        {"count": 3, "compress": "lzw", "nodata": 7},
        {"count": 3, "compress": "jpeg", "photometric": "ycbcr", "tiled": True, "blockxsize": 64, "blockysize": 64},
        {"count": 4, "alpha": "YES", "photometric": "RGB"},
        {"count": 1, "photometric": "PALETTE", "compress": "packbits"},
        {"count": 1, "dtype": "float32", "compress": "deflate", "predictor": 3},
    ]
    files = []
    for kind in kinds:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "sound.tif"
            wanted = profile | kind
            with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", **wanted) as dataset:
                dataset.write(noise[: wanted["count"]].astype(wanted["dtype"]))
                if kind.get("photometric") == "PALETTE":
                    dataset.write_colormap(1, {value: (value, 0, 255 - value, 255) for value in range(256)})
                if kind.get("tiled"):
                    dataset.write_mask(noise[0] > 40)
                    dataset.build_overviews([2])
            files.append(path.read_bytes())
    return tuple(files)


@st.composite
def broken_files(draw: st.DrawFn) -> bytes:
    """A sound file cut short, with bytes changed (its header most likely), or both."""
    data = bytearray(draw(st.sampled_from(sound_files())))
    places = st.integers(0, 600) | st.integers(0, len(data) - 1) | st.integers(max(0, len(data) - 600), len(data) - 1)
    for _ in range(draw(st.integers(0, 8))):
        data[draw(places) % len(data)] = draw(st.sampled_from([0, 1, 127, 255]) | st.integers(0, 255))
    if draw(st.booleans()):
        del data[draw(places) :]
    return bytes(data)


@pytest.mark.filterwarnings("ignore")
@settings(deadline=None)
@given(broken_files())
@example(b"")
@example(b"II*\0")
@example(b"II+\0\x08\0\0\0" + b"\xff" * 40)
def test_a_broken_file_gets_a_sentence_or_a_picture(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "broken.tif", Path(folder) / "tiles"
        path.write_bytes(data)
        started = time.process_time()
        try:
            with open_scene(path) as scene:
                plan = make_plan(scene, CARD, PlanOptions(force=True))
                with scene.at(View(plan.maxzoom, ColourTransform(SHOWN))) as source:
                    source.read(next(plan.blocks()))
            if plan.block_count < 20:
                tile(path, out, card=CARD, force=True)
                assert (out / "tilejson.json").exists()
        except Geo2MapError as error:
            sentence = str(error)
            assert "\n" not in sentence
            assert 20 < len(sentence) < 900
            assert "Error" not in sentence.split(":")[0]
            assert not [found for found in Path(folder).iterdir() if found != path]
        assert time.process_time() - started < 30  # processor time, however busy the machine is
