"""Every example runs as printed."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import rasterio
import torch
from geo2map_cli.main import cli
from waiting import PATIENCE

from geo2map import make_pairs, make_town
from geo2map.colour.palette import MAPS_PALETTE
from geo2map.metrics import classify
from geo2map.model import load_card
from geo2map.train.pictures import LABEL_BITS, PairFile

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parent.parent / "examples"


def run_here(command: list[str], **asked: Any) -> subprocess.CompletedProcess[str]:
    """`python -m geo2map_cli ...` in this process: to start one takes seconds."""
    assert command[:3] == [sys.executable, "-m", "geo2map_cli"]
    said = io.StringIO()
    with contextlib.redirect_stdout(said if asked.get("stdout") == subprocess.PIPE else sys.stdout):
        cli.main(command[3:], standalone_mode=False)
    return subprocess.CompletedProcess(command, 0, said.getvalue())


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., str]]:
    """Runs a script, and the commands that it starts, in this process; what was printed."""
    threads = torch.get_num_threads()

    def script(name: str, *arguments: Path | str) -> str:
        capsys.readouterr()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", [name, *map(str, arguments)])
            patch.setattr(subprocess, "run", run_here)
            runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    yield script
    torch.set_num_threads(threads)


def test_render_stages(run: Callable[..., str], tmp_path: Path) -> None:
    assert "one tile: (256, 256, 3) uint8" in run("render_stages.py", tmp_path)
    with rasterio.open(tmp_path / "map.tif") as dataset:
        assert dataset.crs.to_epsg() == 3857
        assert dataset.count == 4


def test_render_scene(small_scene: Path, tmp_path: Path) -> None:
    """In a process of its own, as printed."""
    command = [sys.executable, str(EXAMPLES / "render_scene.py"), str(small_scene), str(tmp_path / "tiles")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "tiles at zoom 17" in done.stdout
    assert (tmp_path / "tiles" / "tilejson.json").is_file()


def test_train_your_city(run: Callable[..., str], tmp_path: Path) -> None:
    said = run("train_your_city.py", tmp_path)
    assert "pairs of 128 x 128 px at zoom 17" in said
    assert "mine after 4 steps" in said
    assert "RMSE" in said
    with rasterio.open(tmp_path / "map.tif") as dataset:
        assert dataset.crs.to_epsg() == 3857
    assert (tmp_path / "pairs" / "pairs.json").is_file()


def test_ablate(run: Callable[..., str], tmp_path: Path) -> None:
    make_town(tmp_path / "town.tif", tmp_path / "truth.tif", size=600, seed=3)
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
        "--widths",
        "8,8,8,8",
        "--residual-blocks",
        "0,0,0,0",
        "--threads",
        str(min(2, os.cpu_count() or 1)),
        "--out",
        tmp_path / "out",
    ]
    said = run("lab/ablate.py", folder, "--validation", kept_aside, *rows)
    assert "| L1 alone | 2 |" in said
    assert run("lab/ablate.py", folder, "--validation", kept_aside, *rows) == said, "rows are not trained twice"


def test_train_sat2map(run: Callable[..., str], tmp_path: Path) -> None:
    """The whole recipe, tiny: training from nothing on two places, calibration on held-out pairs, evaluation."""
    for name, seed in (("maps", 3), ("other", 4)):
        make_town(tmp_path / "town.tif", tmp_path / "truth.tif", size=600, seed=seed)
        options = {"zoom": 17, "size": 128, "shares": (80, 20, 0), "block": 1}
        make_pairs(tmp_path / "town.tif", tmp_path / "truth.tif", tmp_path / name, **options)
    (tmp_path / "places").mkdir()
    town = (tmp_path / "other" / "train").rename(tmp_path / "places" / "town")
    aside, elsewhere = tmp_path / "aside.txt", tmp_path / "elsewhere.txt"
    aside.write_text(min((tmp_path / "maps" / "train").glob("*.png")).name, encoding="utf-8")
    elsewhere.write_text(f"town/{min(town.glob('*.png')).name}", encoding="utf-8")
    files = ("--out", tmp_path / "mine.safetensors", "--aside", aside, "--elsewhere-aside", elsewhere)
    tiny = ("--steps", "30", "--batch", "2", "--crop", "64", "--widths", "8,8,8", "--residual-blocks", "0,0,0")
    tiny += ("--learning-rate", "0.02")  # so that it draws classes that these maps have
    said = run("lab/train_sat2map.py", tmp_path / "maps", tmp_path / "places", *files, *tiny)
    assert "mine-trained after 30 steps" in said
    assert "road F1" in said
    card = load_card(tmp_path / "mine.safetensors")
    assert card.certainty == 8
    assert card.temperature is not None
    assert {"New York", "town"} <= set(card.places)


def test_label_by_agreement(run: Callable[..., str], tmp_path: Path) -> None:
    """One pair is held out, one left out, one labelled; names that begin alike are not taken for one another."""
    make_town(tmp_path / "town.tif", tmp_path / "truth.tif", size=600, seed=4)
    make_pairs(tmp_path / "town.tif", tmp_path / "truth.tif", tmp_path / "cut", zoom=17, size=128, shares=(100, 0, 0))
    cut = sorted((tmp_path / "cut" / "train").glob("*.png"))
    places = tmp_path / "places" / "town"
    places.mkdir(parents=True)
    buildings, aside = LABEL_BITS["building"], tmp_path / "aside.txt"
    held_out, labelled, left_out = pairs = [places / name for name in ("a.png", "a_1.png", "a_2.png")]
    for source, pair in zip(cut, pairs, strict=False):
        shutil.copy(source, pair)
        PIL.Image.fromarray(np.full((128, 128), buildings, np.uint8)).save(places / f"{pair.stem}_valid.png")
    aside.write_text("town/a.png", encoding="utf-8")
    out, models = tmp_path / "out" / "town", ("--models", "sat2map,sat2map", "--every", "town=2")
    label = ("lab/label_by_agreement.py", places.parent, out.parent, "--aside", aside, *models)
    assert run(*label) == "town/a_1.png\n"
    assert run(*label) == ""
    assert {path.name for path in out.iterdir()} == {path.name for path in places.iterdir()}
    for pair in (held_out, left_out):
        assert (out / pair.name).read_bytes() == pair.read_bytes()
        np.testing.assert_array_equal(PairFile(out / pair.name).load_label_mask(), buildings)
    known, before, (image, after) = (
        PairFile(out / "a_1.png").load_label_mask(),
        PairFile(labelled).load(),
        PairFile(out / "a_1.png").load(),
    )
    assert known is not None
    assert (known & buildings).all()
    assert 0.1 < (known != buildings).mean() < 1
    np.testing.assert_array_equal(image, before[0])
    is_building, is_now = (
        classify(side, MAPS_PALETTE) == MAPS_PALETTE.classes.index("building") for side in (before[1], after)
    )
    assert is_building.any()
    np.testing.assert_array_equal(is_building, is_now)


@pytest.fixture(scope="module")
def town_pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of places with one of them, two pairs of 128 px."""
    folder = tmp_path_factory.mktemp("places")
    make_town(folder / "town.tif", folder / "truth.tif", size=600, seed=4)
    make_pairs(folder / "town.tif", folder / "truth.tif", folder / "cut", zoom=17, size=128, shares=(100, 0, 0))
    town = folder / "places" / "town"
    town.mkdir(parents=True)
    for pair in sorted((folder / "cut" / "train").glob("*.png"))[5:7]:
        pair.rename(town / pair.name)
    return folder / "places"


