"""`geo2map evaluate` as a user runs it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from geo2map.model import load_card, load_weights, save_model
from geo2map.types import Image

Command = Callable[..., Any]
QUICK = ("--device", "cpu", "--seams", 0)
TILED = ("--device", "cpu", "--seams", 1)


def picture(seed: int, width: int = 320, height: int = 288) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Two side-by-side JPEGs of noise, each side 160 x 288 px."""
    folder = tmp_path / "pairs"
    folder.mkdir()
    for number in (1, 2):
        Pillow.fromarray(picture(number)).save(folder / f"{number}.jpg")
    return folder


@pytest.fixture
def back_model(tiny_model: Path, tmp_path: Path) -> Path:
    """The tiny model with a card that says it was trained the other way round."""
    path = tmp_path / "back.safetensors"
    card = replace(load_card(tiny_model), name="back", training={"recipe": {"direction": "b2a"}})
    save_model(path, load_weights(tiny_model), card)
    return path


def rows(result: Any) -> list[dict[str, Any]]:
    assert result.code == 0, result.err
    return json.loads(result.out)


def titles(out: str) -> list[str]:
    return [line.split("|")[1].strip() for line in out.split("\n\n")[0].splitlines()[2:]]


def test_a_table_of_the_model_and_a_constant(geo2map: Command, pairs: Path, tiny_model: Path) -> None:
    plain, markdown = (
        geo2map("evaluate", "--data", pairs, "--model", tiny_model, *QUICK, *more) for more in ((), ("--markdown",))
    )
    assert (plain.code, plain.err) == (0, "")
    assert plain.out == markdown.out
    assert titles(plain.out) == ["tiny", "constant land colour"]
    assert "IoU of" in plain.out


def test_json_has_the_agreed_keys_and_no_seam(geo2map: Command, pairs: Path, tiny_model: Path) -> None:
    model, constant = rows(geo2map("evaluate", "--data", pairs, "--model", tiny_model, "--json", *TILED))
    agreed = {"rmse", "rmse_sum", "psnr", "ssim", "acc5", "acc10", "class_iou", "road_f1", "seam_ratio"}
    assert agreed <= set(model)
    assert list(model["class_iou"]) == ["land", "building", "road", "water", "park", "highway", "mean"]
    assert model["seam_ratio"] == pytest.approx(1.0, abs=0.001)
    assert model["seams"]["whole_vs_tiled"]["max"] <= 1
    assert model["seams"]["tile_mismatch"]["above_2"] == 0.0
    assert (model["pictures"], model["seams"]["pictures"], constant["seam_ratio"]) == (2, 1, None)


def test_both_rows_of_maps256_are_labelled(geo2map: Command, pairs: Path, tiny_model: Path) -> None:
    found = rows(geo2map("evaluate", "--data", pairs, "--model", tiny_model, "--protocol", "maps256", "--json", *QUICK))
    assert [(row["name"], row["protocol"]) for row in found] == [
        ("tiny", "maps256"), ("tiny", "maps256-reduced"), ("constant land colour", "maps256")
    ]  # fmt: skip


