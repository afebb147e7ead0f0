"""Overviews of broken files: sizes that no program would write."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from geo2map.scene.gdal import overview_factors
from geo2map.scene.sample import read_sample


def test_an_overview_larger_than_its_raster_counts_as_the_raster() -> None:
    assert overview_factors(SimpleNamespace(overviews=lambda _: [0, 2, 4])) == [1, 2, 4]


def test_a_sample_is_read_where_the_only_overview_is_larger_than_the_raster() -> None:
    dataset = SimpleNamespace(overviews=lambda _: [0], width=8, height=8)
    colours = SimpleNamespace(count=3, read=lambda **wanted: np.zeros(wanted["out_shape"], np.uint8))
    assert read_sample(colours, dataset, 4).shape == (3, 16)
