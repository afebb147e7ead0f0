"""A folder's .qlr, dragged into an empty QGIS project: valid layers in the right place, and the map on the canvas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mercantile
import numpy as np
import pytest
from desktop import ask_qgis, drawn, require_qgis
from jakarta import BLOCK, WINDOW, make_output, waves

from geo2map.colour.palette import MAPS_PALETTE
from geo2map.grid import lnglat_bounds

pytestmark = pytest.mark.slow

OUTPUTS: dict[str, dict[str, Any]] = {
    "xyz": {},
    "tms": {"scheme": "tms"},
    "classes": {"classes": True, "legend": MAPS_PALETTE.entries},
}
DEGREES = lnglat_bounds(WINDOW, BLOCK.z)
PROJECTS = {"EPSG:3857": (*mercantile.xy(*DEGREES[:2]), *mercantile.xy(*DEGREES[2:])), "EPSG:4326": DEGREES}
"""Bounds of the map in the project's CRS."""
SIZE = (700, 500)
DRAGGED = [(name, crs) for name in OUTPUTS for crs in PROJECTS]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What QGIS says of each folder in each project, and its pictures beside those of the same tiles by address."""
    home, maps = tmp_path_factory.mktemp("qgis"), tmp_path_factory.mktemp("maps")
    require_qgis(home)
    for name, storage in OUTPUTS.items():
        make_output(maps / name, waves(), **storage)
    dragged = {
        f"{name} {crs}": {
            "definition": str(next((maps / name).glob("*.qlr"))),
            "crs": crs,
            "size": SIZE,
            "path": str(home / f"{name} {crs[5:]}.png"),
        }
        for name, crs in DRAGGED
    }
    found = ask_qgis(home, {"layers": {}, "pictures": [], "dragged": dragged})["dragged"]
    by_address = {
        f"{name} {crs}": {
            "layer": name,
            "crs": crs,
            "bounds": found[f"{name} {crs}"]["extent"],
            "size": found[f"{name} {crs}"]["size"],
            "path": str(home / f"{name} {crs[5:]} address.png"),
        }
        for name, crs in DRAGGED
    }
    layers = {name: _connection(maps / name, "{-y}" if name == "tms" else "{y}") for name in OUTPUTS}
    ask_qgis(home, {"layers": layers, "pictures": list(by_address.values())})
    return {key: found[key] | {"canvas": dragged[key]["path"], "address": by_address[key]["path"]} for key in found}


def _connection(folder: Path, row: str) -> dict[str, str]:
    """As QGIS writes an XYZ connection."""
    url = f"{folder.as_uri()}/{{z}}/{{x}}/{row}.png".replace("{", "%7B").replace("}", "%7D")
    return {"source": f"type=xyz&url={url}&zmin=12&zmax=14", "provider": "wms"}


@pytest.mark.parametrize(("name", "crs"), DRAGGED)
def test_its_layers_have_a_crs(told: dict[str, Any], name: str, crs: str) -> None:
    outline, tiles = told[f"{name} {crs}"]["layers"]
    assert (outline["valid"], outline["crs_valid"], outline["crs"]) == (True, True, "EPSG:4326")
    assert (tiles["valid"], tiles["crs_valid"], tiles["crs"]) == (True, True, "EPSG:3857")


@pytest.mark.parametrize(("name", "crs"), DRAGGED)
def test_zooming_to_it_shows_its_place(told: dict[str, Any], name: str, crs: str) -> None:
    """The canvas holds the map and, in its narrower direction, little else."""
    left, bottom, right, top = told[f"{name} {crs}"]["extent"]
    west, south, east, north = PROJECTS[crs]
    assert left <= west + 1e-9 * abs(west)
    assert right >= east - 1e-9 * abs(east)
    assert bottom <= south + 1e-9 * abs(south)
    assert top >= north - 1e-9 * abs(north)
    assert min((right - left) / (east - west), (top - bottom) / (north - south)) < 1.2


@pytest.mark.parametrize(("name", "crs"), DRAGGED)
def test_the_map_is_on_the_canvas(told: dict[str, Any], name: str, crs: str) -> None:
    """The pixels that the tiles give by their address, but for the outline's line."""
    canvas, address = drawn(told[f"{name} {crs}"]["canvas"])[..., :3], drawn(told[f"{name} {crs}"]["address"])
    covered = address[..., 3] == 255
    assert covered.mean() > 0.3
    same = (np.abs(canvas - address[..., :3]).max(axis=-1) <= 8)[covered].mean()
    assert same > 0.95
