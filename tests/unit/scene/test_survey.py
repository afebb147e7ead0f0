"""Looks at a scene: right where they are cheap, and cheap where a file makes them dear."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.windows import Window

from geo2map.scene import open_scene, sample, survey
from geo2map.scene.survey import bounded_shape

WIDTH, HEIGHT = 1600, 800
LAYOUTS: dict[str, dict[str, Any]] = {
    "strips of 1 row": {"blockysize": 1},
    "strips of 64 rows": {"blockysize": 64},
    "one strip": {"blockysize": HEIGHT},
    "tiles": {"tiled": True, "blockxsize": 128, "blockysize": 128},
}


@pytest.fixture(params=LAYOUTS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The whole Earth without overviews; data in the east half alone."""
    path = tmp_path / "world.tif"
    profile = {"driver": "GTiff", "width": WIDTH, "height": HEIGHT, "count": 3, "dtype": "uint8", "nodata": 0}
    place = {"crs": "EPSG:4326", "transform": Affine(360 / WIDTH, 0, -180, 0, -180 / HEIGHT, 90)}
    with rasterio.open(path, "w", **profile, **place, compress="deflate", **LAYOUTS[request.param]) as dataset:
        pixels = np.random.default_rng(0).integers(1, 255, (3, HEIGHT, WIDTH), dtype=np.uint8)
        pixels[:, :, : WIDTH // 2] = 0
        dataset.write(pixels)
    return path


def touched(dataset: rasterio.DatasetReader, size: tuple[int, int]) -> int:
    """Pixels of the blocks that a decimated read decodes."""
    height, width = dataset.block_shapes[0]
    columns = {int((i + 0.5) * dataset.width / size[0]) // width for i in range(size[0])}
    rows = {int((i + 0.5) * dataset.height / size[1]) // height for i in range(size[1])}
    return len(columns) * len(rows) * width * height


def test_a_look_decodes_no_more_than_its_price(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with rasterio.open(world) as dataset:
        assert bounded_shape(dataset, (400, 200)) == (400, 200)
        block = dataset.block_shapes[0][0] * dataset.block_shapes[0][1]
        for price in (2**18, 2**16, 2**10):
            monkeypatch.setattr(survey, "SURVEY_PIXELS", price)
            size = bounded_shape(dataset, (400, 200))
            assert touched(dataset, size) <= max(price, block)
            assert min(size) >= 1


def test_overviews_are_cheap(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with rasterio.open(world, "r+") as dataset:
        dataset.build_overviews([2, 4, 8], rasterio.enums.Resampling.nearest)
    with rasterio.open(world) as dataset:
        monkeypatch.setattr(survey, "SURVEY_PIXELS", 2**21)
        assert bounded_shape(dataset, (200, 100)) == (200, 100)


@pytest.mark.parametrize("price", [2**27, 2**17])
def test_a_cheap_look_sees_where_the_data_are(price: int, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "SURVEY_PIXELS", price)
    with open_scene(world) as scene:
        seen = scene.coverage(3, 32)
    assert seen.shape == (64, 64)
    assert seen[:, 44:].mean() > 0.98
    assert not seen[:, :20].any()


def test_large_blocks_are_sampled_sparingly(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "WHOLE_PIXELS", 2**18)
    read: list[Window] = []
    real = sample._read_share

    def spy(colours: rasterio.DatasetReader, window: Window, count: int) -> np.ndarray:
        read.append(window)
        return real(colours, window, count)

    monkeypatch.setattr(sample, "_read_share", spy)
    with open_scene(world) as scene:
        found = scene.sample()
        height, width = scene.dataset.block_shapes[0]
    assert found.min() > 0
    assert 1000 < len(found) < 1.2 * sample.SAMPLE_SIDE**2
    assert sum(window.width * window.height for window in read) <= max(2**18, height * width)
