"""`geo2map train` as a user runs it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from geo2map.colour.palette import MAPS_PALETTE
from geo2map.engine.device import INSTRUCTIONS
from geo2map.model import find_model, load_card
from geo2map.train import pace

Command = Callable[..., Any]
QUICK = ("--device", "cpu", "--threads", 1, "--crop", 64, "--batch", 2, "--steps", 2, "--autocast", "none")
LITTLE = ("--widths", "4,8,8", "--residual-blocks", "0,1,0", "--lambda-gan", 0)


def make_pairs(folder: Path, side: int, known: int | None = None) -> Path:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(side)
    for number in range(3):
        a = rng.integers(0, 255, (side, side, 3), dtype=np.uint8)
        b = np.broadcast_to(MAPS_PALETTE.colours[number], a.shape)
        Image.fromarray(np.concatenate((a, b), axis=1)).save(folder / f"{number}.png")
        if known is not None:
            Image.fromarray(np.full((side, side), known, np.uint8)).save(folder / f"{number}_valid.png")
    return folder


def test_torchs_settings_are_put_back(geo2map: Command, tmp_path: Path) -> None:
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), os.environ.get("GEO2MAP_THREADS")
    more = ("--threads", before[0] + 1, "--deterministic")
    out = tmp_path / "m.safetensors"
    assert geo2map("train", make_pairs(tmp_path / "pairs", 70), "--out", out, *QUICK, *LITTLE, *more).code == 0
    after = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), os.environ.get("GEO2MAP_THREADS")
    assert after == before


def test_widths_places_and_a_teacher(geo2map: Command, tmp_path: Path) -> None:
    pairs = make_pairs(tmp_path / "pairs", 70)
    make_pairs(tmp_path / "elsewhere" / "oslo", 40, known=3)
    first = geo2map("train", pairs, "--out", tmp_path / "teacher.safetensors", *QUICK, *LITTLE, "--json")
    assert first.code == 0, first.err
    report = json.loads(first.out)
    assert (report["margin"], report["parameters"] > 1000, report["gflop_per_tile"]) == (24, True, 0.045)
    assert "0.045 GFLOP a tile of 256 px, margin 24 px" in first.err
    more = ("--elsewhere", tmp_path / "elsewhere", "--place", "Here", "--teacher", tmp_path / "teacher.safetensors")
    jitter = ("--photometric", 1, "--ramp", 0.5, "--holes", 0.5, "--rematch", 0.5, "--lambda-commit", 1, "--border", 1)
    classes = ("--norm", "renorm", "--lambda-cross-entropy", 0.2, "--lambda-jaccard", 2, "--recalibrate", 0)
    second = geo2map(
        "train", pairs, "--out", tmp_path / "student.safetensors", *QUICK, *LITTLE, *more, *jitter, *classes, "--json"
    )
    assert second.code == 0, second.err
    assert {"l1", "commit", "cross_entropy", "jaccard"} <= json.loads(second.out).keys()
    card = load_card(tmp_path / "student.safetensors")
    assert card.places == ("Here", "oslo")
    assert card.resolutions == pytest.approx((0.905 / 1.2, 0.905 * 1.2), abs=0.001)
    assert card.training["recipe"]["teacher"].endswith("teacher.safetensors")
    assert len(list((tmp_path / "student.run" / "teacher").glob("*.npy"))) == 3


@pytest.mark.parametrize(
    ("capability", "held_to", "teacher", "taken"),
    [
        ("AVX512", None, False, "bf16"),
        ("AVX512", "AVX2", False, "none"),
        ("AVX512", None, True, "none"),
        ("AVX2", None, False, "none"),
        ("DEFAULT", None, False, "none"),
    ],
)
def test_bf16_where_the_processor_is_fast_at_it(
    geo2map: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capability: str,
    held_to: str | None,
    teacher: bool,
    taken: str,
) -> None:
    """Without AVX-512, bf16 takes many times as long as fp32; so it does once an engine held the process to AVX2."""
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.delenv(INSTRUCTIONS, raising=False)
    if held_to:
        monkeypatch.setenv(INSTRUCTIONS, held_to)
    pairs, out = make_pairs(tmp_path / "pairs", 70), tmp_path / "m.safetensors"
    more = ("--teacher", "sat2map") if teacher else ()
    assert geo2map("train", pairs, "--out", out, *QUICK[:-2], *LITTLE, *more).code == 0
    assert load_card(out).training["recipe"]["autocast"] == taken


def test_the_preset_of_the_packaged_model(geo2map: Command, tmp_path: Path) -> None:
    """Its network and its losses; where the target is no map, it says how to go on."""
    pairs, out, packaged = (
        make_pairs(tmp_path / "pairs", 70),
        tmp_path / "m.safetensors",
        load_card(find_model("sat2map")),
    )
    assert geo2map("train", pairs, "--out", out, "--preset", "sat2map", *QUICK).code == 0
    card = load_card(out)
    assert card.config == packaged.config
    same = (
        "legend",
        "lambda_gan",
        "lambda_l1",
        "lambda_cross_entropy",
        "lambda_jaccard",
        "norm",
        "recalibrate",
        "holes",
    )
    ours, theirs = card.training["recipe"], packaged.training["recipe"]
    assert {name: ours[name] for name in same} == {name: theirs[name] for name in same}
    refused = geo2map("train", pairs, "--out", out, "--preset", "sat2map", "--direction", "b2a", *QUICK)
    assert refused.code == 1
    assert "learns the classes of a map" in refused.err
    assert "(--palette)" in refused.err


def test_how_long_it_takes_is_said_before_it_does(
    geo2map: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "MEASURED_SECONDS", 0.0)
    pairs, steps = make_pairs(tmp_path / "pairs", 70), ("--steps", 5_000_000, "--until", 5)
    result = geo2map("train", pairs, "--out", tmp_path / "m.safetensors", *QUICK, *LITTLE, *steps, "--json")
    assert result.code == 0, result.err
    assert re.search(r"[\d.]+ steps/s, [\d.]+ crops/s, \d+% of it in convolutions: [\d.]+ h to go", result.err)
    assert re.search(r"An evening of 4 hours is some \d+ steps of this recipe \(--steps \d+\)", result.err)
    assert json.loads(result.out)["crops_per_second"] > 0


def test_widths_that_are_no_numbers_are_refused(geo2map: Command, tmp_path: Path) -> None:
    result = geo2map("train", tmp_path, "--out", tmp_path / "m.safetensors", "--widths", "4,many")
    assert result.code == 2
    assert "'4,many' is not a list of whole numbers" in result.err


def test_blocks_that_do_not_fit_the_widths_are_refused(geo2map: Command, tmp_path: Path) -> None:
    pairs = make_pairs(tmp_path / "pairs", 70)
    result = geo2map("train", pairs, "--out", tmp_path / "m.safetensors", *QUICK, "--widths", "4,8")
    assert result.code == 1
    assert "2 widths" in result.err
    assert "residual" in result.err


def test_early_writes_the_model_of_a_run_that_goes_on(geo2map: Command, tmp_path: Path) -> None:
    pairs, out = make_pairs(tmp_path / "pairs", 70), tmp_path / "m.safetensors"
    plain = geo2map("train", pairs, "--out", out, *QUICK, *LITTLE, "--until", 1)
    assert plain.out.startswith("stopped; ")
    assert not out.exists()
    early = geo2map("train", pairs, "--out", out, "--resume", "--until", 1, "--early", "--device", "cpu", "--json")
    assert early.code == 0, early.err
    assert json.loads(early.out)["finished"] is False
    assert load_card(out).training["steps"] == 1


def test_a_model_to_start_from_says_which_network(geo2map: Command, tmp_path: Path) -> None:
    pairs = make_pairs(tmp_path / "pairs", 70)
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    assert geo2map("train", pairs, "--out", first, *QUICK, *LITTLE).code == 0
    start = ("--from", first, *QUICK, "--lambda-gan", 0)
    assert geo2map("train", pairs, "--out", second, *start).code == 0
    card = load_card(second)
    assert (card.config, card.training["started_from"]) == (load_card(first).config, "first.safetensors")
    refused = geo2map("train", pairs, "--out", tmp_path / "third.safetensors", *start, "--widths", "4,8,16")
    assert refused.code == 1
    assert "another network than" in refused.err
