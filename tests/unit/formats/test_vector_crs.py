"""Features of a map across the antimeridian in other CRS."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
from small_town import TILESET, ZOOM

from geo2map.api.converting import convert
from geo2map.checking import check
from geo2map.colour.palette import MAPS_PALETTE
from geo2map.errors import PlanError
from geo2map.features import COVERAGE, UNITS, Region, RoadLine
from geo2map.features.style import palette_style
from geo2map.formats.vectors.read import FeatureFile
from geo2map.formats.vectors.write import FeatureWriter
from geo2map.grid import PixelWindow

SEAM, TOP = 256 << ZOOM, 73_000 * 256
WINDOW = PixelWindow(SEAM - 512, TOP, SEAM + 512, TOP + 512)


@pytest.fixture
def fiji(tmp_path: Path) -> Path:
    """A road and a park across 180 degrees, on a map that ends in a slope."""
    corners = np.array([(-400, 20), (-300, 400), (300, 400), (400, 20)]) + np.array((SEAM, TOP))
    ring = (UNITS * corners).tolist()
    road = RoadLine(
        "road", UNITS * np.array([(SEAM - 300, TOP + 90), (SEAM + 310, TOP + 95)]), 8.0, 1.0, 0.9, False, False
    )
    path = tmp_path / "fiji.gpkg"
    writer = FeatureWriter(path, replace(TILESET, name="fiji", window=WINDOW), MAPS_PALETTE.classes)
    for feature in (road, *(Region(kind, shapely.Polygon(ring), 1.0, 0.8) for kind in ("park", COVERAGE))):
        writer.add(feature)
    writer.complete(palette_style(MAPS_PALETTE.entries))
    return path


@pytest.mark.parametrize("crs", ["EPSG:32660", "EPSG:3832", "EPSG:4326"])
def test_a_map_across_the_antimeridian_comes_back(crs: str, fiji: Path, tmp_path: Path) -> None:
    convert(fiji, tmp_path / "other.gpkg", crs_out=crs)
    one, other = FeatureFile.open(fiji), FeatureFile.open(tmp_path / "other.gpkg")
    assert other.crs == crs
    assert repr(list(other.features())) == repr(list(one.features()))
    assert repr(other.near(WINDOW)) == repr(one.near(WINDOW))
    assert other.coverage() == one.coverage()
    assert other.coverage()[0].bounds[2] == UNITS * (SEAM + 400)
    assert not check(tmp_path / "other.gpkg").problems


def test_a_crs_that_begins_anew_there_is_refused(fiji: Path, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="EPSG:3857 is cut at the antimeridian, which fiji lies across"):
        convert(fiji, tmp_path / "other.gpkg", crs_out="EPSG:3857")
