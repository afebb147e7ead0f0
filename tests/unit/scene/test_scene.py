"""The reader: right place, right pixels, nothing invented where there is no data, whatever says so."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, Resampling
from rasterio.env import get_gdal_config
from rasterio.warp import reproject, transform
from rasterio.windows import Window
from rasters import write_raster
from scipy.ndimage import gaussian_filter

from geo2map import grid
from geo2map.colour.stretch import make_stretch
from geo2map.colour.transform import make_rendition
from geo2map.errors import BandError, SceneError
from geo2map.grid import PixelWindow
from geo2map.grid.block import Block, BlockImage
from geo2map.scene import ColourTransform, Scene, SceneSource, View, open_scene
from geo2map.scene.gdal import reading

ZOOM = 17
HEIGHT, WIDTH = 200, 240
SIZE = grid.mercator_resolution(ZOOM)
ON_GRID = PixelWindow(38617 * 256 + 100, 49269 * 256 + 60, 38617 * 256 + 100 + WIDTH, 49269 * 256 + 60 + HEIGHT)
GRID_BOUNDS = grid.window_bounds(ON_GRID, ZOOM)

CUSTOM = CRS.from_proj4("+proj=laea +lat_0=48.2 +lon_0=16.4 +datum=WGS84 +units=m").to_wkt()
PLACES = {
    "EPSG:3857 on the grid": ("EPSG:3857", Affine(SIZE, 0, GRID_BOUNDS.left, 0, -SIZE, GRID_BOUNDS.top)),
    "EPSG:3857 off the grid": ("EPSG:3857", Affine(1.1, 0, -8_238_000.3, 0, -1.3, 4_970_000.7)),
    "UTM 18N": ("EPSG:32618", Affine(0.9, 0, 590_000, 0, -0.9, 4_510_000)),
    "UTM 33S": ("EPSG:32733", Affine(0.9, 0, 300_000, 0, -0.9, 6_250_000)),
    "EPSG:4326": ("EPSG:4326", Affine(1.1e-5, 0, -74.0, 0, -0.8e-5, 40.7)),
    "Swiss LV95": ("EPSG:2056", Affine(0.7, 0, 2_683_000, 0, -0.7, 1_248_000)),
    "state plane": ("EPSG:26986", Affine(1, 0, 233_572.4, 0, -1, 915_538.0)),
    "New Zealand": ("EPSG:2193", Affine(0.8, 0, 1_570_000, 0, -0.8, 5_180_000)),
    "custom WKT": (CUSTOM, Affine(0.9, 0, 3_000, 0, -0.9, -2_000)),
    "rotated": (
        "EPSG:32618",
        Affine.translation(590_000, 4_510_000) @ Affine.rotation(33) @ Affine.scale(0.9, -0.9),
    ),
    "south up": ("EPSG:32618", Affine(0.9, 0, 590_000, 0, 0.9, 4_510_000)),
}
SceneWriter = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> SceneWriter:
    """Writes bands (C, H, W) as scene.tif."""

    def write_scene(bands: np.ndarray, place: str = "UTM 18N", **profile: Any) -> Path:
        crs, matrix = PLACES[place]
        return write_raster(tmp_path / "scene.tif", bands, crs=crs, transform=matrix, **profile)

    return write_scene


def smooth(seed: int = 0) -> np.ndarray:
    """Soft blobs, uint8 (3, HEIGHT, WIDTH), 40 to 215."""
    noise = np.random.default_rng(seed).standard_normal((3, HEIGHT, WIDTH))
    blobs = gaussian_filter(noise, (0, 4, 4))
    return np.clip(128 + 30 * blobs / blobs.std(), 40, 215).astype(np.uint8)


def holed() -> np.ndarray:
    """Where there are data: a slanted corner and a rectangle are missing, bool (HEIGHT, WIDTH)."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    valid = rows + columns > 90
    valid[110:150, 130:200] = False
    return np.asarray(valid)


def read_whole(source: SceneSource, window: PixelWindow) -> BlockImage:
    """One block of all the tiles that a window touches."""
    tiles = grid.tile_range(window)
    return source.read(Block(ZOOM, tiles.left, tiles.top, tiles.width, tiles.height))


def cut(image: BlockImage, window: PixelWindow) -> tuple[np.ndarray, np.ndarray]:
    part = window.slices(image.block.window)
    return image.pixels[part], image.mask[part]


