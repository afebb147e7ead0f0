"""Every command that takes a model works with every packaged one: noise, legends and sizes are its own business."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import mercantile
import numpy as np
import pytest
from geo2map_cli.main import COMMANDS, cli
from PIL import Image

from geo2map import live_app
from geo2map.model.registry import packaged_models

if TYPE_CHECKING:
    from conftest import Command, SceneWriter

MODELS = sorted(packaged_models())

Arguments = Callable[[Path, Path], list[object]]
"""Of a scene and a folder to write to."""

RUNS: dict[str, Arguments] = {
    "render": lambda scene, out: ["render", scene, "--out", out / "map"],
    "render --dry-run": lambda scene, out: ["render", scene, "--out", out / "map.tif", "--dry-run"],
    "render --each": lambda scene, out: ["render", scene, "--each", "--out", out],
    "render --with-source": lambda scene, out: ["render", scene, "--with-source", "--out", out / "map"],
    "preview": lambda scene, out: ["preview", scene, "--span", "1", "--out", out / "look.png"],
    "tile": lambda scene, out: ["tile", scene, "--out", out / "tiles"],
    "plan": lambda scene, out: ["plan", scene, "--out", out / "map.job.json"],
    "info": lambda scene, _: ["info", scene],
    "bench": lambda scene, _: ["bench", scene, "--blocks", "1"],
    "demo": lambda _, out: ["demo", "--size", "512", "--out", out / "demo"],
}


def model_takers() -> set[str]:
    """Names of the commands with an option --model."""
    root = cli.make_context("geo2map", ["--help"], resilient_parsing=True)
    commands = {name: cli.get_command(root, name) for name in COMMANDS}
    return {name for name, command in commands.items() if any(param.name == "model" for param in command.params)}


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("run", RUNS)
def test_every_command_takes_every_model(
    geo2map: Command, write_scene: SceneWriter, tmp_path: Path, run: str, model: str
) -> None:
    scene, out = write_scene("scene.tif"), tmp_path / "out"
    out.mkdir()
    result = geo2map(*RUNS[run](scene, out), "--model", model)
    assert result.code == 0, result.err
    assert "Traceback" not in result.err


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_tiles_are_translated_and_repaired(
    geo2map: Command, write_scene: SceneWriter, tmp_path: Path, model: str
) -> None:
    """`tile`, `translate`, then a broken tile that `check --repair` renders again."""
    assert geo2map("tile", write_scene("scene.tif"), "--out", tmp_path / "tiles", "--model", model).code == 0
    assert geo2map("translate", tmp_path / "tiles", "--out", tmp_path / "map", "--model", model).code == 0
    tile = sorted((tmp_path / "map").glob("17/*/*.png"))[0]
    before = tile.read_bytes()
    tile.write_bytes(before[:-20])
    assert geo2map("check", tmp_path / "map").code == 1
    repaired = geo2map("check", tmp_path / "map", "--repair")
    assert repaired.code == 0, repaired.err
    assert tile.read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_evaluate_takes_every_model(geo2map: Command, tmp_path: Path, model: str) -> None:
    pixels = np.random.default_rng(0).integers(1, 255, (256, 512, 3), dtype=np.uint8)
    (tmp_path / "pairs").mkdir()
    Image.fromarray(pixels).save(tmp_path / "pairs" / "a.png")
    result = geo2map("evaluate", "--data", tmp_path / "pairs", "--model", model, "--seams", "0", "--json")
    assert result.code == 0, result.err
    assert json.loads(result.out)


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_every_model_is_served(write_scene: SceneWriter, model: str) -> None:
    """What `serve` runs, asked by a client in this process."""
    testclient = pytest.importorskip("starlette.testclient", reason="needs the extra [serve]")
    with testclient.TestClient(live_app(write_scene("scene.tif"), engine=model)) as client:
        document = client.get("/tilejson.json").json()
        west, south, east, north = document["bounds"]
        tile = mercantile.tile((west + east) / 2, (south + north) / 2, document["maxzoom"])
        answer = client.get(f"/{tile.z}/{tile.x}/{tile.y}.png")
    assert answer.status_code == 200
    assert Image.open(io.BytesIO(answer.content)).size == (256, 256)


@pytest.mark.slow
def test_the_demo_of_map2sat_starts_from_the_map(geo2map: Command, tmp_path: Path) -> None:
    """Not from the imagery, which that model does not read."""
    assert geo2map("demo", "--size", "512", "--out", tmp_path, "--model", "map2sat").code == 0
    facts = json.loads((tmp_path / "tiles" / "provenance.json").read_text())
    assert facts["scenes"] == ["town-truth"]


def test_no_command_is_forgotten() -> None:
    covered = {run.split()[0] for run in RUNS} | {"translate", "check", "evaluate", "serve"}
    assert model_takers() == covered
