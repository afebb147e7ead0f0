"""GDAL's own `gdalwarp` is the referee: same grid, same scale of the kernel, same tolerance, same pixels.

Its version may differ from rasterio's GDAL, and it warps in other pieces; so a level of difference is allowed, and
along the rim one pixel of a thousand may be valid for one and not for the other.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.enums import Resampling as Kernel
from scipy.ndimage import gaussian_filter

from geo2map import grid
from geo2map.grid import PixelWindow
from geo2map.grid.block import Block
from geo2map.scene import ColourTransform, Scene, View, open_scene
from geo2map.types import Resampling

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("gdalwarp") is None, reason="needs gdalwarp (Debian's gdal-bin)"),
]

ZOOM = 17
SIZE = grid.mercator_resolution(ZOOM)
HEIGHT, WIDTH = 150, 190
SHEAR = Affine(0.9, 0.25, 0, 0.1, -0.7, 0)
PLACES = {
    "UTM 18N": ("EPSG:32618", Affine(0.9, 0, 590_000, 0, -0.9, 4_510_000)),
    "EPSG:3857": ("EPSG:3857", Affine(1.1, 0, -8_238_000.3, 0, -1.3, 4_970_000.7)),
    "EPSG:4326, oblong at 65 degrees": ("EPSG:4326", Affine(1.1e-5, 0, 25.4, 0, -1.1e-5, 65.0)),
    "Swiss LV95": ("EPSG:2056", Affine(0.7, 0, 2_683_000, 0, -0.7, 1_248_000)),
    "state plane": ("EPSG:26986", Affine(1, 0, 233_572.4, 0, -1, 915_538.0)),
    "NZTM, finer": ("EPSG:2193", Affine(0.4, 0, 1_570_000, 0, -0.4, 5_180_000)),
    "custom": (
        "+proj=laea +lat_0=-10 +lon_0=-60 +ellps=GRS80 +units=m",
        Affine(0.9, 0, 100_000, 0, -0.9, 50_000),
    ),
    "rotated": ("EPSG:32618", Affine.translation(590_000, 4_510_000) @ Affine.rotation(33) @ Affine.scale(0.9, -0.9)),
    "sheared": ("EPSG:32733", Affine.translation(300_000, 6_250_000) @ SHEAR),
    "south up": ("EPSG:32618", Affine(0.9, 0, 590_000, 0, 0.9, 4_510_000)),
    "a quarter turn, oblong": ("EPSG:32618", Affine(0, 1.0, 590_000, -0.5, 0, 4_510_000)),
}


class Kind(NamedTuple):
    """How a scene is stored: type, bands, and what says where data are."""

    dtype: str
    bands: int
    validity: str


KINDS = [
    Kind("uint8", 3, "none"),
    Kind("uint8", 3, "nodata"),
    Kind("uint8", 4, "alpha"),
    Kind("uint8", 4, "soft alpha"),
    Kind("uint8", 3, "mask"),
    Kind("uint8", 1, "nodata"),
    Kind("uint8", 2, "alpha"),
    Kind("uint16", 3, "nodata"),
    Kind("uint16", 4, "alpha"),
    Kind("int16", 3, "nodata"),
    Kind("uint32", 3, "none"),
    Kind("float32", 3, "nan"),
    Kind("float32", 1, "nodata"),
]


def holed() -> np.ndarray:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    valid = rows + columns > 70
    valid[80:110, 100:150] = False
    return np.asarray(valid)


def blobs(bands: int) -> np.ndarray:
    """Soft noise, 1 to 250, float (bands, HEIGHT, WIDTH)."""
    noise = gaussian_filter(np.random.default_rng(7).standard_normal((bands, HEIGHT, WIDTH)), (0, 2, 2))
    return np.clip(125 + 40 * noise / noise.std(), 1, 250).round()


def write(path: Path, kind: Kind, place: str, **more: Any) -> Path:
    """A scene of a kind at a place; values of 16 bits and more are 20 times as large, signed ones half negative."""
    crs, matrix = PLACES[place]
    colours = kind.bands - (kind.bands in (2, 4))
    values = blobs(colours)
    if np.dtype(kind.dtype).itemsize > 1:
        values = values * 20 - (2500 if kind.dtype == "int16" else 0)
    nodata = {"nodata": -9999.0 if kind.dtype in ("int16", "float32") else 0.0, "nan": np.nan}.get(kind.validity)
    if nodata is not None:
        values = np.where(holed(), values, nodata)
    bands = values.astype(kind.dtype)
    if "alpha" in kind.validity:
        alpha = holed() * float(np.iinfo(kind.dtype).max)
        alpha = gaussian_filter(alpha, 3) if kind.validity == "soft alpha" else alpha
        bands = np.concatenate((bands, alpha[None].astype(kind.dtype)))
    profile: dict[str, Any] = {"driver": "GTiff", "count": len(bands), "height": HEIGHT, "width": WIDTH}
    profile |= {
        "dtype": kind.dtype,
        "crs": crs,
        "transform": matrix,
        "nodata": None if kind.validity == "nan" else nodata,
    }
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", **profile | more) as dataset:
        if "alpha" in kind.validity:  # before the pixels: GDAL's writer forgets it after
            gray = (ColorInterp.gray,) if colours == 1 else (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
            dataset.colorinterp = (*gray, ColorInterp.alpha)
        dataset.write(bands)
        if kind.validity == "mask":
            dataset.write_mask(holed())
    return path


def gdalwarp(
    scene: Scene, window: PixelWindow, *options: str, path: Path | None = None, factor: int = 1, crs: str = "EPSG:3857"
) -> np.ndarray:
    """The scene as GDAL's program warps it, colours and alpha, (bands, rows, columns).

    Args:
        path: of another file with the same pixels.
        factor: of the overview that it will take.
        crs: web-mercator in other words.
    """
    bounds = grid.window_bounds(window, ZOOM)
    x, y = (repr(min(1.0, scale * factor)) for scale in scene.footprint.scale(SIZE))
    out = Path(scene.path).with_name("referee.tif")
    command = ["gdalwarp", "-q", "-overwrite", "-t_srs", crs, "-te", *map(repr, bounds), "-dstalpha"]
    command += ["-ts", str(window.width), str(window.height), "-et", "1e-6", "-wo", f"XSCALE={x}", "-wo", f"YSCALE={y}"]
    command += ["-wo", "DST_ALPHA_MAX=255", "-wo", "UNIFIED_SRC_NODATA=YES", *options]
    subprocess.run([*command, str(path or scene.path), str(out)], check=True, capture_output=True)
    with rasterio.open(out) as dataset:
        warped = dataset.read()
        return np.concatenate((warped[: scene.bands.count], warped[-1:]))


def gdal_translate(source: Path, *options: str) -> Path:
    """A VRT with other bands."""
    out = source.with_name("translated.vrt")
    subprocess.run(["gdal_translate", "-q", "-of", "VRT", *options, str(source), str(out)], check=True)
    return out


def ours(scene: Scene, resampling: Any = "cubic") -> tuple[PixelWindow, np.ndarray, np.ndarray]:
    """The scene's window, its pixels as read (before any stretch), and its mask."""
    window = scene.window(ZOOM)
    tiles = grid.tile_range(window)
    kept = Kept()
    with scene.at(View(ZOOM, kept, resampling)) as source:  # type: ignore[arg-type]
        image = source.read(Block(ZOOM, tiles.left, tiles.top, tiles.width, tiles.height))
    return window, kept.values, image.mask[window.slices(image.block.window)]


