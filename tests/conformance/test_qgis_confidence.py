"""QGIS opens the raster of confidence beside a map, and draws it with its style: a veil over what is doubtful."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from desktop import ask_qgis, drawn, require_qgis

from geo2map import make_town, render
from geo2map.engine import Engine

pytestmark = pytest.mark.slow


def test_the_veil_is_as_thick_as_the_style_says(engine: Engine, tmp_path: Path) -> None:
    require_qgis(tmp_path)
    make_town(tmp_path / "a.tif", size=400, seed=3)
    render(tmp_path / "a.tif", tmp_path / "town.tif", engine=engine, with_confidence=True)
    path = tmp_path / "town.confidence.tif"
    with rasterio.open(path) as dataset:
        (percent, alpha), bounds, crs = dataset.read(), dataset.bounds, dataset.crs.to_string()
        places = [(100, 100), (150, 200), (200, 120)]
        degrees = rasterio.warp.transform(
            crs, "EPSG:4326", *zip(*(dataset.xy(*place) for place in places), strict=True)
        )
    height, width = percent.shape
    picture = {"layer": "veil", "crs": crs, "bounds": list(bounds), "size": [width, height]}
    asked = {
        "layers": {"veil": {"source": str(path), "provider": "gdal"}},
        "samples": {"veil": [list(place) for place in zip(*degrees, strict=True)]},
        "pictures": [{**picture, "path": str(tmp_path / "veil.png")}],
    }
    told = ask_qgis(tmp_path, asked)
    assert told["layers"]["veil"]["valid"]
    assert told["layers"]["veil"]["crs"] == crs
    assert told["samples"]["veil"] == [[percent[place], alpha[place]] for place in places]
    shown = drawn(tmp_path / "veil.png")
    valid = alpha > 0
    thickness = np.interp(percent, (0, 50, 100), (255, 190, 0))
    assert not shown[~valid].any()
    assert np.abs(shown[..., 3] - thickness)[valid].max() <= 2
    assert (shown[..., :3][shown[..., 3] > 100] > 250).all()
    assert np.ptp(shown[..., 3][valid]) > 100
