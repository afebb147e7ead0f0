"""Folders as gdal2tiles, mbutil and others leave them: in their place, or refused for what they are; never moved."""

from __future__ import annotations

import json
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from foreign import BOUNDS, LEFT, SPELLED, WORDS, wanted, write_folder

from geo2map.api.converting import convert
from geo2map.checking import check
from geo2map.errors import TileSetError
from geo2map.formats.opened import open_tiles
from geo2map.scene import open_scenes
from geo2map.tiles.tilejson import ATTRIBUTION
from geo2map.types import Tile

SERVICE = """<?xml version="1.0" encoding="utf-8"?>
<TileMap version="1.0.0" tilemapservice="http://tms.osgeo.org/1.0.0">
  <Title>town</Title><Abstract>flown 2024</Abstract><SRS>{system}</SRS>
  <BoundingBox minx="{0}" miny="{1}" maxx="{2}" maxy="{3}"/><Origin x="{x}" y="{y}"/>
  <TileFormat width="256" height="256" mime-type="image/png" extension="png"/>
  <TileSets profile="{profile}"><TileSet href="17" units-per-pixel="1.194" order="17"/></TileSets>
</TileMap>
"""
LEAFLET = """var osm = L.tileLayer('http://tile.example/{z}/{x}/{y}.png', {attribution: 'x'});
var lyr = L.tileLayer('./{z}/{x}/{y}.png', {tms: %s, opacity: 0.7, attribution: "", minZoom: 17, maxZoom: 17});"""
GDAL = """<GDAL_WMS><Service name="TMS"><ServerUrl>file:///x/${z}/${x}/${y}.png</ServerUrl></Service>
<DataWindow><TileLevel>17</TileLevel><YOrigin>%s</YOrigin></DataWindow><Projection>%s</Projection></GDAL_WMS>"""
WMTS = """<Capabilities xmlns="http://www.opengis.net/wmts/1.0" xmlns:ows="http://www.opengis.net/ows/1.1"><Contents>
<Layer><ResourceURL format="image/png" resourceType="tile" template="./{TileMatrix}/%s.png"/></Layer>
<TileMatrixSet><ows:SupportedCRS>urn:ogc:def:crs:EPSG::%s</ows:SupportedCRS></TileMatrixSet></Contents></Capabilities>"""


def service(system: str = "EPSG:3857", profile: str = "mercator", *, top: bool = False, swapped: bool = False) -> str:
    west, south, east, north = BOUNDS
    box = (south, west, north, east) if swapped else BOUNDS
    y = 20037508.342789 if top else -20037508.342789
    return SERVICE.format(*box, system=system, profile=profile, x=-20037508.342789, y=y)


def metadata(**facts: Any) -> str:
    return json.dumps({"name": "town", "format": "png", **facts})


def tiles_of(path: Path) -> dict[Tile, bytes | None]:
    with open_tiles(path) as (store, _):
        return {tile: store.get(tile) for zoom in store.zooms for tile in store.tiles(zoom)}


FROM_THE_SOUTH = {
    "gdal2tiles": {"tilemapresource.xml": service()},
    "an old gdal2tiles, latitudes first": {"tilemapresource.xml": service("EPSG:900913", swapped=True)},
    "TMS by its other name": {"tilemapresource.xml": service("OSGEO:41001", "global-mercator")},
    "its page for Leaflet": {"leaflet.html": LEAFLET % "1"},
    "a page for OpenLayers": {
        "openlayers.html": "new ol.source.XYZ({ url: './{z}/{x}/{-y}.png', tileSize: [256, 256] })"
    },
    "mbutil": {"metadata.json": metadata(scheme="tms")},
    "mbutil, which bounds alone tell": {"metadata.json": metadata(bounds=SPELLED)},
    "TileJSON": {"tilejson.json": json.dumps({"scheme": "tms", "tiles": ["http://x/{z}/{x}/{y}.png"]})},
    "an address": {"tilejson.json": json.dumps({"tiles": ["http://x/{z}/{x}/{-y}.png"]})},
    "GDAL": {"tiles.xml": GDAL % ("bottom", "EPSG:3857")},
}
FROM_THE_NORTH = {
    "no document": {},
    "gdal2tiles --xyz": {"leaflet.html": LEAFLET % "0"},
    "an origin in the north": {"tilemapresource.xml": service(top=True)},
    "mbutil, which copies what the archive says of its rows": {"metadata.json": metadata(scheme="tms", bounds=SPELLED)},
    "GDAL": {"tiles.xml": GDAL % ("top", "EPSG:3857")},
    "WMTS": {"WMTSCapabilities.xml": WMTS % ("{TileCol}/{TileRow}", "3857")},
    "documents that nobody can read": {"metadata.json": "{", "tilemapresource.xml": "<TileMap", "tiles.xml": "<a/>"},
    "documents of another shape": {"metadata.json": "[1]", "stacta.json": "{}", "tilejson.json": '{"bounds": "x"}'},
}


