"""Checks of vector files and vector tiles: what is whole passes, and each kind of damage is named."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import shapely
from mapbox_vector_tile import encode
from small_town import FEATURES, NODE, TILESET, area, road, town_tiles, write_town

from geo2map import render
from geo2map.api.converting import convert
from geo2map.api.mosaic import mosaic_tiles
from geo2map.checking import CheckReport, check
from geo2map.checking.vector_tile import require_features
from geo2map.errors import Geo2MapError, TileSetError
from geo2map.formats.mbtiles import write_mbtiles
from geo2map.formats.opened import open_tiles

COUNTS = {"coverage": 0, "water": 1, "parks": 1, "buildings": 2, "road_areas": 0, "roads": 4}


def kinds(report: CheckReport) -> list[str]:
    return [problem.kind for problem in report.problems]


@pytest.fixture
def town(tmp_path: Path) -> Path:
    return write_town(tmp_path / "town.gpkg")


def test_a_geopackage_is_counted(town: Path) -> None:
    report = check(town)
    assert (report.ok, report.features) == (True, COUNTS)
    assert "2 buildings, 0 road areas, 4 roads, no problems" in str(report)
    assert report.to_dict()["features"] == COUNTS


@pytest.mark.parametrize(
    ("wrong", "kind", "where"),
    [
        (area("park", 690, 690, 720, 720), "overlap", "parks at -73.9"),
        (area("building", 99, 239, 130, 300), "overlap", "buildings at"),
        (road((100, 330), (100, 500)), "crossing", "roads at"),  # over another road
        (road((200, 330), (200, 400)), "crossing", "roads at"),  # ends on one, which has no end there
        (road((150, 400), (250, 400)), "crossing", "roads at"),  # along one
        (road((0, 500), (90, 590), (90, 500), (0, 590)), "invalid", "roads at"),
    ],
)
def test_what_features_share_is_named(wrong: object, kind: str, where: str, tmp_path: Path) -> None:
    report = check(write_town(tmp_path / "town.gpkg", (*FEATURES, wrong)))  # type: ignore[arg-type]
    assert kinds(report) == [kind]
    assert where in report.problems[0].what
    assert report.problems[0].tile in set(town_tiles(tmp_path / "town.gpkg").tiles(TILESET.maxzoom))


def test_pieces_of_the_coverage_are_compared(tmp_path: Path) -> None:
    one, beside, over = (area("coverage", left, 0, left + 300, 900) for left in (0, 300, 500))
    assert check(write_town(tmp_path / "fine.gpkg", (*FEATURES, one, beside))).problems == []
    report = check(write_town(tmp_path / "town.gpkg", (*FEATURES, one, beside, over)))
    assert kinds(report) == ["overlap"]
    assert "coverage at" in report.problems[0].what


def test_what_features_may_share(tmp_path: Path) -> None:
    """Borders, nodes, a loop at a node; areas of two classes may overlap."""
    fine = (
        area("park", 700, 500, 760, 600),
        area("building", 400, 420, 450, 460),
        road(NODE, (390, 600), (310, 650), NODE),
    )
    assert check(write_town(tmp_path / "town.gpkg", (*FEATURES, *fine))).problems == []


@pytest.mark.parametrize(
    ("statement", "kind", "detail"),
    [
        ("UPDATE roads SET length = 0 WHERE fid = 1", "invalid", "length is not above 0"),
        ("UPDATE roads SET width = NULL WHERE fid = 1", "invalid", "width is not above 0"),
        ("UPDATE parks SET class = 'meadow'", "invalid", "class is none of park"),
        ("UPDATE parks SET confidence = 101", "invalid", "confidence is not within"),
        ("UPDATE parks SET geom = NULL", "invalid", "missing or empty"),
        ("ALTER TABLE parks DROP COLUMN area", "broken", "lacks the column area"),
    ],
)
def test_damaged_rows_are_named(statement: str, kind: str, detail: str, town: Path) -> None:
    with closing(sqlite3.connect(town)) as database, database:
        for (trigger,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f'DROP TRIGGER "{trigger}"')
        database.execute(statement)
    report = check(town)
    assert kinds(report) == [kind]
    assert detail in report.problems[0].detail


def test_bytes_are_compared_with_the_record(town: Path, tmp_path: Path) -> None:
    for name in ("a.gpkg", "a.fgb", "a.geojson", "a.parquet"):
        convert(town, tmp_path / name)
        report = check(tmp_path / name)
        assert (report.problems, sum(report.features.values())) == ([], len(FEATURES))
        data = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(data + b" ")
        assert kinds(check(tmp_path / name)) == ["changed"]


def test_other_kinds_without_a_record_are_refused(town: Path, tmp_path: Path) -> None:
    convert(town, tmp_path / "a.fgb", bare=True)
    with pytest.raises(TileSetError, match="has no record"):
        check(tmp_path / "a.fgb")


@pytest.mark.parametrize("name", ["v", "v.mbtiles", "v.pmtiles"])
def test_vector_tiles_are_whole(name: str, town: Path, tmp_path: Path) -> None:
    convert(town, tmp_path / name)
    report = check(tmp_path / name)
    assert (report.problems, report.tiles) == ([], len(town_tiles(town).data))
    assert (report.seam_ratio, report.unknown_seams) == (None, {})


def test_a_damaged_vector_tile_is_named(town: Path, tmp_path: Path) -> None:
    convert(town, tmp_path / "v")
    tile = next((tmp_path / "v" / "17").rglob("*.pbf"))
    tile.write_bytes(tile.read_bytes()[:-1])
    report = check(tmp_path / "v")
    assert kinds(report) == ["broken"]
    assert "cannot be read as a vector tile" in report.problems[0].detail


def _tile(shape: shapely.Geometry, name: str = "parks") -> bytes:
    data: bytes = encode([{"name": name, "features": [{"geometry": shape, "properties": {}}]}])
    return data


BOW = shapely.Polygon([(0, 0), (100, 100), (100, 0), (0, 90)])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (_tile(shapely.box(0, 0, 9, 9), "meadows"), "'meadows' is none of parks"),
        (_tile(shapely.box(0, 0, 9, 9))[:-2], "cannot be read"),
        (b"\x1a\x05hello", "cannot be read"),
        (b"", "cannot be read"),
        (gzip.compress(_tile(shapely.box(0, 0, 9, 9)), mtime=0), "cannot be read"),
        (_tile(BOW), "1 of 1 geometries of layer 'parks' are wrong"),
    ],
)
def test_tiles_that_clients_cannot_draw(data: bytes, said: str) -> None:
    with pytest.raises(TileSetError, match=said):
        require_features(data, ["parks"])


def test_a_list_of_layers_is_needed(town: Path, tmp_path: Path) -> None:
    write_mbtiles(town_tiles(town), TILESET, tmp_path / "v.mbtiles")
    assert check(tmp_path / "v.mbtiles").ok
    with closing(sqlite3.connect(tmp_path / "v.mbtiles")) as database, database:
        database.execute("DELETE FROM metadata WHERE name IN ('json', 'geo2map')")
    assert [str(problem) for problem in check(tmp_path / "v.mbtiles").problems] == [
        "metadata: metadata (lists no vector_layers, which clients need to draw vector tiles)"
    ]


@pytest.mark.parametrize("out", ["b", "b.mbtiles", "b.pmtiles"])
def test_others_lists_of_layers_are_kept(out: str, town: Path, tmp_path: Path) -> None:
    """Converted from one kind to another and back."""
    write_mbtiles(town_tiles(town), TILESET, tmp_path / "a.mbtiles")
    listed = [{"id": name, "fields": {"class": "String"}} for name in COUNTS]
    with closing(sqlite3.connect(tmp_path / "a.mbtiles")) as database, database:
        database.execute("DELETE FROM metadata WHERE name = 'geo2map'")
        database.execute("UPDATE metadata SET value = ? WHERE name = 'json'", (json.dumps({"vector_layers": listed}),))
    convert(tmp_path / "a.mbtiles", tmp_path / out)
    for path in (tmp_path / "a.mbtiles", tmp_path / out):
        with open_tiles(path) as (_, tileset):
            assert tileset.vector_layers == listed
        assert check(path).problems == []


@pytest.mark.parametrize(
    "use",
    [
        lambda path, out: convert(path, out / "b.tif"),
        lambda path, out: convert(path, out / "b", format="webp"),
        lambda path, out: convert(path, out / "b.gpkg"),
        lambda path, out: mosaic_tiles(path, out / "b.tif"),
        lambda path, out: render(path, out / "b"),
    ],
)
def test_where_pixels_are_needed_vector_tiles_are_refused(
    use: Callable[[Path, Path], object], town: Path, tmp_path: Path
) -> None:
    convert(town, tmp_path / "v")
    with pytest.raises(Geo2MapError, match="vector tiles") as refused:
        use(tmp_path / "v", tmp_path)
    assert "\n" not in str(refused.value)
