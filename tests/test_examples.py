"""Every example runs as printed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import rasterio

from geo2map import make_pairs, make_town

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(script: str, *arguments: Path | str) -> str:
    command = [sys.executable, str(EXAMPLES / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_render_stages(tmp_path: Path) -> None:
    assert "one tile: (256, 256, 3) uint8" in run("render_stages.py", tmp_path)
    with rasterio.open(tmp_path / "map.tif") as dataset:
        assert dataset.crs.to_epsg() == 3857
        assert dataset.count == 4


def test_render_scene(small_scene: Path, tmp_path: Path) -> None:
    assert "tiles at zoom 17" in run("render_scene.py", small_scene, tmp_path / "tiles")
    assert (tmp_path / "tiles" / "tilejson.json").is_file()


def test_train_your_city(tmp_path: Path) -> None:
    said = run("train_your_city.py", tmp_path)
    assert "pairs of 128 x 128 px at zoom 17" in said
    assert "mine after 4 steps" in said
    assert "RMSE" in said
    with rasterio.open(tmp_path / "map.tif") as dataset:
        assert dataset.crs.to_epsg() == 3857
    assert (tmp_path / "pairs" / "pairs.json").is_file()


def test_ablate(tmp_path: Path) -> None:
    make_town(tmp_path / "town.tif", tmp_path / "truth.tif", size=800, seed=3)
    make_pairs(tmp_path / "town.tif", tmp_path / "truth.tif", tmp_path / "pairs", zoom=17, size=128)
    folder = tmp_path / "pairs" / "train"
    kept_aside = tmp_path / "kept-aside.txt"
    kept_aside.write_text(sorted(folder.glob("*.png"))[0].name, encoding="utf-8")
    rows = [
        "--rows",
        "preset geo2map",
        "L1 alone",
        "--seeds",
        "0",
        "--steps",
        "2",
        "--batch",
        "1",
        "--crop",
        "64",
        "--out",
        tmp_path / "out",
    ]
    said = run("ablate.py", folder, "--validation", kept_aside, *rows)
    assert "| L1 alone | 2 |" in said
    assert run("ablate.py", folder, "--validation", kept_aside, *rows) == said, "rows are not trained twice"


def test_every_example_has_a_test() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert all(f'"{path.name}"' in text for path in EXAMPLES.glob("*.py"))
