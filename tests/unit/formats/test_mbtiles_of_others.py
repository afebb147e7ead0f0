"""MBTiles by other programs: rows, grids, columns of text and rows without a tile."""

from __future__ import annotations

import io
import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import PIL.Image
import pytest
from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import Writer

from geo2map.api.converting import convert
from geo2map.checking import check
from geo2map.errors import TileSetError
from geo2map.formats.opened import open_tiles
from geo2map.types import Tile

ZOOM, LEFT, TOP = 13, 2413, 3079
"""In New York; TOP counts from the north."""
BOUNDS = "-73.96,40.70,-73.87,40.75"

Writing = Callable[..., Path]


def picture(shade: int = 90) -> bytes:
    file = io.BytesIO()
    PIL.Image.new("RGB", (256, 256), (shade, 80, 90)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def write(tmp_path: Path) -> Writing:
    """Writes two tiles side by side, with some metadata."""

    def write_file(
        *, north: bool = False, kind: str = "INTEGER", last: bytes | None = picture(200), **facts: str
    ) -> Path:
        path = tmp_path / "set.mbtiles"
        row = TOP if north else 2**ZOOM - 1 - TOP
        rows = [(ZOOM, LEFT, row, picture()), (ZOOM, LEFT + 1, row, last)]
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("CREATE TABLE metadata (name TEXT, value TEXT)")
            database.execute(
                f"CREATE TABLE tiles (zoom_level {kind}, tile_column {kind}, tile_row {kind}, tile_data BLOB)"
            )
            database.executemany(
                "INSERT INTO metadata VALUES (?, ?)", {"name": "town", "format": "png", **facts}.items()
            )
            database.executemany("INSERT INTO tiles VALUES (?, ?, ?, ?)", rows)
        return path

    return write_file


def tiles_of(path: Path) -> dict[Tile, bytes | None]:
    with open_tiles(path) as (store, _):
        return {tile: store.get(tile) for zoom in store.zooms for tile in store.tiles(zoom)}


WANTED = {Tile(LEFT, TOP, ZOOM): picture(), Tile(LEFT + 1, TOP, ZOOM): picture(200)}


@pytest.mark.parametrize("facts", [{"bounds": BOUNDS}, {"bounds": BOUNDS, "scheme": "xyz"}])
def test_rows_from_the_north_are_turned_where_bounds_show_them(
    write: Writing, tmp_path: Path, facts: dict[str, str]
) -> None:
    path = write(north=True, **facts)
    convert(path, tmp_path / "out.pmtiles")
    assert tiles_of(path) == tiles_of(tmp_path / "out.pmtiles") == WANTED
    assert any(
        "rows are counted from the north, as the bounds show" in str(problem) for problem in check(path).problems
    )


def test_bounds_outweigh_a_copied_scheme(write: Writing) -> None:
    path = write(scheme="xyz", bounds=BOUNDS)
    assert tiles_of(path) == WANTED
    assert any("states that rows are counted from the north" in str(problem) for problem in check(path).problems)


def test_a_scheme_that_no_bounds_confirm_is_told(write: Writing, caplog: pytest.LogCaptureFixture) -> None:
    path = write(scheme="xyz")
    with caplog.at_level(logging.WARNING):
        assert tiles_of(path) == WANTED
    assert "states the scheme xyz" in caplog.text
    assert [problem.what for problem in check(path).problems] == ["metadata"]


def test_rows_as_specified_need_no_word(write: Writing, caplog: pytest.LogCaptureFixture) -> None:
    path = write(scheme="tms", bounds="-73.959960938,40.713955826,-73.872070313,40.747256963", crs="EPSG:3857")
    assert tiles_of(path) == WANTED
    assert check(path).ok
    assert not caplog.text


@pytest.mark.parametrize(
    ("facts", "named"), [({"crs": "EPSG:4326"}, "EPSG:4326"), ({"profile": "geodetic"}, "profile geodetic")]
)
def test_another_grid_is_refused_by_name(write: Writing, tmp_path: Path, facts: dict[str, str], named: str) -> None:
    path = write(**facts)
    for command in (lambda: convert(path, tmp_path / "out.pmtiles"), lambda: check(path)):
        with pytest.raises(TileSetError, match=rf"another grid \({named}; see metadata\)"):
            command()


@pytest.mark.parametrize("north", [False, True])
def test_columns_of_text(write: Writing, tmp_path: Path, north: bool) -> None:
    path = write(kind="TEXT", north=north, bounds=BOUNDS)
    convert(path, tmp_path / "out.pmtiles")
    assert tiles_of(tmp_path / "out.pmtiles") == WANTED


@pytest.mark.parametrize("last", [b"", None])
def test_rows_without_a_tile_are_gaps(write: Writing, last: bytes | None) -> None:
    path = write(last=last)
    assert list(tiles_of(path)) == [Tile(LEFT, TOP, ZOOM)]
    assert check(path).ok  # others mark gaps so


def test_pmtiles_whose_metadata_are_a_list(tmp_path: Path) -> None:
    path = tmp_path / "list.pmtiles"
    with path.open("wb") as file:
        writer = Writer(file)
        writer.write_tile(zxy_to_tileid(ZOOM, LEFT, TOP), picture())
        writer.finalize({"tile_type": TileType.PNG, "tile_compression": Compression.NONE}, ["town"])  # type: ignore[arg-type]
    assert tiles_of(path) == {Tile(LEFT, TOP, ZOOM): picture()}
    assert check(path).tiles == 1
