"""Outputs that are one file are checked, updated and repaired as folders are, by the journal beside them."""

from __future__ import annotations

import shutil
import sqlite3
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from snapshots import read_tiles

from geo2map import Engine, check, render, repair, tile, update
from geo2map.api.converting import convert
from geo2map.checking import CheckReport
from geo2map.colour.palette import Palette
from geo2map.errors import OutputError, TileSetError
from geo2map.formats.opened import open_tiles
from geo2map.ledger.finished_record import journal_path, load_journal
from geo2map.types import Tile

GREYS = Palette((("dark", (30, 30, 30)), ("middle", (130, 130, 130)), ("light", (230, 230, 230))))
FILES = ["map.mbtiles", "map.pmtiles", "map.tif"]


def tiles_in(path: Path) -> dict[Tile, bytes]:
    with open_tiles(path) as (store, _):
        return {tile: store.get(tile) or b"" for zoom in store.zooms for tile in store.tiles(zoom)}


def kinds(report: CheckReport) -> set[str]:
    return {problem.kind for problem in report.problems}


@pytest.fixture
def made(quick_engine: Engine, write_sheet: Any, tmp_path: Path) -> Path:
    """A folder with a scene, its tiles, and one more scene that overlaps the first."""
    write_sheet("b.tif", east=400, south=150, seed=4, side=300)
    tile(write_sheet("a.tif", side=420), tmp_path / "tiles", card=quick_engine.card, block_span=1)
    return tmp_path


def make(folder: Path, name: str, engine: Engine, **options: Any) -> Path:
    tile(folder / "a.tif", folder / name, card=engine.card, block_span=1, **options)
    return folder / name


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_checked_updated_and_the_same_again(name: str, made: Path, quick_engine: Engine) -> None:
    out = make(made, name, quick_engine)
    before, first = out.read_bytes(), tiles_in(out)
    assert check(out).ok
    report = update(made / "b.tif", out)
    assert report.resumed > 0
    assert out.read_bytes() != before
    assert tiles_in(out).keys() > first.keys()
    assert check(out).ok
    update(made / "b.tif", made / "tiles")
    convert(made / "tiles", made / f"converted-{name}")
    assert tiles_in(out) == tiles_in(made / f"converted-{name}")
    updated = [(path.read_bytes(), path.stat().st_mtime_ns) for path in (out, journal_path(out))]
    assert update(made / "b.tif", out).complete
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in (out, journal_path(out))] == updated
    names = (f"converted-{name}", name)
    expected = ["a.tif", "b.tif", *names, *(f".{each}.journal" for each in names), "tiles"]
    assert sorted(path.name for path in made.iterdir()) == sorted(expected)


def test_a_tms_folder_is_updated(made: Path, quick_engine: Engine) -> None:
    out = make(made, "tms", quick_engine, scheme="tms")
    for folder in (out, made / "tiles"):
        update(made / "b.tif", folder)
        assert check(folder).ok
    assert tiles_in(out) == tiles_in(made / "tiles")
    assert read_tiles(out).keys() != read_tiles(made / "tiles").keys()


def spoil_tile(path: Path) -> None:
    """Some bytes of the largest tile are other ones."""
    if path.suffix == ".mbtiles":
        with sqlite3.connect(path) as db:
            number, found = db.execute("SELECT * FROM images ORDER BY length(tile_data) DESC").fetchone()
            db.execute("UPDATE images SET tile_data = ? WHERE tile_id = ?", (found[:200] + found[600:], number))
        db.close()
        return
    data = path.read_bytes()
    if path.suffix == ".tif":
        at = len(data) * 3 // 4  # the pixels come last
    else:
        found = max(tiles_in(path).values(), key=len)
        at = data.find(found[200:240]) + 40
        assert at > 40
    path.write_bytes(data[:at] + bytes(byte ^ 255 for byte in data[at : at + 400]) + data[at + 400 :])


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_tile_is_found_and_repaired_to_the_byte(name: str, made: Path, quick_engine: Engine) -> None:
    out = make(made, name, quick_engine)
    clean = out.read_bytes()
    spoil_tile(out)
    assert kinds(check(out)) <= {"broken", "changed", "missing", "stale"}
    assert not check(out).ok
    with pytest.raises(TileSetError, match=r"mend the file first|damaged|cannot be read"):
        update(made / "b.tif", out)
    assert out.read_bytes() != clean
    assert repair(out).ok
    assert out.read_bytes() == clean