class Kept(ColourTransform):
    """Keeps the numbers that it is asked to render."""

    def __call__(self, values: np.ndarray) -> np.ndarray:
        object.__setattr__(self, "values", values)
        return np.zeros(values.shape, np.uint8)


def assert_alike(
    found: np.ndarray, mask: np.ndarray, expected: np.ndarray, *, rim: float = 0.001, picked: float = 0.0
) -> None:
    """Within a level, except along the rim, and except for a share where a kernel picked one of two pixels."""
    valid = expected[-1] >= 128
    valid &= np.isfinite(expected[:-1]).all(axis=0)
    assert (valid != mask).mean() < rim
    both = valid & mask
    assert both.mean() > 0.3
    colours = np.moveaxis(expected[:-1], 0, -1)
    colours = colours if colours.shape[-1] == 3 else colours.repeat(3, axis=-1)
    difference = np.abs(found[both].astype(float) - colours[both].astype(float))
    assert (difference > 1).any(axis=-1).mean() <= picked


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: " ".join(map(str, kind)))
@pytest.mark.parametrize("place", PLACES)
def test_pixels_are_gdalwarps(place: str, kind: Kind, tmp_path: Path) -> None:
    with open_scene(write(tmp_path / "scene.tif", kind, place)) as scene:
        window, found, mask = ours(scene)
        nodata = ["-srcnodata", " ".join(["nan"] * kind.bands)] if kind.validity == "nan" else []
        expected = gdalwarp(scene, window, "-r", "cubic", *nodata)
    assert_alike(found, mask, expected)


