"""QGIS opens what geo2map writes, and shows it in its place.

PyQGIS belongs to the system's interpreter (Debian: python3-qgis, qgis-providers), so it runs in a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import mercantile
import numpy as np
import PIL.Image
import pytest

from geo2map.grid import PixelWindow
from geo2map.grid.block import Block, BlockImage
from geo2map.outputs import open_output
from geo2map.pipeline.run import run
from geo2map.plan import Plan, Storage
from geo2map.scene import View
from geo2map.testing import ArraySource, make_job

pytestmark = pytest.mark.slow

PYTHON = "/usr/bin/python3"
RENDER = """
from qgis.core import QgsCoordinateReferenceSystem, QgsMapRendererParallelJob, QgsMapSettings, QgsRectangle
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor

def render(layer, view):
    settings = QgsMapSettings()
    settings.setLayers([layer])
    settings.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:3857"))
    settings.setExtent(QgsRectangle(*view["bounds"]))
    settings.setOutputSize(QSize(*view["size"]))
    settings.setOutputDpi(96)
    settings.setBackgroundColor(QColor(0, 0, 0, 0))
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    return job.renderedImage()
"""
SCRIPT = (
    RENDER
    + """
import json, sys
from qgis.core import QgsApplication, QgsCoordinateTransform, QgsPointXY, QgsProject, QgsRasterLayer

def tell(layer, asked):
    extent = layer.extent()
    told = {"valid": layer.isValid(), "crs": layer.crs().authid()}
    told["extent"] = [extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum()]
    for view in asked["views"]:
        render(layer, view).save(f"{asked['folder']}/{layer.name()}-{view['name']}.png")
    return told

def sample(layer, points):
    lnglat = QgsCoordinateReferenceSystem("EPSG:4326")
    place = QgsCoordinateTransform(lnglat, layer.crs(), QgsProject.instance())
    provider = layer.dataProvider()
    places = [place.transform(QgsPointXY(*point)) for point in points]
    return [[provider.sample(at, band)[0] for band in range(1, layer.bandCount() + 1)] for at in places]

def main(asked):
    tif, xyz = QgsRasterLayer(asked["tif"], "tif"), QgsRasterLayer(asked["xyz"], "xyz", "wms")
    return {"tif": tell(tif, asked), "xyz": tell(xyz, asked), "samples": sample(tif, asked["points"])}

app = QgsApplication([], False)
app.initQgis()
print(json.dumps(main(json.loads(sys.argv[1]))), flush=True)
app.exitQgis()
"""
)

BLOCK = Block(z=14, x=13055, y=8467, columns=5, rows=3)  # Jakarta: odd column and row, so that overviews straddle
WINDOW = PixelWindow(BLOCK.core.left + 37, BLOCK.core.top + 21, BLOCK.core.right, BLOCK.core.bottom - 3)
HOLE = (slice(256, 512), slice(512, 768))  # one tile of the middle row is missing
PLACES = ((21, 37), (20, 37), (100, 700), (255, 511), (256, 511), (256, 512), (400, 1023), (511, 768), (764, 1279))
"""Rows and columns: first and last valid pixels, one beside them, both sides of tile borders, one in the hole."""
EDGE = 8  # pixels around the map in a close view
ENLARGED = 3  # odd, so that every map pixel's middle is a screen pixel's, whatever the resampling
VIEWS = {"close": (EDGE, ENLARGED), "whole": (0, 1), "half": (0, 1 / 2), "quarter": (0, 1 / 4)}
HAIR = 1e-4  # pixels around every view, see _view


class Shown(NamedTuple):
    """What QGIS told, and where its renderings lie."""

    told: dict[str, Any]
    folder: Path

    def view(self, layer: str, name: str) -> np.ndarray:
        """int (H, W, 4)"""
        picture = PIL.Image.open(self.folder / f"{layer}-{name}.png").convert("RGBA")
        return np.array(picture).astype(int)


def _environment(home: Path) -> dict[str, str]:
    """Without a screen, the user's QGIS settings or this virtual environment."""
    return {
        "PATH": os.defpath,
        "LC_ALL": "C.UTF-8",
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home),
        "QT_QPA_PLATFORM": "offscreen",
    }


