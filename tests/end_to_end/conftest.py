"""A random network that is quick and depends strongly on its input, and scenes of blobs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from scipy.ndimage import gaussian_filter

from geo2map import Engine
from geo2map.colour import ColourStatistics
from geo2map.families.unet.generator import UNetGenerator
from geo2map.testing import make_card

SheetWriter = Callable[..., Path]


@pytest.fixture(scope="session")
def quick_engine() -> Engine:
    """Depth 4, a few ms a tile."""
    torch.manual_seed(0)
    network = UNetGenerator((8,) * 4)
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data.normal_(0, 0.2)
    dark = np.random.default_rng(0).gamma(3, 25, (9999, 3)).clip(1, 254).astype(np.uint8)
    card = make_card(
        name="random",
        config={"widths": [8] * 4},
        margin=network.margin,
        size_multiple=network.size_multiple,
        colours=ColourStatistics.of(dark),
    )
    return Engine(network, card, torch.device("cpu"), torch.float32)


@pytest.fixture
def write_sheet(tmp_path: Path) -> SheetWriter:
    """Writes blobs at 0.9 m in UTM 18N, `east` px farther east; a tiled GeoTIFF."""

    def write(name: str, east: int = 0, south: int = 0, seed: int = 2, side: int = 700) -> Path:
        blobs = gaussian_filter(np.random.default_rng(seed).standard_normal((3, side, side)), (0, 2, 2))
        pixels = np.clip(130 + 60 * blobs / blobs.std(), 1, 254).astype(np.uint8)
        matrix = Affine(0.9, 0, 590_000 + 0.9 * east, 0, -0.9, 4_510_000 - 0.9 * south)
        profile = {"driver": "GTiff", "count": 3, "height": side, "width": side, "dtype": "uint8", "nodata": 0}
        tiling = {"tiled": True, "blockxsize": 128, "blockysize": 128}
        with rasterio.open(tmp_path / name, "w", **profile, **tiling, crs="EPSG:32618", transform=matrix) as dataset:
            dataset.write(pixels)
        return tmp_path / name

    return write