@pytest.mark.parametrize("place", ["sheared", "NZTM, finer", "a quarter turn, oblong"])
@pytest.mark.parametrize("resampling", sorted(set(get_args(Resampling)) - {"cubic", "lanczos"}))
def test_every_kernel_is_gdals(resampling: str, place: str, tmp_path: Path) -> None:
    """Not lanczos: GDAL 3.6's differs from 3.10's, with which tests/unit/scene/test_scene.py compares it. Kernels that
    count what an output pixel covers treat the rim differently since then."""
    with open_scene(write(tmp_path / "scene.tif", Kind("uint16", 3, "nodata"), place)) as scene:
        window, found, mask = ours(scene, resampling)
        picked = 0.0 if resampling in ("bilinear", "cubic_spline", "average", "rms") else 0.001
        expected = gdalwarp(scene, window, "-r", resampling.replace("_", ""))
    assert_alike(found, mask, expected, rim=0.01, picked=picked)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_ground_control_points_are_gdals(tmp_path: Path) -> None:
    """A bent sheet: `gdalwarp` fits a polynomial of second order to ten points and more."""
    path = write(tmp_path / "scene.tif", Kind("uint8", 3, "nodata"), "UTM 18N")
    _, matrix = PLACES["UTM 18N"]
    points = []
    for row in np.linspace(0, HEIGHT, 4):
        for column in np.linspace(0, WIDTH, 4):
            x, y = matrix @ (column + 0.0002 * row * row, row + 0.0003 * column * row)
            points.append(GroundControlPoint(row, column, x, y))
    with rasterio.open(path) as dataset:
        bands, profile = dataset.read(), dataset.profile
    profile.pop("transform")
    with rasterio.open(tmp_path / "bent.tif", "w", **profile | {"crs": None}) as dataset:
        dataset.write(bands)
        dataset.gcps = (points, "EPSG:32618")
    with open_scene(tmp_path / "bent.tif") as scene:
        window, found, mask = ours(scene)
        assert_alike(found, mask, gdalwarp(scene, window, "-r", "cubic"))


@pytest.mark.parametrize(
    ("crs", "matrix"),
    [
        ("EPSG:32660", Affine(0.9, 0, 714_600, 0, -0.9, 5_550_700)),
        ("EPSG:4326", Affine(1.1e-5, 0, 179.999, 0, -1.1e-5, 50.0)),
        ("EPSG:4326", Affine(1.1e-5, 0, -180.001, 0, -1.1e-5, -16.0)),
    ],
)
def test_a_scene_across_the_antimeridian_is_one_piece(crs: str, matrix: Affine, tmp_path: Path) -> None:
    path = write(tmp_path / "scene.tif", Kind("uint8", 3, "nodata"), "UTM 18N", crs=crs, transform=matrix)
    turned = f"+proj=webmerc +datum=WGS84 +lon_0=180 +x_0={grid.HALF_WORLD!r}"
    with open_scene(path) as scene:
        window, found, mask = ours(scene)
        world = grid.world_window(ZOOM)
        assert window.left < world.right < window.right
        assert_alike(found, mask, gdalwarp(scene, window, "-r", "cubic", crs=turned))


