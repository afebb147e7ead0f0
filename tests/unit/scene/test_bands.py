"""Which bands become red, green and blue, and what says which pixels are valid: the file's word, weighed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp
from rasterio.io import DatasetWriter
from rasters import write_raster

from geo2map import grid
from geo2map.colour.stretch import SHOWN
from geo2map.errors import BandError
from geo2map.grid.block import Block
from geo2map.scene import ColourTransform, Scene, View, open_scene
from geo2map.scene.sample import SPREAD, WHOLE_PIXELS

ZOOM = 17
SIDE = 64
SIZE = grid.mercator_resolution(ZOOM)
GRID = Affine(SIZE, 0, 38617 * 256 * SIZE - grid.HALF_WORLD, 0, -SIZE, grid.HALF_WORLD - 49269 * 256 * SIZE)
R, G, B, A = ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha
NONE, GRAY = ColorInterp.undefined, ColorInterp.gray
Writer = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Writes bands (C, SIDE, SIDE), a pixel a global pixel, and marks them."""

    def write_bands(bands: np.ndarray, roles: tuple[ColorInterp, ...] = (), **profile: Any) -> Path:
        def describe(dataset: DatasetWriter) -> None:
            if roles:
                dataset.colorinterp = roles

        fixed = {"crs": "EPSG:3857", "transform": GRID, "photometric": "MINISBLACK"}
        return write_raster(tmp_path / "scene.tif", bands, describe, **fixed | profile)

    return write_bands


