"""The kit for a GPU, rehearsed on a CPU: every stage runs, and one that fails stops no other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from geo2map.colour.palette import MAPS_PALETTE
from geo2map.model import load_card

KIT = Path(__file__).parent.parent / "examples" / "lab" / "gpu"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF"),
    pytest.mark.skipif(sys.platform == "win32", reason="a shell script"),
]


def test_the_rehearsal(tmp_path: Path) -> None:
    environment = os.environ | {"OUT": str(tmp_path / "out"), "PYTHON": sys.executable}
    done = subprocess.run(["sh", KIT / "run.sh", "--rehearse"], capture_output=True, text=True, env=environment)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert done.returncode == 0, {name: report for name, report in summary.items() if not report["ok"]}
    assert list(summary) == ["unpack", "tests", "engine", "precision", "bench", "large", "lean", "scores"]
    assert summary["unpack"]["home"] > 10
    assert summary["unpack"]["elsewhere"] > 10
    assert " passed" in summary["tests"]["said"]
    engine = summary["engine"]["fp32"]
    assert engine["sat2map"]["share"] == pytest.approx(engine["sat2map"]["tflops"] / engine["matrix_tflops"])
    assert engine["sat2map"]["share"] > 0
    assert summary["precision"]["fp32"]["levels_at_most"] == 0
    assert summary["bench"]["bf16"]["rate"] > 0
    assert load_card(tmp_path / "out" / "lean.safetensors").training["recipe"]["teacher"].endswith("large.safetensors")
    assert set(summary["scores"]) - {"ok", "took"} == {"sat2map", "large", "lean"}
    assert all(0 <= summary["scores"][name]["road_f1"] <= 1 for name in ("large", "lean"))


def test_a_stage_that_fails_stops_no_other(tmp_path: Path) -> None:
    """No pictures, so nothing can be trained; the engine is measured all the same."""
    (tmp_path / "empty" / "home").mkdir(parents=True)
    options = ["--device", "cpu", "--only", "unpack,lean,scores", "--out", tmp_path / "out", "--minutes", "2"]
    done = subprocess.run(
        [sys.executable, KIT / "kit.py", tmp_path / "empty", *options], capture_output=True, text=True
    )
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert done.returncode == 1
    assert [summary[name]["ok"] for name in ("unpack", "lean", "scores")] == [True, False, False]
    assert summary["lean"]["error"]


def test_packs_hold_what_they_were_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Imagery nearly, maps and masks exactly; a small pack is a thinner one, spread over the folder."""
    monkeypatch.syspath_prepend(str(KIT))
    from pack import pack, unpack

    rng = np.random.default_rng(0)
    for name, count in (("home", 12), ("else/oslo", 3)):
        (tmp_path / name).mkdir(parents=True)
        for number in range(count):
            a = np.kron(rng.integers(60, 200, (4, 4, 3), dtype=np.uint8), np.ones((16, 16, 1), np.uint8))
            b = MAPS_PALETTE.colours[rng.integers(0, len(MAPS_PALETTE.colours), (64, 64))]
            Image.fromarray(np.concatenate((a, b), axis=1)).save(tmp_path / name / f"{number}.png")
            if name != "home":
                codes = rng.integers(0, 16, (64, 64), dtype=np.uint8)
                Image.fromarray(codes).save(tmp_path / name / f"{number}_valid.png")
    assert pack(tmp_path / "all.tar", tmp_path / "home", tmp_path / "else", 1.0, 0.6, 60) == 15
    assert unpack(tmp_path / "all.tar", tmp_path / "again") == 15
    for name in ("home/3.png", "else/oslo/2.png"):
        before = np.asarray(Image.open(tmp_path / name)).astype(int)
        after = np.asarray(Image.open(tmp_path / "again" / name.replace("else/", "elsewhere/"))).astype(int)
        assert np.abs(before - after)[:, :64].mean() < 12
        np.testing.assert_array_equal(before[:, 64:], after[:, 64:])
    masks = [tmp_path / folder / "oslo" / "1_valid.png" for folder in ("else", "again/elsewhere")]
    np.testing.assert_array_equal(*(np.asarray(Image.open(mask)) for mask in masks))
    few = pack(tmp_path / "few.tar", tmp_path / "home", None, 0.05, 1.0, 60)
    assert 2 <= few < 12
    assert (tmp_path / "few.tar").stat().st_size <= 0.05 * 2**20
    unpack(tmp_path / "few.tar", tmp_path / "some")
    numbers = sorted(int(path.stem) for path in (tmp_path / "some" / "home").iterdir())
    assert max(np.diff([-1, *numbers, 12])) <= 12 / few * 2.7
