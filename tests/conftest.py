"""Fixtures that several rooms of the tests share, and the profiles of hypothesis."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import settings

from geo2map.engine import Engine, load_engine
from geo2map.town import make_town

settings.register_profile("ci", max_examples=200, deadline=None, derandomize=True)
settings.register_profile("default", max_examples=50, deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "default")

SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real scenes and pairs that are not part of the project."""
    if not SHARED.is_dir():
        pytest.skip("needs the real scenes of ../shared, which are not part of the project")
    return SHARED


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The packaged model on the CPU in fp32."""
    return load_engine("sat2map", device="cpu", precision="fp32")


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small town with a nodata corner."""
    path = tmp_path_factory.mktemp("town") / "town.tif"
    make_town(path, size=1400, seed=3)
    return path


@pytest.fixture
def small_scene(tmp_path: Path) -> Path:
    """A noise scene of 300 x 280 px at 0.9 m in UTM 18N, no town to draw: quick."""
    path = tmp_path / "small.tif"
    pixels = np.random.default_rng(0).integers(1, 255, (3, 280, 300), dtype=np.uint8)
    profile = {"driver": "GTiff", "width": 300, "height": 280, "count": 3, "dtype": "uint8", "crs": "EPSG:32618"}
    with rasterio.open(path, "w", **profile, transform=Affine(0.9, 0, 590_000, 0, -0.9, 4_510_000)) as dataset:
        dataset.write(pixels)
    return path