@pytest.mark.parametrize(
    ("script", "asked"),
    [
        ("measure_favour.py", ["sat2map", "HOME", "PLACES"]),
        ("measure_match.py", ["PLACES", "sat2map"]),
        ("measure_second_opinion.py", ["sat2map", "HOME", "--places", "PLACES", "--every", "2"]),
    ],
)
def test_a_measure_of_the_lab(script: str, asked: list[str], run: Callable[..., str], town_pairs: Path) -> None:
    folders = {"HOME": town_pairs / "town", "PLACES": town_pairs}
    said = run(f"lab/{script}", *(folders.get(word, word) for word in asked))
    assert "elsewhere" in said or "town" in said
    assert re.search(r"\d\.\d", said)


@pytest.mark.parametrize("script", sorted((EXAMPLES / "lab").glob("*.py")), ids=lambda script: script.name)
def test_a_lab_script_imports_only_what_exists(script: Path) -> None:
    runpy.run_path(str(script), run_name="imported")


def cells_of(notebook: Any) -> list[Any]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_first_map(tmp_path: Path) -> None:
    """From the first cell to the last, as printed; plan, report and card show themselves, and doubts are founded."""
    nbformat = pytest.importorskip("nbformat", reason="nbclient is not installed")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    notebook = nbformat.read(EXAMPLES / "first_map.ipynb", as_version=4)
    place = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=PATIENCE, resources=place).execute()
    outputs = [output for cell in cells_of(notebook) for output in cell.outputs]
    assert {output.output_type for output in outputs} == {"execute_result", "stream"}
    assert [output.name for output in outputs if "name" in output] == ["stdout", "stdout"]
    shown = [output.data for output in outputs if "data" in output]
    assert ["text/html" in data for data in shown[:3]] == [True] * 3
    assert "data:image/png" in shown[2]["text/html"]
    assert sum("image/png" in data for data in shown) == 3
    said = "".join(output.text for output in outputs if "text" in output)
    shares = [int(share) for share in re.findall(r"right in (\d+)%", said)]
    assert len(shares) == 4
    assert shares == sorted(shares)


def test_the_notebook_is_kept_without_outputs() -> None:
    text = (EXAMPLES / "first_map.ipynb").read_text(encoding="utf-8")
    for cell in cells_of(json.loads(text)):
        assert (cell["outputs"], cell["execution_count"]) == ([], None)


def test_every_example_has_a_test() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert all(f'"{path.name}"' in text for kind in ("py", "ipynb") for path in EXAMPLES.glob(f"*.{kind}"))