def noise(count: int, dtype: str = "uint8", high: int = 255, side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(count).integers(1, high, (count, side, side)).astype(dtype)


def read(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (SIDE, SIDE, 3) and mask of the scene, whose values are 8-bit whatever their type."""
    with scene.at(View(ZOOM, ColourTransform(SHOWN))) as source:
        image = source.read(Block(ZOOM, 38617, 49269, 1, 1))
    return image.pixels[:SIDE, :SIDE], image.mask[:SIDE, :SIDE]


# Roles


@pytest.mark.parametrize(
    ("roles", "indexes"),
    [
        ((GRAY,), (1, 1, 1)),
        ((GRAY, NONE), (1, 1, 1)),
        ((GRAY, A), (1, 1, 1)),
        ((A, GRAY), (2, 2, 2)),
        ((NONE, NONE, NONE), (1, 2, 3)),
        ((R, G, B), (1, 2, 3)),
        ((B, G, R, NONE), (3, 2, 1)),
        ((NONE, B, G, R), (4, 3, 2)),
        ((R, G, B, A), (1, 2, 3)),
        ((A, R, G, B), (2, 3, 4)),
        ((GRAY, NONE, NONE, NONE, NONE, NONE, NONE, NONE), (1, 2, 3)),
        ((A,), (1, 1, 1)),
    ],
)
def test_the_default_goes_by_colour(roles: tuple[ColorInterp, ...], indexes: tuple[int, ...], write: Writer) -> None:
    bands = noise(len(roles))
    for index, role in enumerate(roles):
        if role == A and len(roles) > 1:
            bands[index] = 255
    with open_scene(write(bands, roles)) as scene:
        assert scene.indexes == indexes
        pixels, mask = read(scene)
        sample = scene.sample()
    assert mask.all()
    expected = np.stack([bands[index - 1] for index in indexes], axis=-1)
    np.testing.assert_array_equal(pixels, expected)
    np.testing.assert_array_equal(sample, expected.reshape(-1, 3))


@pytest.mark.parametrize(("asked", "indexes"), [((2,), (2, 2, 2)), ([5, 1, 1], (5, 1, 1)), ((4, 2, 1), (4, 2, 1))])
def test_bands_may_be_asked_for(asked: Any, indexes: tuple[int, ...], write: Writer) -> None:
    bands = noise(5)
    with open_scene(write(bands), indexes=asked) as scene:
        assert scene.indexes == indexes
        pixels, _ = read(scene)
    np.testing.assert_array_equal(pixels, np.stack([bands[index - 1] for index in indexes], axis=-1))


def test_a_palette_gives_its_colours(write: Writer) -> None:
    values = np.arange(SIDE * SIDE).reshape(1, SIDE, SIDE).astype(np.uint8)
    path = write(values, photometric="PALETTE", nodata=5)
    table = {value: (value, 255 - value, 77, 0 if value == 9 else 255) for value in range(256)}
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, table)
    with open_scene(path) as scene:
        pixels, mask = read(scene)
        sample = scene.sample()
    np.testing.assert_array_equal(mask, values[0] != 5)  # GeoTIFF's palettes have no alpha
    np.testing.assert_array_equal(pixels[mask], np.array([table[value][:3] for value in values[0][mask]]))
    np.testing.assert_array_equal(sample, pixels[mask])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "uint32", "int32", "float32", "float64", "int8"])
def test_every_type_of_number(dtype: str, write: Writer) -> None:
    bands = noise(3, dtype, 127)
    with open_scene(write(bands)) as scene:
        pixels, mask = read(scene)
    assert mask.all()
    np.testing.assert_array_equal(pixels, np.moveaxis(bands, 0, -1))


def test_what_is_no_colour(write: Writer) -> None:
    with pytest.raises(BandError, match="complex numbers"):
        open_scene(write(noise(1).astype(np.complex64)))


# Validity


def hole() -> np.ndarray:
    valid = np.ones((SIDE, SIDE), np.bool_)
    valid[10:30, 20:40] = False
    return valid


@pytest.mark.parametrize(
    ("dtype", "nodata"), [("float32", np.nan), ("float64", -9999.0), ("int16", -32768), ("uint16", 0)]
)
@pytest.mark.parametrize("declared", [True, False])
def test_nodata_of_every_type(dtype: str, nodata: float, declared: bool, write: Writer) -> None:
    bands = np.where(hole(), noise(3, "float64"), nodata).astype(dtype)
    path = write(bands, nodata=nodata if declared else None)
    with open_scene(path, nodata=None if declared else nodata) as scene:
        _, mask = read(scene)
        sample = scene.sample()
    np.testing.assert_array_equal(mask, hole())
    assert len(sample) == hole().sum()
    assert np.isfinite(sample.astype(float)).all()


def test_nan_needs_no_declaration_and_no_company(write: Writer) -> None:
    """A colour that lacks one band is none, even where another value is declared as nodata."""
    bands = noise(3, "float32")
    bands[1][~hole()] = np.nan
    for nodata in (None, -9999.0):
        with open_scene(write(bands, nodata=nodata)) as scene:
            _, mask = read(scene)
            assert len(scene.sample()) == hole().sum()
        assert not mask[~hole()].any()
        assert mask[:8].all()  # a kernel's reach away all is well


def test_a_word_on_nodata_overrides_the_files(write: Writer) -> None:
    bands = np.where(hole(), noise(3), 0).astype(np.uint8)
    bands[:, :5] = 200
    path = write(bands, nodata=200)
    with open_scene(path) as scene:
        np.testing.assert_array_equal(read(scene)[1][:, 0], np.arange(SIDE) >= 5)
    with open_scene(path, nodata=0) as scene:
        np.testing.assert_array_equal(read(scene)[1], hole())


@pytest.mark.parametrize(("dtype", "nodata"), [("uint8", 256), ("uint8", -1), ("uint8", 0.5), ("uint16", np.nan)])
def test_a_nodata_that_no_pixel_can_have(dtype: str, nodata: float, write: Writer) -> None:
    with pytest.raises(BandError, match=f"nodata {nodata:g} does not fit .* holds {dtype}"):
        open_scene(write(noise(3, dtype)), nodata=nodata)


@pytest.mark.parametrize(
    ("top", "dtype"), [(255, "uint8"), (255, "uint16"), (65535, "uint16"), (1, "uint8"), (1, "float32")]
)
def test_half_opaque_is_valid(top: int, dtype: str, write: Writer) -> None:
    """Whatever number stands for opaque; alpha is mixed like a colour, and half of it is enough."""
    alpha = np.full((SIDE, SIDE), top, dtype)
    alpha[10:20], alpha[20:30], alpha[30:] = 0, top * 0.4, top
    if top > 1:
        alpha[40:50] = round(top * 0.6)
    bands = np.concatenate((noise(3, dtype), alpha[None]))
    with open_scene(write(bands, (R, G, B, A))) as scene:
        _, mask = read(scene)
        assert len(scene.sample()) == mask.sum()
    expected = np.ones(SIDE, np.bool_)
    expected[10:30] = False
    np.testing.assert_array_equal(mask, np.broadcast_to(expected[:, None], mask.shape))


def test_infrared_marked_as_alpha_is_not_believed(write: Writer) -> None:
    """As in some SpaceNet cuts: the values of the fourth band are those of an image."""
    with open_scene(write(noise(4), (R, G, B, A))) as scene:
        _, mask = read(scene)
        assert mask.all()
        assert len(scene.sample()) == SIDE * SIDE
        assert any("band 4 is marked as alpha, but" in note for note in scene.notes)


def test_soft_edges_are_an_alpha(write: Writer) -> None:
    alpha = np.clip(np.arange(SIDE) * 8 - 120, 0, 255).astype(np.uint8)
    bands = np.concatenate((noise(3), np.broadcast_to(alpha, (1, SIDE, SIDE))))
    with open_scene(write(bands, (R, G, B, A))) as scene:
        _, mask = read(scene)
        assert scene.notes == ()
    np.testing.assert_array_equal(mask[0], alpha >= 128)


def test_mask_and_nodata_must_agree(write: Writer) -> None:
    bands = noise(3)
    bands[:, :5] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(write(bands, nodata=0), "r+") as dataset:
        dataset.write_mask(hole())
    with open_scene(dataset.name) as scene:
        _, mask = read(scene)
        assert len(scene.sample()) == mask.sum()
    expected = hole()
    expected[:5] = False
    np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize(("nodata", "share", "asked"), [(None, 0.3, True), (None, 0.005, False), (0, 0.3, False)])
def test_a_black_collar_is_asked_about(nodata: float | None, share: float, asked: bool, write: Writer) -> None:
    bands = noise(3)
    bands[:, : round(SIDE * share)] = 0
    with open_scene(write(bands, nodata=nodata)) as scene:
        assert any("set nodata to 0" in note for note in scene.notes) is asked


# A look at large scenes


@pytest.mark.parametrize("layout", [{"tiled": True, "blockxsize": 256, "blockysize": 256}, {"blockysize": 1}])
def test_a_large_scene_is_sampled_by_its_blocks(layout: dict[str, Any], tmp_path: Path) -> None:
    """An east-west ramp, only partly written: the sample sees every part of what there is."""
    side = round(WHOLE_PIXELS**0.5) + 2000
    profile = {"driver": "GTiff", "width": side, "height": side, "count": 1, "dtype": "uint8", "nodata": 0}
    profile |= {
        "crs": "EPSG:32618",
        "transform": Affine(1, 0, 5e5, 0, -1, 4.5e6),
        "sparse_ok": True,
        "compress": "deflate",
    }
    ramp = (np.arange(side) * 255 // side + 1).clip(1, 255).astype(np.uint8)
    path = tmp_path / "large.tif"
    with rasterio.open(path, "w", **profile | layout) as dataset:
        for row in range(0, side, 1024):
            window = rasterio.windows.Window(0, row, side, min(256, side - row))
            dataset.write(np.broadcast_to(ramp, (1, window.height, side)), window=window)
    with open_scene(path) as scene:
        sample = scene.sample()
    levels = np.percentile(sample, (2, 50, 98))
    assert levels == pytest.approx((5, 128, 250), abs=10)
    assert len(sample) > SPREAD**2
    assert len(sample) <= 1.1 * 1024**2