def test_bands_are_taken_in_the_order_asked(tmp_path: Path) -> None:
    path = write(tmp_path / "scene.tif", Kind("uint16", 3, "nodata"), "rotated")
    other = gdal_translate(path, "-b", "3", "-b", "1", "-b", "2")
    with open_scene(path, indexes=(3, 1, 2)) as scene:
        window, found, mask = ours(scene)
        assert_alike(found, mask, gdalwarp(scene, window, "-r", "cubic", path=other))


@pytest.mark.parametrize("nodata", [None, 0])
def test_a_palette_is_expanded_before_the_warp(nodata: int | None, tmp_path: Path) -> None:
    """A mixture of two classes is a mixture of their colours, never a third class."""
    path = write(tmp_path / "scene.tif", Kind("uint8", 1, "nodata"), "sheared", photometric="PALETTE", nodata=nodata)
    table = {value: (value, 255 - value, value * 7 % 256, 255) for value in range(256)}
    table[0] = (200, 100, 0, 255 if nodata is None else 0)
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, table)
    other = gdal_translate(path, "-expand", "rgba")
    with open_scene(path) as scene:
        window, found, mask = ours(scene)
        assert_alike(found, mask, gdalwarp(scene, window, "-r", "cubic", path=other))


def test_every_band_may_have_a_nodata_of_its_own(tmp_path: Path) -> None:
    path = write(tmp_path / "scene.tif", Kind("uint8", 3, "nodata"), "rotated")
    with rasterio.open(path, "r+") as dataset:
        bands = dataset.read()
        bands[1][bands[0] == 0], bands[2][bands[0] == 0] = 7, 255
        dataset.write(bands)
        dataset.nodata = None
    other = gdal_translate(path)
    text = other.read_text()
    for band, value in enumerate((0, 7, 255), 1):
        text = re.sub(rf'(<VRTRasterBand [^>]*band="{band}"[^>]*>)', rf"\1<NoDataValue>{value}</NoDataValue>", text)
    other.write_text(text)
    with open_scene(other) as scene:
        assert scene.bands.nodata == (0, 7, 255)
        window, found, mask = ours(scene)
        assert_alike(found, mask, gdalwarp(scene, window, "-r", "cubic", path=other))


@pytest.mark.parametrize("kind", [Kind("uint8", 3, "nodata"), Kind("uint8", 3, "mask"), Kind("uint8", 4, "alpha")])
def test_the_overview_is_the_one_that_gdalwarp_takes(kind: Kind, tmp_path: Path) -> None:
    path = write(tmp_path / "scene.tif", kind, "UTM 18N", transform=Affine(0.2, 0, 590_000, 0, -0.2, 4_510_000))
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2, 4, 8], Kernel.average)
    with open_scene(path) as scene:  # 4.5 scene pixels a pixel
        window, found, mask = ours(scene)
        expected = gdalwarp(scene, window, "-r", "cubic", "-ovr", "AUTO", factor=4)
        finest = gdalwarp(scene, window, "-r", "cubic", "-ovr", "NONE")
    assert_alike(found, mask, expected)
    both = mask & (finest[-1] >= 128)
    assert np.abs(np.moveaxis(finest[:3], 0, -1)[both].astype(int) - found[both]).max() > 1


def test_a_pixel_is_the_same_whichever_block_or_span_asks(tmp_path: Path) -> None:
    for place in PLACES:
        with open_scene(write(tmp_path / "scene.tif", Kind("uint16", 3, "nodata"), place)) as scene:
            tiles = grid.tile_range(scene.window(ZOOM))
            rendition = ColourTransform(((0.0, 5000.0),) * 3)
            with scene.at(View(ZOOM, rendition)) as source:
                whole = source.read(Block(ZOOM, tiles.left, tiles.top, tiles.width, tiles.height, 64))
            with scene.at(View(ZOOM, rendition)) as source:
                for tile in reversed(list(whole.block.tiles)):
                    for margin in (0, 33, 64):
                        image = source.read(Block(ZOOM, tile.x, tile.y, 1, 1, margin))
                        part = image.block.window.slices(whole.block.window)
                        np.testing.assert_array_equal(image.mask, whole.mask[part])
                        np.testing.assert_array_equal(image.pixels, whole.pixels[part])
