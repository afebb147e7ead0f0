"""The files beside a tile set open in QGIS and GDAL, at the right place, wherever the folder is moved to.

PyQGIS belongs to the system's interpreter (Debian: python3-qgis), so it runs in a process of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import mercantile
import numpy as np
import PIL.Image
import pytest
import rasterio
from affine import Affine

from geo2map.colour.palette import MAPS_PALETTE
from geo2map.grid import PixelWindow
from geo2map.outputs.qgis import class_style
from geo2map.outputs.sidecars import sidecars
from geo2map.tiles.codec import encode_tile
from geo2map.tiles.tilejson import TileSet
from geo2map.types import Scheme

pytestmark = pytest.mark.slow

PYTHON = "/usr/bin/python3"
SCRIPT = """
import json, sys
from qgis.core import (QgsApplication, QgsCoordinateReferenceSystem, QgsLayerDefinition, QgsMapRendererParallelJob,
    QgsMapSettings, QgsProject, QgsRasterLayer, QgsRectangle)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor

def render(layers, bounds, size, path):
    settings = QgsMapSettings()
    settings.setLayers(layers)
    settings.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:3857"))
    settings.setExtent(QgsRectangle(*bounds))
    settings.setOutputSize(QSize(*size))
    settings.setOutputDpi(96)
    settings.setBackgroundColor(QColor(0, 0, 0, 0))
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    job.renderedImage().save(path)

def extent(layer):
    box = layer.extent()
    return [box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()]

def main(asked):
    project = QgsProject.instance()
    ok, message = QgsLayerDefinition.loadLayerDefinition(asked["qlr"], project, project.layerTreeRoot())
    told = {"ok": ok, "message": message, "layers": []}
    layers = [node.layer() for node in project.layerTreeRoot().findLayers()]
    for layer in layers:
        told["layers"].append({"name": layer.name(), "valid": layer.isValid(), "crs": layer.crs().authid(),
            "extent": extent(layer), "source": layer.source()})
    told["group"] = [group.name() for group in project.layerTreeRoot().findGroups()]
    told["legend"] = [[item.label(), item.symbol().color().name()] for item in layers[0].renderer().categories()]
    tiles = layers[1:]
    render(tiles, asked["bounds"], asked["size"], asked["png"])
    classes = QgsRasterLayer(asked["classes"], "classes")
    told["style"] = classes.loadNamedStyle(asked["qml"])[1]
    renderer = classes.renderer()
    told["classes"] = [[entry.value, entry.label, entry.color.name()] for entry in renderer.classes()]
    gdal = QgsRasterLayer(asked["xml"], "tiles.xml")
    told["gdal"] = {"valid": gdal.isValid(), "extent": extent(gdal)}
    return told

