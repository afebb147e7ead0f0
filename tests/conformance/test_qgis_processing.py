"""The plugin in a real QGIS without a screen: `qgis_process` runs it, Cancel leaves nothing, results come styled."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import rasterio
from desktop import PYTHON, require_qgis, run_apart
from geo2map_cli.qgis_profile import install_plugin

from geo2map import make_town

pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).with_name("in_processing.py")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the settings of QGIS, with the plugin, and a town of 9 tiles."""
    home = tmp_path_factory.mktemp("qgis")
    require_qgis(home)
    profile = home / "profiles" / "default"
    profile.mkdir(parents=True)
    install_plugin(profile)
    make_town(home / "town.tif", size=512)
    return home


def ask(home: Path, algorithm: str, *, cancel_at: float | None = None, **parameters: object) -> dict[str, Any]:
    """What an algorithm does, as the toolbox runs it."""
    plugins = str(home / "profiles" / "default" / "python" / "plugins")
    asked = {"plugins": plugins, "algorithm": algorithm, "parameters": parameters, "cancel_at": cancel_at}
    ran = run_apart(home, PYTHON, str(SCRIPT), told=json.dumps(asked))
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def test_qgis_process_renders_a_map(home: Path, tmp_path: Path) -> None:
    program = shutil.which("qgis_process.bin") or shutil.which(
        "qgis_process"
    )  # Debian 12's script gives a wrong option
    if program is None:
        pytest.skip("qgis_process (Debian: qgis) is not installed")
    out = tmp_path / "map.tif"
    ran = run_apart(home, program, "run", "geo2map:render", "--", f"INPUT={home / 'town.tif'}", f"OUTPUT={out}")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "90" in ran.stdout
    assert "100 - done." in ran.stdout
    assert "scale mismatch" in ran.stdout + ran.stderr
    with rasterio.open(out) as opened:
        assert (opened.count, opened.crs.to_epsg()) == (4, 3857)
    refused = run_apart(
        *(home, program, "run", "geo2map:render", "--"),
        *(f"INPUT={home / 'town.tif'}", f"OUTPUT={tmp_path / 'no.tif'}", "MODEL=nonsense"),
    )
    assert refused.returncode != 0
    assert "model not found: 'nonsense'" in refused.stdout + refused.stderr


def test_features_are_loaded_with_their_styles(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "town.gpkg"
    ran = ask(home, "geo2map:vectors", INPUT=str(home / "town.tif"), OUTPUT=str(out))
    assert (ran["ok"], ran["results"]) == (True, {"OUTPUT": str(out)}), ran
    assert ran["seen"] == sorted(ran["seen"])
    assert {"roads", "buildings"} <= set(ran["layers"])
    for layer in ran["layers"].values():
        assert (layer["valid"], layer["before"], layer["after"]) == (True, "singleSymbol", "categorizedSymbol")
    assert "road" in ran["layers"]["roads"]["classes"]


def test_cancel_leaves_nothing(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "maps" / "map.tif"
    out.parent.mkdir()
    ran = ask(home, "geo2map:render", cancel_at=1, INPUT=str(home / "town.tif"), OUTPUT=str(out), ZOOM=18)
    assert "OUTPUT" not in ran["results"]
    assert max(ran["seen"]) < 100
    assert list(out.parent.iterdir()) == []