def _pyqgis(home: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [PYTHON, "-c", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=_environment(home))


def _require_pyqgis(home: Path) -> None:
    if not Path(PYTHON).exists():
        pytest.skip(f"there is no {PYTHON}")
    if _pyqgis(home, "import qgis.core").returncode:
        pytest.skip(f"PyQGIS (Debian's python3-qgis) is not installed for {PYTHON}")


def _rgba(image: BlockImage) -> np.ndarray:
    """int (H, W, 4), zero where invalid"""
    return (np.dstack([image.pixels, np.full_like(image.mask, 255, np.uint8)]) * image.mask[..., None]).astype(int)


def _bounds(edge: float) -> tuple[float, float, float, float]:
    """Where mercantile says that the map lies, in metres, with so many pixels around it."""
    first = mercantile.xy_bounds(BLOCK.x, BLOCK.y, BLOCK.z)
    last = mercantile.xy_bounds(BLOCK.x + BLOCK.columns - 1, BLOCK.y + BLOCK.rows - 1, BLOCK.z)
    around = edge * (first.right - first.left) / 256
    return first.left - around, last.bottom - around, last.right + around, first.top + around


def _lnglat(row: int, column: int) -> tuple[float, float]:
    """The middle of a pixel."""
    left, bottom, right, top = _bounds(0)
    x = left + (right - left) * (column + 0.5) / BLOCK.core.width
    y = top - (top - bottom) * (row + 0.5) / BLOCK.core.height
    return tuple(mercantile.lnglat(x, y))


def _view(name: str, edge: int, scale: float) -> dict[str, Any]:
    """What to render. Right on the grid QGIS 3.22 may draw a row twice and the next ones a pixel off."""
    size = [round((length + 2 * edge) * scale) for length in (BLOCK.core.width, BLOCK.core.height)]
    return {"name": name, "bounds": _bounds(edge + HAIR), "size": size}


def _xyz_source(folder: Path) -> str:
    """As QGIS writes an XYZ connection."""
    url = f"{folder.as_uri()}/%7Bz%7D/%7Bx%7D/%7By%7D.png"
    return f"type=xyz&url={url}&zmin=12&zmax=14"


@pytest.fixture(scope="module")
def image() -> BlockImage:
    """Waves, steep enough to tell a pixel from its neighbours and smooth enough to be resampled."""
    rows, columns = np.mgrid[: BLOCK.core.height, : BLOCK.core.width]
    phases = np.dstack([columns / 61, rows / 53, (rows + 2 * columns) / 997]) * 2 * np.pi
    mask = np.zeros(rows.shape, dtype=np.bool_)
    mask[WINDOW.slices(BLOCK.core)] = True
    mask[HOLE] = False
    return BlockImage(BLOCK, (128 + 127 * np.sin(phases)).astype(np.uint8), mask)


@pytest.fixture(scope="module")
def outputs(image: BlockImage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("qgis")
    _require_pyqgis(folder)
    for name in ("tiles", "map.tif"):
        plan = Plan(name="jakarta", view=View(14), window=WINDOW, block_span=2)
        with open_output(folder / name, make_job(plan, Storage(minzoom=12))) as output:
            run(ArraySource(BLOCK.core, image.pixels, image.mask), None, output)
    return folder


@pytest.fixture(scope="module")
def shown(outputs: Path) -> Shown:
    asked = {
        "folder": str(outputs),
        "tif": str(outputs / "map.tif"),
        "xyz": _xyz_source(outputs / "tiles"),
        "points": [_lnglat(*place) for place in PLACES],
        "views": [_view(name, edge, scale) for name, (edge, scale) in VIEWS.items()],
    }
    ran = _pyqgis(outputs, SCRIPT, json.dumps(asked))
    assert ran.returncode == 0, ran.stderr
    return Shown(json.loads(ran.stdout.splitlines()[-1]), outputs)


def _require_same_place(found: np.ndarray, expected: np.ndarray, within: float) -> None:
    """They differ by less than half of what moving one by twice so many pixels does, whichever way it moves."""
    steps = (-round(2 * within), 0, round(2 * within))
    shifts = [(dy, dx) for dy in steps for dx in steps]
    moved = {shift: float(np.abs(np.roll(expected, shift, (0, 1)) - found).mean()) for shift in shifts}
    assert moved.pop((0, 0)) < min(moved.values()) / 2


def test_both_open_where_mercantile_says(shown: Shown) -> None:
    tif, xyz = shown.told["tif"], shown.told["xyz"]
    assert [(layer["valid"], layer["crs"]) for layer in (tif, xyz)] == [(True, "EPSG:3857")] * 2
    assert tif["extent"] == pytest.approx(_bounds(0), abs=1e-6)
    west, south, east, north = xyz["extent"]
    left, bottom, right, top = tif["extent"]
    assert west < left < right < east
    assert south < bottom < top < north


def test_the_geotiff_has_the_images_values_at_places(shown: Shown, image: BlockImage) -> None:
    assert shown.told["samples"] == [_rgba(image)[place].tolist() for place in PLACES]


@pytest.mark.parametrize("layer", ["tif", "xyz"])
def test_the_image_appears_in_its_place(shown: Shown, image: BlockImage, layer: str) -> None:
    middles = slice(ENLARGED // 2, None, ENLARGED)
    expected = np.pad(_rgba(image), ((EDGE, EDGE), (EDGE, EDGE), (0, 0)))
    _require_same_place(shown.view(layer, "close")[middles, middles], expected, within=0.5)


@pytest.mark.parametrize("view", ["whole", "half", "quarter"])
def test_the_folder_appears_as_the_geotiff_does(shown: Shown, view: str) -> None:
    tif, xyz = shown.view("tif", view), shown.view("xyz", view)
    assert tif[..., 3].any()
    _require_same_place(xyz, tif, within=1.5)