@pytest.mark.parametrize(
    ("south", "documents"),
    [(True, found) for found in FROM_THE_SOUTH.values()] + [(False, found) for found in FROM_THE_NORTH.values()],
    ids=[*(f"south: {name}" for name in FROM_THE_SOUTH), *(f"north: {name}" for name in FROM_THE_NORTH)],
)
def test_tiles_are_where_they_belong(south: bool, documents: dict[str, str], tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", south=south)
    for name, text in documents.items():
        (folder / name).write_text(text)
    assert tiles_of(folder) == wanted()
    convert(folder, tmp_path / "a.mbtiles")
    assert tiles_of(tmp_path / "a.mbtiles") == wanted()
    with open_scenes(folder) as scene:
        assert scene.latitude == pytest.approx(40.7348, abs=1e-3)


ELSEWHERE = {
    "degrees": ({"tilemapresource.xml": service("EPSG:4326", "geodetic")}, "EPSG:4326; see tilemapresource.xml"),
    "TMS in degrees": ({"tilemapresource.xml": service("", "global-geodetic")}, "profile global-geodetic"),
    "a raster": ({"tilemapresource.xml": service('PROJCS["UTM zone 18N"]', "raster")}, "UTM zone 18N"),
    "gdal2tiles --xyz in degrees": (
        {"openlayers.html": "projection: 'EPSG:4326', return ('./{z}/{x}/{y}.png'"},
        "EPSG:4326; see openlayers",
    ),
    "MapTiler": ({"metadata.json": metadata(profile="geodetic")}, "profile geodetic; see metadata.json"),
    "TileJSON": ({"tilejson.json": json.dumps({"crs": "EPSG:3395"})}, "EPSG:3395"),
    "WMTS": ({"WMTSCapabilities.xml": WMTS % ("{TileCol}/{TileRow}", "2154")}, "2154; see WMTS"),
    "rows before columns": ({"WMTSCapabilities.xml": WMTS % ("{TileRow}/{TileCol}", "3857")}, "rows before columns"),
    "GDAL": ({"tiles.xml": GDAL % ("top", "EPSG:25832")}, "EPSG:25832"),
}


@pytest.mark.parametrize(("documents", "named"), ELSEWHERE.values(), ids=ELSEWHERE)
def test_another_grid_is_refused_by_every_reader(documents: dict[str, str], named: str, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set")
    for name, text in documents.items():
        (folder / name).write_text(text)
    for read in (lambda: convert(folder, tmp_path / "a.pmtiles"), lambda: check(folder), lambda: open_scenes(folder)):
        with pytest.raises(TileSetError, match=named):
            read()
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_columns_beyond_the_world_are_not_lost(tmp_path: Path) -> None:
    """Tiles in degrees have twice as many columns; a document need not say so."""
    folder = write_folder(tmp_path / "set")
    (folder / "17" / str(LEFT)).rename(folder / "17" / str(2**17 + LEFT))
    with pytest.raises(TileSetError, match=rf"17/{2**17 + LEFT} is outside web-mercator's world"):
        convert(folder, tmp_path / "a.pmtiles")


def test_documents_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set")
    (folder / "metadata.json").write_text(metadata(scheme="tms"))
    (folder / "leaflet.html").write_text(LEAFLET % "0")
    for read in (lambda: convert(folder, tmp_path / "a.pmtiles"), lambda: open_scenes(folder)):
        with pytest.raises(TileSetError, match=r"south \(tms\) by metadata.json and from the north \(xyz\) by leaflet"):
            read()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("_alllayers/L05/R00/C00.png", "ArcGIS cache"),
        ("05/000/1.png", "padded with zeros"),
    ],
)
def test_folders_of_other_kinds_are_named(name: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(TileSetError, match=sentence):
        convert(tmp_path, tmp_path.with_suffix(".pmtiles"))


def test_entities_of_a_document_are_not_followed(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set")
    bomb = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><TileMap><SRS>&b;</SRS></TileMap>'
    (folder / "tilemapresource.xml").write_text(bomb)
    assert tiles_of(folder) == wanted()


def test_larger_tiles_are_kept_or_refused_by_their_size(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", side=512)
    convert(folder, tmp_path / "a.mbtiles")  # a tile's place does not depend on its pixels
    with open_tiles(tmp_path / "a.mbtiles") as (store, tileset):
        assert list(store.tiles(17)) == sorted(wanted())
        assert tileset.to_dict()["bounds"] == pytest.approx([-73.93524, 40.73269, -73.92975, 40.73685], abs=1e-5)
    for read in (
        lambda: convert(folder, tmp_path / "a.tif"),
        lambda: check(folder),
        lambda: check(tmp_path / "a.mbtiles"),
    ):
        with pytest.raises(TileSetError, match=r"512 x 512 px, but geo2map .* 256 x 256 px; render them again"):
            read()


def test_words_of_others_go_with_a_set(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set")
    (folder / "tilejson.json").write_text(json.dumps({"tilejson": "2.2.0", **WORDS}))
    chain = [folder, *(tmp_path / name for name in ("a.mbtiles", "b.pmtiles", "c", "d.tif"))]
    for source, out in pairwise(chain):
        convert(source, out)
        with open_tiles(out) as (_, tileset):
            assert tileset.name == WORDS["name"]
            kept = {"attribution", "description"} if out.suffix == ".tif" else WORDS.keys() - {"name"}
            assert tileset.words == {key: WORDS[key] for key in kept}
            assert ATTRIBUTION not in json.dumps(tileset.to_dict())
            assert "model" not in json.dumps(tileset.all_words())
        assert check(out).ok, check(out)
    document = json.loads((tmp_path / "c" / "tilejson.json").read_text())
    assert {key: document[key] for key in WORDS} == WORDS
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == [".geo2map.journal", "17", "tilejson.json"]


def test_nothing_is_said_of_a_set_of_which_nobody_says_anything(tmp_path: Path) -> None:
    convert(write_folder(tmp_path / "set"), tmp_path / "a.pmtiles")
    with open_tiles(tmp_path / "a.pmtiles") as (_, tileset):
        assert (tileset.words, tileset.attribution, tileset.description) == ({}, "", "")
        assert "attribution" not in tileset.to_dict()


def test_the_bytes_of_a_tile_decide_its_format(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", format="JPEG")  # named .png
    with open_tiles(folder) as (_, tileset):
        assert tileset.format == "jpeg"
    assert [str(problem) for problem in check(folder).problems] == [
        "metadata: names of tiles (4 tiles are named png, but are jpeg)"
    ]
    assert check(write_folder(tmp_path / "upper", suffix=".JPG", format="JPEG")).ok


def test_false_documents_are_found(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set")
    false = {"bounds": [0, 0, 0, 0], "center": [10, 50, 3], "minzoom": 3, "maxzoom": 17, "format": "jpg"}
    (folder / "tilejson.json").write_text(json.dumps(false))
    found = " ".join(map(str, check(folder).problems))
    for part in (
        "states the format jpeg, but 4 of 4 tiles are png",
        "states zooms 3 to 17",
        "states the bounds 0,0,0,0",
    ):
        assert part in found


def test_an_order_that_bounds_belie_is_found(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set")
    (folder / "metadata.json").write_text(metadata(scheme="tms", bounds=SPELLED))
    found = " ".join(map(str, check(folder).problems))
    assert "states that rows are counted from the south, but they are counted from the north" in found


def test_clutter_is_no_part_of_a_set(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set")
    column = next((folder / "17").iterdir())
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", f"._{next(column.iterdir()).name}", "._.DS_Store"):
        for place in (folder, folder / "17", column):
            (place / name).write_bytes(b"x")
    for place in (folder, column):
        (place / "@eaDir").mkdir()
        (place / "@eaDir" / "1.png@SynoEAStream").write_bytes(b"x")
    assert tiles_of(folder) == wanted()
    assert check(folder).ok, check(folder)
    (column / "notes.txt").write_text("mine")
    assert [problem.kind for problem in check(folder).problems] == ["unexpected"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gdal2tiles.py") is None, reason="gdal2tiles.py is not installed")
@pytest.mark.parametrize(
    ("options", "refused"),
    [([], ""), (["--xyz"], ""), (["-p", "geodetic"], "EPSG:4326"), (["-p", "geodetic", "--xyz"], "EPSG:4326")],
)
def test_what_gdal2tiles_writes(options: list[str], refused: str, tmp_path: Path) -> None:
    scene = tmp_path / "a.tif"
    shape = {"width": 300, "height": 280, "count": 3, "dtype": "uint8", "crs": "EPSG:32618"}
    with rasterio.open(scene, "w", **shape, transform=Affine(0.9, 0, 590_000, 0, -0.9, 4_510_000)) as made:
        made.write(np.full((3, 280, 300), 90, np.uint8))
    command = ["gdal2tiles.py", "-q", "-z", "16-17", *options, str(scene), str(tmp_path / "set")]
    subprocess.run(command, check=True, capture_output=True)
    if refused:
        with pytest.raises(TileSetError, match=refused):
            check(tmp_path / "set")
        return
    report = check(tmp_path / "set")
    assert report.ok, report
    with open_tiles(tmp_path / "set") as (_, tileset):
        west, south, east, north = tileset.to_dict()["bounds"]
    assert west - 0.003 < -73.9342 < west + 0.003
    assert south < 40.7345 < north
    assert east - west < 0.02
