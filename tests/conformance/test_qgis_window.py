"""A GeoPackage opened in QGIS's own window, with nothing set up: all layers in order, and the map on the canvas."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from desktop import drawn
from small_town import FEATURES, area, write_town

from geo2map.colour.palette import MAPS_PALETTE

pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).with_name("in_window.py")
COLOURS = dict(MAPS_PALETTE.entries)


def open_in_window(file: Path, home: Path) -> tuple[list[str], np.ndarray]:
    """Names of the layers, the uppermost first, and the canvas; skips the test where there is no QGIS or no screen."""
    qgis, screen = shutil.which("qgis", path=os.defpath), shutil.which("xvfb-run", path=os.defpath)
    if qgis is None or screen is None:
        pytest.skip("QGIS or xvfb-run (Debian: qgis, xvfb) is not installed")
    layers, canvas = home / "layers.json", home / "canvas.png"
    environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "HOME": str(home), "XDG_RUNTIME_DIR": str(home)}
    environment |= {"GEO2MAP_LAYERS": str(layers), "GEO2MAP_CANVAS": str(canvas)}
    command = [screen, "-a", "-s", "-screen 0 1280x800x24", qgis, "--nologo", "--noversioncheck"]
    command += ["--profiles-path", str(home), "--code", str(SCRIPT), str(file)]
    subprocess.run(command, env=environment, cwd="/", capture_output=True, timeout=120, check=True)
    return json.loads(layers.read_text()), drawn(canvas)


def share(canvas: np.ndarray, colour: tuple[int, int, int]) -> float:
    """Of the canvas's pixels that have nearly a colour."""
    return float((abs(canvas[..., :3] - np.array(colour)).max(-1) <= 1).mean())


def test_a_geopackage_is_a_map_at_once(tmp_path: Path) -> None:
    write_town(tmp_path / "town.gpkg", (*FEATURES, area("coverage", 0, 0, 768, 700)))
    layers, canvas = open_in_window(tmp_path / "town.gpkg", tmp_path)
    names = [name.rpartition(" — ")[2] for name in layers]
    order = ["roads", "road_areas", "buildings", "parks", "water", "coverage"]
    assert [name for name in names if name != "layer_styles"] == order
    shown = {name: share(canvas, colour) for name, colour in COLOURS.items()}
    assert shown["land"] > 0.2
    assert min(shown["park"], shown["water"]) > 0.01
    assert min(shown["building"], shown["road"], shown["highway"]) > 0.002  # upon the land, and not below it