@pytest.mark.parametrize("name", FILES)
def test_without_a_journal_damage_is_found_by_decoding(name: str, made: Path, quick_engine: Engine) -> None:
    out = make(made, name, quick_engine, bare=True)
    assert not journal_path(out).exists()
    assert check(out).ok
    spoil_tile(out)
    assert not check(out).ok
    with pytest.raises(OutputError, match="has no record"):
        update(made / "b.tif", out)
    with pytest.raises(OutputError, match="has no record"):
        repair(out)


def test_missing_strange_and_unknown_rows_of_mbtiles(made: Path, quick_engine: Engine) -> None:
    out = make(made, "map.mbtiles", quick_engine)
    clean = out.read_bytes()
    with sqlite3.connect(out) as db:
        z, x, y = db.execute("SELECT zoom_level, tile_column, tile_row FROM map ORDER BY 1 DESC, 2, 3").fetchone()
        db.execute(
            "UPDATE map SET tile_column = tile_column + 1000 WHERE (zoom_level, tile_column, tile_row) = (?,?,?)",
            (z, x, y),
        )
        db.execute("UPDATE metadata SET value = 'other' WHERE name = 'name'")
    db.close()
    assert kinds(check(out)) >= {"missing", "stray", "metadata"}
    assert repair(out).ok
    assert out.read_bytes() == clean
    journal_path(out).unlink()
    with sqlite3.connect(out) as db:
        db.execute("DELETE FROM map WHERE zoom_level = (SELECT min(zoom_level) FROM map)")
    db.close()
    assert "metadata" in kinds(check(out))


def test_another_file_of_the_name_is_not_taken_for_the_one_that_was_written(made: Path, quick_engine: Engine) -> None:
    for name in FILES:
        out = make(made, name, quick_engine)
        tile(made / "b.tif", made / f"b-{name}", card=quick_engine.card)
        shutil.copy(made / f"b-{name}", out)
        assert not check(out).ok
        with pytest.raises(TileSetError, match="repair the output first"):
            update(made / "b.tif", out)


def test_converting_over_a_file_takes_the_journal_of_the_old_one(made: Path, quick_engine: Engine) -> None:
    out = make(made, "map.pmtiles", quick_engine)
    assert load_journal(out) is not None
    convert(made / "tiles", out, overwrite=True)
    assert load_journal(out) is None


def test_a_raster_on_its_own_grid_is_not_updated(made: Path, quick_engine: Engine) -> None:
    out = make(made, "own.tif", quick_engine, grid="scene")
    assert check(out).ok
    before = sorted(path.name for path in made.iterdir())
    with pytest.raises(OutputError, match=r"own\.tif: a raster on its own grid cannot be updated or repaired"):
        update(made / "b.tif", out)
    assert sorted(path.name for path in made.iterdir()) == before


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"palette": [[0, 0, 0], [90, 120, 60], [200, 200, 180]]}, {"classes": True}])
def test_a_raster_with_a_table_is_updated(options: dict[str, Any], made: Path, quick_engine: Engine) -> None:
    """It has the table it had, and the pixels of a raster that was made of both scenes."""
    engine = copy(quick_engine)
    engine.card = replace(quick_engine.card, palette=GREYS)
    for name, scenes in (("map.tif", ["a.tif"]), ("both.tif", ["a.tif", "b.tif"])):
        paths = [made / scene for scene in scenes]
        render(paths, made / name, engine=engine, block_span=1, match="none", **options)
    before = (made / "map.tif").read_bytes()
    update(made / "b.tif", made / "map.tif", engine=engine)
    assert (made / "map.tif").read_bytes() != before
    assert check(made / "map.tif").ok
    with rasterio.open(made / "map.tif") as one, rasterio.open(made / "both.tif") as both:
        assert (one.shape, one.transform, one.colormap(1)) == (both.shape, both.transform, both.colormap(1))
        assert set(np.unique(one.read())) == {0, 1, 2, 255}
        assert np.array_equal(one.read(), both.read())