def read_scene(path: Path, rendition: ColourTransform | None = None) -> tuple[PixelWindow, np.ndarray, np.ndarray]:
    """The scene's window, pixels and mask at zoom 17."""
    with open_scene(path) as scene, scene.at(View(ZOOM, rendition or ColourTransform())) as source:
        window = scene.window(ZOOM)
        return window, *cut(read_whole(source, window), window)


# Place


CONTROL_POINTS = [(row, column) for row in (25, 60, 100, 140) for column in (30, 75, 120, 165, 210)]
CORNERS = [(5, 5), (5, WIDTH - 5), (HEIGHT - 5, 5), (HEIGHT - 5, WIDTH - 5)]


@pytest.mark.parametrize("resampling", ["bilinear", "cubic", "average"])
@pytest.mark.parametrize("place", PLACES)
def test_painted_dots_are_found_where_proj_says(place: str, resampling: Any, write: SceneWriter) -> None:
    """Near the four corners and at 20 points inside, the corner between four pixels is the middle of a dot."""
    dots = np.zeros((HEIGHT, WIDTH))
    for row, column in CONTROL_POINTS + CORNERS:
        dots[row - 2 : row + 2, column - 2 : column + 2] = 200
    bands = np.broadcast_to(dots.astype(np.uint8), (3, HEIGHT, WIDTH))
    with open_scene(write(bands, place)) as scene, scene.at(View(ZOOM, ColourTransform(), resampling)) as source:
        window = scene.window(ZOOM)
        pixels, _ = cut(read_whole(source, window), window)
    crs, matrix = PLACES[place]
    rows, columns = np.mgrid[: window.height, : window.width] + 0.5
    for row, column in CONTROL_POINTS + CORNERS:
        (x,), (y,) = transform(crs, "EPSG:3857", *([value] for value in matrix @ (column, row)))
        expected = (x + grid.HALF_WORLD) / SIZE - window.left, (grid.HALF_WORLD - y) / SIZE - window.top
        near = np.where(np.hypot(columns - expected[0], rows - expected[1]) < 9, pixels[..., 0], 0).astype(float)
        found = (near * columns).sum() / near.sum(), (near * rows).sum() / near.sum()
        assert np.hypot(found[0] - expected[0], found[1] - expected[1]) < 0.5


@pytest.mark.parametrize("place", PLACES)
def test_the_window_holds_the_scene_and_no_more(place: str, write: SceneWriter) -> None:
    _, _, mask = read_scene(write(smooth(), place))
    rim = [mask[:2].any(), mask[-2:].any(), mask[:, :2].any(), mask[:, -2:].any()]
    assert all(rim)


@pytest.mark.parametrize("latitude", [0.0, 40.7, -33.9, 60.0])
def test_ground_resolution_is_on_the_ground(latitude: float, tmp_path: Path, write: SceneWriter) -> None:
    degree = 1 / 111_195  # of latitude, on a sphere, a metre
    path = write(smooth(), "EPSG:4326")
    with rasterio.open(path, "r+") as dataset:
        dataset.transform = Affine(degree / math.cos(math.radians(latitude)), 0, 10, 0, -degree, latitude)
    with open_scene(path) as scene:
        assert scene.ground_resolution == pytest.approx(1.0, rel=0.01)
        assert scene.latitude == pytest.approx(latitude, abs=0.01)
    assert path.parent == tmp_path


# Pixels


