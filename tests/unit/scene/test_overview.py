"""Overviews that do not know which of their pixels are valid: masks and alpha bands that came after them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasters import noise, write_raster

from geo2map.grid import PixelWindow
from geo2map.scene import View, open_scene
from geo2map.scene.bands import choose_bands
from geo2map.scene.overview import choose_overview

HEIGHT, WIDTH = 1100, 1203
ZOOM = 17  # a fifth of the raster's resolution
Maker = Callable[[Path, np.ndarray], Path]


def write(path: Path, bands: int = 3) -> Path:
    place = {"crs": "EPSG:32618", "transform": Affine(0.2, 0, 590_000, 0, -0.2, 4_510_000)}
    return write_raster(path, noise(bands, HEIGHT, WIDTH), tiled=True, **place)


def add_overviews(path: Path, *factors: int, **settings: bool) -> None:
    with rasterio.Env(**settings), rasterio.open(path, "r+") as dataset:
        dataset.build_overviews(factors, Resampling.average)


def add_mask(path: Path, valid: np.ndarray, inside: bool) -> None:
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=inside), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(valid)


def beside(folder: Path, valid: np.ndarray) -> Path:
    """Overviews in the file, a mask beside it that came later."""
    path = write(folder / "scene.tif")
    add_overviews(path, 2, 4, 8, 16)
    add_mask(path, valid, inside=False)
    return path


def within(folder: Path, valid: np.ndarray) -> Path:
    """A mask in the file, overviews beside it."""
    path = write(folder / "scene.tif")
    add_mask(path, valid, inside=True)
    add_overviews(path, 2, 4, 8, 16, TIFF_USE_OVR=True)
    return path


def coarser(folder: Path, valid: np.ndarray) -> Path:
    """A mask with overviews of its own, but of other factors."""
    path = beside(folder, valid)
    add_overviews(folder / "scene.tif.msk", 8, 16)
    return path


def inside(folder: Path, valid: np.ndarray) -> Path:
    """Overviews and a mask in the file, the mask later."""
    path = write(folder / "scene.tif")
    add_overviews(path, 2, 4, 8, 16)
    add_mask(path, valid, inside=True)
    return path


def complete_beside(folder: Path, valid: np.ndarray) -> Path:
    """A mask beside the file that was there before the overviews."""
    path = write(folder / "scene.tif")
    add_mask(path, valid, inside=False)
    add_overviews(path, 2, 4, 8, 16)
    return path


def complete(folder: Path, valid: np.ndarray) -> Path:
    """A mask that was there before the overviews."""
    path = write(folder / "scene.tif")
    add_mask(path, valid, inside=True)
    add_overviews(path, 2, 4, 8, 16)
    return path


def alpha(folder: Path, valid: np.ndarray, overview: str = "small.tif") -> Path:
    """A VRT whose colours have an overview, while its alpha band has none."""
    with rasterio.open(write(folder / "colours.tif")) as dataset:
        small = dataset.read(out_shape=(3, HEIGHT // 4, WIDTH // 4))
    profile = {"driver": "GTiff", "width": WIDTH // 4, "height": HEIGHT // 4, "count": 3, "dtype": "uint8"}
    with rasterio.open(folder / "small.tif", "w", **profile) as dataset:
        dataset.write(small)
    with rasterio.open(write(folder / "alpha.tif", bands=1), "r+") as dataset:
        dataset.write(valid * np.uint8(255), 1)
    reduced = (
        f'<Overview><SourceFilename relativeToVRT="1">{overview}</SourceFilename><SourceBand>%d</SourceBand></Overview>'
    )
    sources = [("Red", "colours", 1), ("Green", "colours", 2), ("Blue", "colours", 3), ("Alpha", "alpha", 1)]
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{number}"><ColorInterp>{role}</ColorInterp><SimpleSource>'
        f'<SourceFilename relativeToVRT="1">{file}.tif</SourceFilename><SourceBand>{band}</SourceBand></SimpleSource>'
        f"{'' if role == 'Alpha' else reduced % band}</VRTRasterBand>"
        for number, (role, file, band) in enumerate(sources, 1)
    )
    path = folder / "scene.vrt"
    path.write_text(
        f'<VRTDataset rasterXSize="{WIDTH}" rasterYSize="{HEIGHT}"><SRS>EPSG:32618</SRS>'
        f"<GeoTransform>590000,0.2,0,4510000,0,-0.2</GeoTransform>{bands}</VRTDataset>"
    )
    return path


def warped(folder: Path, valid: np.ndarray) -> Path:
    """A warped VRT with an alpha band, whose source has a mask without overviews."""
    path = inside(folder, valid)
    with rasterio.open(path) as dataset, WarpedVRT(dataset, crs="EPSG:3857", add_alpha=True) as vrt:
        rasterio.shutil.copy(vrt, folder / "scene.vrt", driver="VRT")
    return folder / "scene.vrt"


def warped_within(folder: Path, valid: np.ndarray) -> Path:
    """A plain VRT of the warped one."""
    with rasterio.open(warped(folder, valid)) as dataset:
        rasterio.shutil.copy(dataset, folder / "outer.vrt", driver="VRT")
    return folder / "outer.vrt"


def without_overviews(folder: Path, valid: np.ndarray) -> Path:
    path = write(folder / "plain.tif")
    add_mask(path, valid, inside=True)
    return path


@pytest.fixture
def valid() -> np.ndarray:
    """A frame of pixels without data."""
    found = np.zeros((HEIGHT, WIDTH), dtype=np.bool_)
    found[100:900, 500:1100] = True
    return found


@pytest.mark.parametrize("make", [beside, within, inside, coarser, alpha])
def test_an_overview_invents_no_valid_pixel(make: Maker, valid: np.ndarray, tmp_path: Path) -> None:
    with open_scene(without_overviews(tmp_path, valid)) as scene, scene.at(View(ZOOM)) as source:
        window = scene.window(ZOOM)
        truth = source.read_window(window)[1]
    with open_scene(make(tmp_path, valid)) as scene, scene.at(View(ZOOM)) as source:
        mask = source.read_window(window)[1]
        assert scene.valid_share == pytest.approx(valid.mean(), abs=0.01)
        assert scene.coverage(ZOOM, 8).mean() == pytest.approx(truth.mean(), abs=0.03)
    assert mask.sum() == pytest.approx(truth.sum(), rel=0.02)
    assert (mask != truth).mean() < 0.02  # along the rim


@pytest.mark.parametrize("make", [warped, warped_within])
def test_overviews_that_gdal_makes_for_a_warped_vrt_invent_no_valid_pixel(
    make: Maker, valid: np.ndarray, tmp_path: Path
) -> None:
    with open_scene(without_overviews(tmp_path, valid)) as scene, scene.at(View(ZOOM)) as source:
        truth = source.read_window(scene.window(ZOOM))[1]
    with open_scene(make(tmp_path, valid)) as scene, scene.at(View(ZOOM)) as source:
        mask = source.read_window(scene.window(ZOOM))[1]
    assert mask.sum() == pytest.approx(truth.sum(), rel=0.02)


def test_a_pixel_is_the_same_in_every_window(valid: np.ndarray, tmp_path: Path) -> None:
    valid[np.random.default_rng(1).random(valid.shape) < 0.4] = False
    with open_scene(beside(tmp_path, valid)) as scene:
        window = scene.window(ZOOM)
        with scene.at(View(ZOOM)) as source:
            pixels, mask = source.read_window(window)
        for x in range(window.left, window.right, 61):
            part = PixelWindow(x, window.top, min(x + 61, window.right), window.bottom)
            with scene.at(View(ZOOM)) as source:
                again = source.read_window(part)
                assert not source.is_empty(part)
            assert (again[0] == pixels[part.slices(window)]).all()
            assert (again[1] == mask[part.slices(window)]).all()


@pytest.mark.parametrize(
    ("make", "knows"),
    [(complete, True), (complete_beside, True), (beside, False), (within, False), (inside, False), (coarser, False)],
)
def test_an_overview_with_a_mask_is_read_with_it(make: Maker, knows: bool, valid: np.ndarray, tmp_path: Path) -> None:
    """The coarsest one, of 76 x 69 pixels, too, whose mask GDAL finds by its size."""
    path = make(tmp_path, valid)
    with rasterio.open(path) as dataset:
        bands = choose_bands(dataset, path.name)
        assert choose_overview(dataset, str(path), bands, ratio=5.9) == (1, (301, 275), knows)
        assert choose_overview(dataset, str(path), bands, ratio=16) == (3, (76, 69), knows or make is coarser)


def test_a_vrt_whose_overview_is_missing_is_read_without_it(valid: np.ndarray, tmp_path: Path) -> None:
    with open_scene(alpha(tmp_path, valid, "missing.tif")) as scene, scene.at(View(ZOOM)) as source:
        assert source.read_window(scene.window(ZOOM))[1].any()