def test_baselines_stand_in_the_same_table(geo2map: Command, pairs: Path, tiny_model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    save_model(other, load_weights(tiny_model), replace(load_card(tiny_model), name="l1-only"))
    options = ("--model", tiny_model, "--baseline", other, "--baseline", tiny_model, "--limit", 1, "--json")
    found = rows(geo2map("evaluate", "--data", pairs, *options, *QUICK))
    assert [row["name"] for row in found] == ["tiny", "l1-only", "tiny", "constant land colour"]
    assert {row["pictures"] for row in found} == {1}
    assert found[0] == found[1] | {"name": "tiny"} == found[2]


def test_the_direction_is_the_models(geo2map: Command, pairs: Path, back_model: Path) -> None:
    model, constant = rows(geo2map("evaluate", "--data", pairs, "--model", back_model, "--json", *QUICK))
    assert (model["direction"], constant["direction"]) == ("b2a", "b2a")
    assert (constant["name"], model["class_iou"]) == ("constant median colour", {"mean": None})


def test_another_direction_is_measured_with_a_warning(geo2map: Command, pairs: Path, back_model: Path) -> None:
    result = geo2map("evaluate", "--data", pairs, "--model", back_model, "--direction", "a2b", "--json", *QUICK)
    assert rows(result)[0]["direction"] == "a2b"
    assert result.err.strip() == "warning: back was trained b2a, and is measured a2b"


def test_two_folders_give_the_figures_of_one(geo2map: Command, tmp_path: Path, tiny_model: Path) -> None:
    both = picture(3)
    for name, pixels in (("one", both), ("two/A", both[:, :160]), ("two/B", both[:, 160:])):
        (tmp_path / name).mkdir(parents=True)
        Pillow.fromarray(pixels).save(tmp_path / name / "1.png")
    one, two = (
        rows(geo2map("evaluate", "--data", tmp_path / name, "--model", tiny_model, "--json", *QUICK))
        for name in ("one", "two")
    )
    assert one == two


@pytest.mark.slow
def test_no_context_shows_seams(geo2map: Command, tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "wide").mkdir()
    Pillow.fromarray(picture(4, 1200, 600)).save(tmp_path / "wide" / "1.png")
    result = geo2map("evaluate", "--data", tmp_path / "wide", "--model", tiny_model, "--margin", 0, "--json", *TILED)
    (model, _) = rows(result)
    assert "seams remain, but weaker" in result.err
    assert model["seams"]["tile_mismatch"]["mean"] > 0
    assert model["seams"]["whole_vs_tiled"]["max"] > 1


def test_the_card_keeps_the_figures(geo2map: Command, pairs: Path, tiny_model: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.safetensors"
    shutil.copy(tiny_model, mine)
    options = ("--data", pairs, "--model", mine, "--json", "--write-card", *QUICK)
    found = rows(geo2map("evaluate", *options))
    rows(geo2map("evaluate", *options, "--protocol", "maps256"))
    metrics = load_card(mine).metrics
    assert set(metrics) == {"native", "maps256", "maps256-reduced"}
    assert metrics["native"] == found[0]


def spoil(folder: Path, what: str) -> str:
    """Makes the data bad; returns what the error must name."""
    if what == "missing":
        return str(folder / "nowhere")
    if what == "broken":
        (folder / "3.jpg").write_bytes((folder / "1.jpg").read_bytes()[:2000])
        return "3.jpg"
    if what == "odd":
        Pillow.fromarray(picture(5, width=321)).save(folder / "3.png")
        return "3.png"
    if what == "sizes":
        for name, width in (("A", 160), ("B", 150)):
            (folder / name).mkdir()
            Pillow.fromarray(picture(6, width)).save(folder / name / "1.png")
        return str(folder / "B" / "1.png")
    inside = folder / "val"
    inside.mkdir()
    for path in folder.glob("*.jpg"):
        path.rename(inside / path.name)
    return str(inside)


@pytest.mark.parametrize("what", ["missing", "broken", "odd", "sizes", "parent"])
def test_bad_data_is_one_sentence_that_names_it(what: str, geo2map: Command, pairs: Path, tiny_model: Path) -> None:
    named = spoil(pairs, what)
    data = named if what == "missing" else pairs
    result = geo2map("evaluate", "--data", data, "--model", tiny_model, *QUICK)
    assert (result.code, result.out) == (1, "")
    assert len(result.err.splitlines()) == 1
    assert result.err.startswith("geo2map: ")
    assert named in result.err


def test_inception_weights_that_are_not_there(geo2map: Command, pairs: Path, tiny_model: Path) -> None:
    result = geo2map("evaluate", "--data", pairs, "--model", tiny_model, "--inception", "nowhere.pth", *QUICK)
    assert (result.code, result.out) == (1, "")
    assert "nowhere.pth: Inception weights not found; download https://" in result.err


@pytest.mark.parametrize("options", [("--limit", 0), ("--json", "--markdown"), ("--seams", -1), ("--margin", 5)])
def test_impossible_options(options: tuple[Any, ...], geo2map: Command, pairs: Path, tiny_model: Path) -> None:
    result = geo2map("evaluate", "--data", pairs, "--model", tiny_model, *options)
    assert result.code == (1 if "--margin" in options else 2)
    assert result.out == ""


def test_places_have_a_row_each_and_their_mean(geo2map: Command, tiny_model: Path, tmp_path: Path) -> None:
    """What is not known is not scored: bonn knows its roads alone, oslo everything."""
    for place, known in (("bonn", 1), ("oslo", 15)):
        folder = tmp_path / "places" / place
        folder.mkdir(parents=True)
        Pillow.fromarray(picture(known, 140, 64)).save(folder / "1.png")
        Pillow.fromarray(np.full((64, 70), known, np.uint8)).save(folder / "1_valid.png")
    found = rows(geo2map("evaluate", "--data", tmp_path / "places", "--model", tiny_model, "--json", *QUICK))
    assert [(row["name"], row["place"]) for row in found[:3]] == [
        ("tiny", "bonn"), ("tiny", "oslo"), ("tiny", "mean of places")
    ]  # fmt: skip
    bonn, oslo, mean = found[:3]
    assert {row["protocol"] for row in found} == {"scene"}
    assert [row["pictures"] for row in found[:3]] == [1, 1, 2]
    assert (bonn["rmse"], bonn["class_iou"]["water"], bonn["false_water"]) == (None, None, None)
    assert bonn["class_iou"]["road"] is not None
    assert mean["rmse"] == oslo["rmse"] > 0
    assert mean["class_iou"]["road"] == pytest.approx((bonn["class_iou"]["road"] + oslo["class_iou"]["road"]) / 2)
    written = geo2map("evaluate", "--data", tmp_path / "places", "--model", tiny_model, "--write-card", *QUICK)
    assert "mean of places" in written.out
    assert {"bonn", "oslo", "mean of places"} <= load_card(tiny_model).metrics.keys()