def referee(
    path: Path, window: PixelWindow, resampling: str, scale: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (H, W, 3) and mask of the whole scene, warped in one go by rasterio alone.

    It is told the scale of the kernel: left alone it takes the bounding boxes', wrong for a rotated scene.
    """
    bounds, shape = grid.window_bounds(window, ZOOM), (window.height, window.width)
    matrix = Affine(SIZE, 0, bounds.left, 0, -SIZE, bounds.top)
    with rasterio.open(path) as dataset:
        options = {"dst_crs": "EPSG:3857", "dst_transform": matrix, "src_crs": dataset.crs, "tolerance": 0}
        options |= {"src_transform": dataset.transform, "resampling": Resampling[resampling]}
        options |= {"XSCALE": min(1.0, scale[0]), "YSCALE": min(1.0, scale[1])}
        pixels, _ = reproject(dataset.read(), np.zeros((3, *shape), np.uint8), **options)
        valid, _ = reproject(
            np.full(dataset.shape, 255, np.uint8),
            np.zeros(shape, np.uint8),
            **options | {"resampling": Resampling.nearest},
        )
    return np.moveaxis(pixels, 0, -1), valid > 0


@pytest.mark.parametrize("resampling", ["nearest", "bilinear", "cubic", "lanczos"])
@pytest.mark.parametrize("place", PLACES)
def test_pixels_are_those_of_one_whole_warp(place: str, resampling: Any, write: SceneWriter) -> None:
    path = write(smooth(), place)
    with open_scene(path) as scene, scene.at(View(ZOOM, ColourTransform(), resampling)) as source:
        window = scene.window(ZOOM)
        pixels, mask = cut(read_whole(source, window), window)
        scale = scene.footprint.scale(SIZE)
    expected, valid = referee(path, window, resampling, scale)
    assert (mask != valid).mean() < 0.01  # only along the rim
    both = mask & valid
    for _ in range(3):  # a kernel's reach from the rim, where weights are shared out anew
        both[1:-1, 1:-1] &= both[2:, 1:-1] & both[:-2, 1:-1] & both[1:-1, 2:] & both[1:-1, :-2]
    both[:3], both[-3:], both[:, :3], both[:, -3:] = False, False, False, False
    difference = np.abs(pixels.astype(int) - expected)[both]
    assert both.mean() > 0.3
    if resampling == "nearest":  # a pixel exactly between two may be either
        assert (difference > 0).mean() < 0.001
    else:
        assert difference.max() <= 1


@pytest.mark.parametrize("place", PLACES)
def test_a_pixel_is_the_same_whichever_block_asks(place: str, write: SceneWriter) -> None:
    noise = np.random.default_rng(4).integers(1, 255, (3, HEIGHT, WIDTH), dtype=np.uint8)
    path = write(noise * holed(), place, nodata=0)
    with open_scene(path) as scene, scene.at(View(ZOOM)) as source:
        whole = read_whole(source, scene.window(ZOOM))
        for margin in (0, 7, 160):
            for tile in whole.block.tiles:
                image = source.read(Block(ZOOM, tile.x, tile.y, 1, 1, margin))
                part = image.block.window.intersection(whole.block.window)
                for ours, theirs in zip(cut(image, part), cut(whole, part), strict=True):
                    np.testing.assert_array_equal(ours, theirs)


def test_on_the_grid_nothing_is_resampled(write: SceneWriter) -> None:
    noise = np.random.default_rng(4).integers(1, 255, (3, HEIGHT, WIDTH), dtype=np.uint8)
    window, pixels, mask = read_scene(write(noise, "EPSG:3857 on the grid"))
    assert window == ON_GRID
    assert mask.all()
    np.testing.assert_array_equal(np.moveaxis(pixels, -1, 0), noise)


# Validity


def with_nodata(write: SceneWriter, pixels: np.ndarray, valid: np.ndarray) -> Path:
    return write(pixels * valid, "EPSG:3857 on the grid", nodata=0)


def with_alpha(write: SceneWriter, pixels: np.ndarray, valid: np.ndarray) -> Path:
    bands = np.concatenate((pixels, valid[None] * np.uint8(255)))
    return write(bands, "EPSG:3857 on the grid", photometric="RGB", alpha="YES")


def with_alpha_first(write: SceneWriter, pixels: np.ndarray, valid: np.ndarray) -> Path:
    bands = np.concatenate((valid[None] * np.uint8(255), pixels))
    path = write(bands, "EPSG:3857 on the grid", photometric="MINISBLACK", alpha="NO")
    with rasterio.open(path, "r+") as dataset:
        dataset.colorinterp = (ColorInterp.alpha, ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    return path


def with_internal_mask(write: SceneWriter, pixels: np.ndarray, valid: np.ndarray) -> Path:
    path = write(pixels, "EPSG:3857 on the grid")
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(valid)
    assert not path.with_suffix(".tif.msk").exists()
    return path


def with_external_mask(write: SceneWriter, pixels: np.ndarray, valid: np.ndarray) -> Path:
    path = write(pixels, "EPSG:3857 on the grid")
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(valid)
    assert path.with_suffix(".tif.msk").exists()
    return path


KINDS = [with_nodata, with_alpha, with_alpha_first, with_internal_mask, with_external_mask]


@pytest.mark.parametrize("sampled", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_validity_is_the_files_whatever_says_so(kind: Callable[..., Path], sampled: bool, write: SceneWriter) -> None:
    valid, pixels = holed(), smooth()
    with open_scene(kind(write, pixels, valid)) as scene:
        if sampled:  # as a plan does, before the warp
            assert len(scene.sample()) == valid.sum()
        with scene.at(View(ZOOM)) as source:
            found, mask = cut(read_whole(source, ON_GRID), ON_GRID)
        coverage = scene.coverage(ZOOM, 1)
    np.testing.assert_array_equal(mask, valid)
    np.testing.assert_array_equal(coverage, valid)
    np.testing.assert_array_equal(found[valid], np.moveaxis(pixels, 0, -1)[valid])


@pytest.mark.parametrize("kind", KINDS)
def test_missing_pixels_do_not_bleed_into_valid_ones(kind: Callable[..., Path], write: SceneWriter) -> None:
    """Shifted by half a pixel, so that every kernel along the rim reaches into the hole."""
    valid = holed()
    path = kind(write, np.full((3, HEIGHT, WIDTH), 200, np.uint8), valid)
    with rasterio.open(path, "r+") as dataset:
        dataset.transform = dataset.transform @ Affine.translation(0.5, 0.5)
    _, pixels, mask = read_scene(path)
    assert 0.97 < mask.sum() / valid.sum() < 1.03
    assert (pixels[mask] == 200).all()


def test_black_is_a_colour_where_no_nodata_is_declared(write: SceneWriter) -> None:
    _, pixels, mask = read_scene(write(np.zeros((3, HEIGHT, WIDTH), np.uint8), "EPSG:3857 on the grid"))
    assert mask.all()
    assert not pixels.any()


def test_one_band_at_nodata_is_a_colour(write: SceneWriter) -> None:
    """Pure red has two bands of 0; only all three at once mean no data."""
    bands = np.zeros((3, HEIGHT, WIDTH), np.uint8)
    bands[0, :, 100:] = 250
    _, _, mask = read_scene(write(bands, "EPSG:3857 on the grid", nodata=0))
    np.testing.assert_array_equal(mask, bands[0] > 0)


def test_a_rotated_scene_is_valid_in_its_footprint_only(write: SceneWriter) -> None:
    window, _, mask = read_scene(write(smooth(), "rotated"))
    crs, matrix = PLACES["rotated"]
    rows, columns = np.mgrid[: window.height, : window.width] + 0.5
    x = (columns.ravel() + window.left) * SIZE - grid.HALF_WORLD
    y = grid.HALF_WORLD - (rows.ravel() + window.top) * SIZE
    easts, norths = transform("EPSG:3857", crs, x, y)
    scene_columns, scene_rows = ~matrix @ (np.array(easts), np.array(norths))
    depth = np.minimum.reduce([scene_columns, WIDTH - scene_columns, scene_rows, HEIGHT - scene_rows])
    depth = depth.reshape(mask.shape)
    assert mask[depth > 0.5].all()
    assert not mask[depth < -0.5].any()


def test_beyond_the_scene_there_is_nothing(write: SceneWriter) -> None:
    with open_scene(write(smooth())) as scene, scene.at(View(ZOOM)) as source:
        tiles = grid.tile_range(scene.window(ZOOM))
        far = source.read(Block(ZOOM, tiles.right + 1, tiles.bottom + 1, 1, 1, 32))
        corner_of_the_world = source.read(Block(ZOOM, 0, 0, 1, 1, 32))
    for image in (far, corner_of_the_world):
        assert not image.mask.any()


# Bands and numbers


def test_bands_are_chosen_by_their_colour(write: SceneWriter) -> None:
    path = write(np.stack([smooth(seed)[0] for seed in range(4)]))
    with rasterio.open(path, "r+") as dataset:
        dataset.colorinterp = (ColorInterp.undefined, ColorInterp.blue, ColorInterp.green, ColorInterp.red)
    with open_scene(path) as scene:
        assert scene.indexes == (4, 3, 2)
    with open_scene(path, indexes=(1, 1, 2)) as scene:
        assert scene.indexes == (1, 1, 2)


@pytest.mark.parametrize(
    ("indexes", "found"),
    [((1, 2, 9), "1 to 3"), ((0, 1, 2), "1 to 3"), ((1, 2), "one band"), ((1, 2, 3, 3), "one band"), ((), "one band")],
)
def test_bands_that_are_not_there(indexes: tuple[int, ...], found: str, write: SceneWriter) -> None:
    with pytest.raises(BandError, match=found):
        open_scene(write(smooth()), indexes=indexes)


def test_8_bit_values_in_16_bits_are_left_alone(write: SceneWriter) -> None:
    bands = smooth()
    _, plain, _ = read_scene(write(bands))
    path = write(bands.astype(np.uint16))
    with open_scene(path) as scene:
        rendition, _ = make_rendition(scene.sample(), None, "none")
    _, wide, _ = read_scene(path, rendition)
    np.testing.assert_array_equal(wide, plain)


def test_16_bit_values_are_stretched_once_for_the_whole_scene(write: SceneWriter) -> None:
    """A dark western and a bright eastern half keep their order: no block has a stretch of its own."""
    bands = smooth().astype(np.uint16) * 10
    bands[:, :, WIDTH // 2 :] += 6000
    path = write(bands, "EPSG:3857 on the grid")
    with open_scene(path) as scene:
        stretch = make_stretch(scene.sample())
    assert stretch is not None
    low, high = np.percentile(bands.reshape(3, -1), (2, 98), axis=1)
    np.testing.assert_allclose(stretch, np.transpose((low, high)))
    _, pixels, _ = read_scene(path, ColourTransform(stretch))
    expected = np.clip((bands - low[:, None, None]) / (high - low)[:, None, None], 0, 1) * 255
    assert np.abs(pixels - np.moveaxis(expected, 0, -1)).max() <= 0.51


@pytest.mark.parametrize("dtype", ["float32", "int16"])
def test_a_stretch_survives_strange_values(dtype: str) -> None:
    values = np.linspace(-500, 3000, 3000).reshape(-1, 3).astype(dtype)
    if dtype == "float32":
        values[5] = np.nan
    stretched = ColourTransform(make_stretch(values)).stretched(values)
    assert (stretched.min(), stretched.max()) == (0, 255)


def test_a_constant_scene_can_be_stretched() -> None:
    values = np.full((100, 3), 5000, np.uint16)
    with np.errstate(all="raise"):
        assert len(np.unique(ColourTransform(make_stretch(values)).stretched(values))) == 1


# Damage and size


def test_damage_is_never_read_as_nodata(write: SceneWriter) -> None:
    path = write(smooth(), nodata=0)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with open_scene(path) as scene:
        with pytest.raises(SceneError, match="truncated"):
            scene.coverage(ZOOM, 1)
        with pytest.raises(SceneError, match="truncated"), scene.at(View(ZOOM)) as source:
            read_whole(source, scene.window(ZOOM))


def test_the_block_cache_holds_blocks() -> None:
    """Rasterio takes the number as bytes whatever its size; a cache of 256 bytes made reading 16 times slower.

    Left alone, GDAL takes a twentieth of the machine's memory.
    """
    with reading("scene.tif"):
        assert get_gdal_config("GDAL_CACHEMAX") == 128 * 2**20
    with rasterio.Env(GDAL_CACHEMAX=99 * 2**20), reading("scene.tif"):
        assert get_gdal_config("GDAL_CACHEMAX") == 99 * 2**20


def test_a_scene_is_closed_with_its_context(write: SceneWriter) -> None:
    with Scene(write(smooth())) as scene:
        assert not scene.dataset.closed
    assert scene.dataset.closed


READ_A_FAR_CORNER = """
import json, resource, sys
from geo2map.grid.block import Block
from geo2map.grid import tile_range
from geo2map.scene import ColourTransform, View, open_scene
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
with open_scene(sys.argv[1]) as scene:
    sample = len(scene.sample())
    tiles = tile_range(scene.window(17))
    with scene.at(View(17, ColourTransform())) as source:
        images = [source.read(Block(17, x, tiles.bottom - 1, 1, 1, 160)) for x in range(tiles.right - 60, tiles.right)]
print(json.dumps([peak() - before, sum(int(image.mask.sum()) for image in images), sample]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")
def test_memory_does_not_grow_with_the_scene(tmp_path: Path) -> None:
    path = tmp_path / "huge.tif"
    profile = {"driver": "GTiff", "width": 100_000, "height": 100_000, "count": 3, "dtype": "uint8", "nodata": 0}
    profile |= {"crs": "EPSG:32618", "transform": Affine(0.9, 0, 450_000, 0, -0.9, 4_510_000)}
    profile |= {"tiled": True, "sparse_ok": True, "compress": "deflate", "bigtiff": "yes"}
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(np.full((3, 256, 256), 9, np.uint8), window=Window(99_744, 99_744, 256, 256))
    command = [sys.executable, "-c", READ_A_FAR_CORNER, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    memory, valid, sample = json.loads(done.stdout)
    assert memory < 400  # MB
    assert valid > 10_000
    assert 0 < sample < 2**21