app = QgsApplication([], False)
app.initQgis()
print(json.dumps(main(json.loads(sys.argv[1]))), flush=True)
app.exitQgis()
"""

NAME = "Jakarta <b> & \"its\" 'parks' 東京"
LEFT, TOP, RIGHT, BOTTOM = 13055, 8467, 13060, 8470  # tiles of zoom 14
WINDOW = PixelWindow(LEFT * 256 + 37, TOP * 256 + 21, RIGHT * 256, BOTTOM * 256 - 3)
TILESET = TileSet(NAME, "png", 12, 14, WINDOW)
HOLE = (13057, 8468)


def _colour(zoom: int, x: int, y: int) -> tuple[int, int, int]:
    return 10 * zoom, 40 * (x % 6), 40 * (y % 6)


def _bounds() -> tuple[float, float, float, float]:
    first, last = mercantile.xy_bounds(LEFT, TOP, 14), mercantile.xy_bounds(RIGHT - 1, BOTTOM - 1, 14)
    return first.left, last.bottom, last.right, first.top


def _environment(home: Path) -> dict[str, str]:
    """Without a screen, the user's QGIS settings or this virtual environment."""
    return {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "HOME": str(home), "XDG_RUNTIME_DIR": str(home)} | {
        "QT_QPA_PLATFORM": "offscreen"
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tile set that was moved after it was written, except for the address in tiles.xml."""
    moved = tmp_path_factory.mktemp("moved") / "my maps & 'ü'"
    made = tmp_path_factory.mktemp("made") / "tiles"
    mask = np.ones((256, 256), np.bool_)
    for zoom in (12, 13, 14):
        size = 1 << (14 - zoom)
        for x in range(LEFT // size, -(-RIGHT // size)):
            for y in range(TOP // size, -(-BOTTOM // size)):
                if (x, y) != HOLE:
                    path = made / str(zoom) / str(x) / f"{y}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(encode_tile(np.full((256, 256, 3), _colour(zoom, x, y), np.uint8), mask, "png"))
    for name, data in sidecars(TILESET, MAPS_PALETTE.entries, {}, address=moved.as_uri()).items():
        (made / name).write_bytes(data)
    made.rename(moved)
    return moved


@pytest.fixture(scope="module")
def told(folder: Path) -> dict[str, Any]:
    home = folder.parent
    if not Path(PYTHON).exists():
        pytest.skip(f"there is no {PYTHON}")
    command = [PYTHON, "-c", "import qgis.core"]
    if subprocess.run(command, capture_output=True, check=False, env=_environment(home)).returncode:
        pytest.skip(f"PyQGIS (Debian's python3-qgis) is not installed for {PYTHON}")
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "width": 64, "height": 64, "crs": "EPSG:3857"}
    with rasterio.open(home / "classes.tif", "w", **profile, transform=Affine(1, 0, 5, 0, -1, 5)) as dataset:
        dataset.write(np.arange(64 * 64, dtype=np.uint8).reshape(1, 64, 64) % 6)
    (home / "style.qml").write_bytes(class_style(MAPS_PALETTE.entries))
    (qlr,) = folder.glob("*.qlr")
    asked = {"qlr": str(qlr), "bounds": _bounds(), "size": [640, 384], "png": str(home / "seen.png")} | {
        "classes": str(home / "classes.tif"),
        "qml": str(home / "style.qml"),
        "xml": str(folder / "tiles.xml"),
    }
    command = [PYTHON, "-c", SCRIPT, json.dumps(asked)]
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, env=_environment(home), cwd="/"
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def test_the_layer_definition_opens_where_it_lies(told: dict[str, Any], folder: Path) -> None:
    assert (told["ok"], told["message"], told["group"]) == (True, "", [NAME])
    outline, tiles = told["layers"]
    assert (tiles["name"], tiles["valid"], tiles["crs"]) == (NAME, True, "EPSG:3857")
    assert f"{folder}/{{z}}/{{x}}/{{y}}.png" in unquote(tiles["source"])
    assert (outline["name"], outline["valid"]) == (f"{NAME}: outline and legend", True)


def test_the_outline_is_the_place_to_zoom_to(told: dict[str, Any]) -> None:
    assert told["layers"][0]["extent"] == pytest.approx(TILESET.to_dict()["bounds"], abs=1e-8)


def test_the_legend_is_the_maps(told: dict[str, Any]) -> None:
    assert told["legend"][1:] == [
        [name, "#{:02x}{:02x}{:02x}".format(*colour)] for name, colour in MAPS_PALETTE.entries
    ]


def test_qgis_draws_the_tiles_in_their_places(told: dict[str, Any], folder: Path) -> None:
    assert told["ok"]
    seen = np.array(PIL.Image.open(folder.parent / "seen.png").convert("RGBA"))
    for column in range(5):
        for row in range(3):
            x, y = LEFT + column, TOP + row
            found = seen[row * 128 + 64, column * 128 + 64].tolist()
            if (x, y) != HOLE:  # at half the size, QGIS takes the zoom above
                assert found in ([*_colour(14, x, y), 255], [*_colour(13, x // 2, y // 2), 255])


def test_the_style_names_the_codes(told: dict[str, Any]) -> None:
    assert told["style"] is True
    first = dict(reversed(MAPS_PALETTE.entries))
    assert told["classes"] == [
        [code, name, "#{:02x}{:02x}{:02x}".format(*first[name])] for code, name in enumerate(MAPS_PALETTE.classes)
    ]


def test_qgis_opens_the_description_for_gdal(told: dict[str, Any]) -> None:
    assert told["gdal"]["valid"]
    left, bottom, right, top = told["gdal"]["extent"]
    inner = _bounds()
    assert left < inner[0] + 1e-6 < inner[2] < right + 1e-6
    assert bottom < inner[1] + 1e-6 < inner[3] < top + 1e-6
    assert right - left < 3 * (inner[2] - inner[0])


@pytest.mark.parametrize("scheme", ["xyz", "tms"])
def test_gdal_reads_every_zoom_of_the_description(scheme: Scheme, folder: Path, tmp_path: Path) -> None:
    if scheme == "tms":
        folder = _from_the_south(folder, tmp_path / "tms")
    with rasterio.open(folder / "tiles.xml") as found:
        assert (found.crs.to_epsg(), found.count) == (3857, 4)
        assert found.overviews(1) == [2, 4]
        for x in range(LEFT, RIGHT):
            for y in range(TOP, BOTTOM):
                window = found.window(*mercantile.xy_bounds(x, y, 14)).round_offsets().round_lengths()
                bands = found.read(window=window)
                expected = [0, 0, 0, 0] if (x, y) == HOLE else [*_colour(14, x, y), 255]
                assert (bands == np.array(expected)[:, None, None]).all()
    for level, zoom in ((0, 13), (1, 12)):
        with rasterio.open(folder / "tiles.xml", OVERVIEW_LEVEL=level) as found:
            tile = mercantile.Tile(LEFT >> (14 - zoom), TOP >> (14 - zoom), zoom)
            window = found.window(*mercantile.xy_bounds(*tile)).round_offsets().round_lengths()
            assert found.read(window=window)[:, 9, 9].tolist() == [*_colour(zoom, tile.x, tile.y), 255]


def _from_the_south(folder: Path, made: Path) -> Path:
    """The same tiles in files whose rows count from the south, with a description of their own."""
    for path in folder.rglob("*.png"):
        zoom, column = path.parts[-3:-1]
        target = made / zoom / column / f"{2 ** int(zoom) - 1 - int(path.stem)}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    tileset = replace(TILESET, scheme="tms")
    (made / "tiles.xml").write_bytes(sidecars(tileset, (), {}, address=made.as_uri())["tiles.xml"])
    return made
