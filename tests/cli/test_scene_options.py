"""--indexes, --crs, --nodata, --stretch and --resampling reach the pixels, in every command that reads a scene."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import rasterio
from affine import Affine
from geo2map_cli.options import KERNELS
from rasterio.enums import Resampling

from geo2map.tiles.folder import XyzFolder
from geo2map.types import Resampling as Kernel

Command = Callable[..., Any]
SceneWriter = Callable[..., Path]


@pytest.fixture
def cut(geo2map: Command, tiny_model: Path, tmp_path: Path) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Cuts a scene with some options; gives all valid pixels (pixels, 3) and how many of all are."""

    def run(scene: Path, *options: object) -> tuple[np.ndarray, np.ndarray]:
        out = tmp_path / "tiles"
        result = geo2map("tile", scene, "--out", out, "--model", tiny_model, "--match", "none", "--overwrite", *options)
        assert result.code == 0, result.err
        folder = XyzFolder(out)
        tiles = [folder.read(tile) for tile in folder.tiles(17)]
        pixels, mask = (np.stack(parts) for parts in zip(*filter(None, tiles), strict=True))
        return pixels[mask], mask

    return run


def bands(*levels: int, dtype: str = "uint8") -> np.ndarray:
    """Bands of one level each, (bands, 200, 200)."""
    return np.broadcast_to(np.array(levels, dtype)[:, None, None], (len(levels), 200, 200)).copy()


def test_indexes(cut: Callable[..., Any], write_scene: SceneWriter) -> None:
    scene = write_scene("five.tif", bands(10, 20, 30, 40, 50), photometric="MINISBLACK")
    for asked, colour in ((None, (10, 20, 30)), ("5,3,1", (50, 30, 10)), ("4", (40, 40, 40))):
        pixels, _ = cut(scene, *(() if asked is None else ("--indexes", asked)))
        assert (pixels == colour).all()


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_crs(cut: Callable[..., Any], write_scene: SceneWriter) -> None:
    pixels, _ = cut(write_scene("unknown.tif", bands(10, 20, 30), crs=None), "--crs", "EPSG:32618")
    expected, _ = cut(write_scene("known.tif", bands(10, 20, 30)))
    np.testing.assert_array_equal(pixels, expected)


def test_nodata(cut: Callable[..., Any], write_scene: SceneWriter) -> None:
    collar = bands(10, 20, 30)
    collar[:, :100] = 0
    scene = write_scene("collar.tif", collar)
    _, everything = cut(scene)
    pixels, half = cut(scene, "--nodata", "0")
    assert half.mean() == pytest.approx(everything.mean() / 2, rel=0.02)
    assert (pixels == (10, 20, 30)).all()


def test_stretch(cut: Callable[..., Any], write_scene: SceneWriter) -> None:
    scene = write_scene("deep.tif", bands(500, 1000, 2000, dtype="uint16"))
    assert (cut(scene, "--stretch", "0,2550")[0] == (50, 100, 200)).all()
    assert (cut(scene, "--stretch", "0,2550,0,5100,0,5100")[0] == (50, 50, 100)).all()
    assert (cut(scene, "--stretch", "none")[0] == 255).all()


def test_the_stretch_is_in_the_plan(
    geo2map: Command, write_scene: SceneWriter, tiny_model: Path, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).integers(1000, 3000, (3, 280, 300)).astype(np.uint16)
    scene = write_scene("deep.tif", noise)
    stretches = []
    for asked in ("auto", "minmax", "percentile:2,98"):
        command = [
            "render",
            scene,
            "--out",
            tmp_path / "x",
            "--model",
            tiny_model,
            "--dry-run",
            "--json",
            "--stretch",
            asked,
        ]
        stretches.append(json.loads(geo2map(*command).out)["plan"]["view"]["rendition"]["stretch"])
    assert stretches[0] == stretches[2] == np.percentile(noise.reshape(3, -1), (2, 98), axis=1).T.tolist()
    assert stretches[1] == [[1000, 2999]] * 3


def test_every_kernel_is_offered(cut: Callable[..., Any], write_scene: SceneWriter) -> None:
    assert get_args(Kernel) == KERNELS
    scene = write_scene("plain.tif", bands(10, 20, 30))
    for kernel in KERNELS:
        assert (cut(scene, "--resampling", kernel)[0] == (10, 20, 30)).all()


def test_a_preview_takes_them_too(geo2map: Command, write_scene: SceneWriter, tiny_model: Path, tmp_path: Path) -> None:
    scene = write_scene("five.tif", bands(10, 20, 30, 40, 50, dtype="uint16"), photometric="MINISBLACK")
    options = ("--indexes", "5,3,1", "--stretch", "minmax", "--nodata", "7", "--crs", "EPSG:32618")
    result = geo2map("preview", scene, "--out", tmp_path / "look.png", "--model", tiny_model, *options)
    assert result.code == 0, result.err


def test_a_mask_that_came_after_the_overviews(cut: Callable[..., Any], write_scene: SceneWriter) -> None:
    values = np.random.default_rng(0).integers(1, 255, (3, 1200, 1200), dtype=np.uint8)
    scene = write_scene("late.tif", values, transform=Affine(0.2, 0, 590_000, 0, -0.2, 4_510_000), tiled=True)
    with rasterio.open(scene, "r+") as dataset:
        dataset.build_overviews([2, 4, 8], Resampling.average)
    valid = np.ones((1200, 1200), dtype=np.bool_)
    valid[:, :500] = False
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(scene, "r+") as dataset:
        dataset.write_mask(valid)
    found = cut(scene)[1].sum()
    scene.with_name("late.tif.msk").unlink()
    assert found / cut(scene)[1].sum() == pytest.approx(valid.mean(), abs=0.01)
