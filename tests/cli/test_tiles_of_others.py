"""Sets of tiles by other programs, from the command's side: where they end up, or the sentence that refuses them."""

from __future__ import annotations

import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import rasterio

ZOOM, LEFT, TOP = 17, 38617, 49269
SERVICE = (
    '<TileMap><Title>town</Title><SRS>{}</SRS><BoundingBox minx="-73.9352" miny="40.7327" maxx="-73.9297" '
    'maxy="40.7369"/><Origin x="-73.9352" y="40.7327"/><TileSets profile="{}"/></TileMap>'
)


def picture(column: int, row: int, format: str = "PNG") -> bytes:
    file = io.BytesIO()
    PIL.Image.new("RGB", (256, 256), (40 + 90 * column, 60 + 80 * row, 90)).save(file, format)
    return file.getvalue()


@pytest.fixture
def south(tmp_path: Path) -> Path:
    """Four flat tiles in New York, rows counted from the south; no document."""
    for column in range(2):
        for row in range(2):
            path = tmp_path / "set" / str(ZOOM) / str(LEFT + column) / f"{2**ZOOM - 1 - TOP - row}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture(column, row))
    return tmp_path / "set"


def _refuse(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


@pytest.mark.parametrize("command", ["convert", "mosaic", "render", "tile"])
def test_rows_from_the_south(command: str, geo2map: Any, south: Path, tiny_model: Path, tmp_path: Path) -> None:
    (south / "tilemapresource.xml").write_text(SERVICE.format("EPSG:3857", "mercator"))
    out = tmp_path / "map.tif"
    options = [out] if command == "convert" else ["--out", out]
    if command == "render":
        options += ["--model", tiny_model, "--zoom", ZOOM]
    if command == "tile":
        options += ["--zoom", ZOOM]
    done = geo2map(command, south, *options)
    assert done.code == 0, done.err
    with rasterio.open(out) as found:
        middle = found.lnglat()
    assert middle == pytest.approx((-73.9325, 40.7348), abs=2e-3)


@pytest.mark.parametrize("command", ["convert", "mosaic", "render", "tile", "check", "view"])
def test_another_grid(command: str, geo2map: Any, south: Path, tiny_model: Path, tmp_path: Path) -> None:
    (south / "tilemapresource.xml").write_text(SERVICE.format("EPSG:4326", "geodetic"))
    options: dict[str, list[Any]] = {
        "convert": [tmp_path / "a.mbtiles"],
        "mosaic": ["--out", tmp_path / "a.tif"],
        "render": ["--out", tmp_path / "out", "--model", tiny_model],
        "tile": ["--out", tmp_path / "out"],
        "view": ["--no-browser"],
    }
    done = geo2map(command, south, *options.get(command, []))
    assert done.code == 1
    assert "tiles of another grid (EPSG:4326; see tilemapresource.xml)" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_what_a_set_is_not(geo2map: Any, tmp_path: Path) -> None:
    path = tmp_path / "lies.mbtiles"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE metadata (name text, value text)")
        database.execute("INSERT INTO metadata VALUES ('format', 'png'), ('attribution', '(c) Q')")
        database.execute("CREATE TABLE tiles (zoom_level int, tile_column int, tile_row int, tile_data blob)")
        row = 2**ZOOM - 1 - TOP
        database.execute("INSERT INTO tiles VALUES (?, ?, ?, ?)", (ZOOM, LEFT, row, picture(0, 0, "JPEG")))
    checked = geo2map("check", path)
    assert checked.code == 1
    assert "states the format png, but 1 of 1 tiles are jpeg" in checked.out
    assert geo2map("convert", path, tmp_path / "tiles").code == 0
    document = json.loads((tmp_path / "tiles" / "tilejson.json").read_text())
    assert (document["format"], document["attribution"]) == ("jpeg", "(c) Q")
    assert geo2map("check", tmp_path / "tiles").code == 0


def test_json_of_a_check_has_no_infinity(geo2map: Any, south: Path) -> None:
    done = geo2map("check", south, "--json")
    assert done.code == 0
    found = json.loads(done.out, parse_constant=_refuse)
    assert (found["seam_ratio"], found["ok"]) == (None, True)
    assert "too flat to tell" in geo2map("check", south).out
