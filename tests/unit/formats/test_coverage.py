"""Where a GeoPackage says that its map is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
from small_town import LEFT, TOP, WINDOW, ZOOM, area, write_town

from geo2map.api.drawing import draw
from geo2map.errors import ZoomError
from geo2map.features import COVERAGE_LAYER, UNITS
from geo2map.formats.vectors.read import FeatureFile
from geo2map.tiles.folder import XyzFolder


def drawn(path: Path, out: Path) -> list[tuple[int, int, int]]:
    """Columns and rows of the tiles drawn, and how many of their pixels are."""
    draw(path, out, zoom=ZOOM)
    folder = XyzFolder(out)
    pixels = [(tile, folder.read(tile)) for tile in folder.tiles(ZOOM)]
    return [(tile.x - LEFT, tile.y - TOP, int(np.count_nonzero(read[1]))) for tile, read in pixels if read]


def test_a_map_is_drawn_where_it_is(tmp_path: Path) -> None:
    path = write_town(tmp_path / "town.gpkg", (area("water", 0, 0, 700, 50), area("coverage", 10, 20, 266, 30)))
    assert drawn(path, tmp_path / "map") == [(0, 0, 2460), (1, 0, 100)]


def test_nothing_is_drawn_of_a_map_that_is_nowhere(tmp_path: Path) -> None:
    path = write_town(tmp_path / "town.gpkg")
    assert FeatureFile.open(path).coverage() == []
    with pytest.raises(ZoomError, match="no pixel of small town at zoom 17"):
        draw(path, tmp_path / "map")


def test_a_map_smaller_than_a_pixel_is_refused(tmp_path: Path) -> None:
    path = write_town(tmp_path / "town.gpkg", (area("coverage", 0, 0, 768, 768),))
    with pytest.raises(ZoomError, match="no pixel of small town at zoom 3; choose a higher one"):
        draw(path, tmp_path / "map", zoom=3)
    assert [each.name for each in tmp_path.iterdir()] == ["town.gpkg"]


def test_a_file_without_the_layer_is_drawn_as_a_whole(tmp_path: Path) -> None:
    path = write_town(tmp_path / "town.gpkg")
    features = replace(FeatureFile.open(path), is_covered=False)
    assert features.coverage() == [shapely.box(*(UNITS * edge for edge in WINDOW))]
    with closing(sqlite3.connect(path)) as database, database:
        for table in ("gpkg_contents", "gpkg_geometry_columns", "gpkg_extensions", "gpkg_ogr_contents"):
            database.execute(f"DELETE FROM {table} WHERE table_name = ?", (COVERAGE_LAYER.name,))
    assert not FeatureFile.open(path).is_covered
    assert [pixels for _, _, pixels in drawn(path, tmp_path / "map")] == 9 * [256 * 256]
