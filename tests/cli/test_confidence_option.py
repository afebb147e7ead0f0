"""--confidence and --layer wherever a map is made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Command, SceneWriter


def test_a_planned_job_has_the_layers(geo2map: Command, write_scene: SceneWriter, tmp_path: Path) -> None:
    options = ["--confidence", "--layer", "source", "--device", "cpu", "--no-measure"]
    ran = geo2map("plan", write_scene("scene.tif"), *options, "--out", tmp_path / "job.json")
    assert ran.code == 0, ran.err
    assert json.loads((tmp_path / "job.json").read_text())["job"]["storage"]["layers"] == ["source", "confidence"]


@pytest.mark.parametrize("option", ["--confidence", "--min-confidence=40", "--layer=confidence"])
@pytest.mark.parametrize("command", ["serve", "plan", "render"])
def test_it_reaches_the_model_that_has_none(
    geo2map: Command, write_scene: SceneWriter, tiny_model: Path, tmp_path: Path, command: str, option: str
) -> None:
    to = [] if command == "serve" else ["--out", tmp_path / "job.json" if command == "plan" else tmp_path / "t"]
    ran = geo2map(command, write_scene("scene.tif"), "--model", tiny_model, option, *to)
    assert ran.code == 1
    assert "the model tiny has no legend" in ran.err


def test_translated_tiles_have_it_and_the_report_too(
    geo2map: Command, write_scene: SceneWriter, tmp_path: Path
) -> None:
    tiles, out = tmp_path / "tiles", tmp_path / "t"
    assert geo2map("tile", write_scene("scene.tif"), "--out", tiles).code == 0
    ran = geo2map("translate", tiles, "--confidence", "--out", out, "--json")
    assert ran.code == 0, ran.err
    assert (out / "confidence" / "tilejson.json").is_file()
    checked = geo2map("check", out, "--json")
    assert json.loads(ran.out)["doubt"] == json.loads(checked.out)["doubt"]
    assert len(json.loads(ran.out)["doubt"]["worst"]) > 1
