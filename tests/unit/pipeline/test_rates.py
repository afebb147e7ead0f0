"""What is measured is a run's work, stage by stage; what is said of it follows from the figures."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geo2map.api.benching import bench
from geo2map.errors import PlanError
from geo2map.grid import PixelWindow
from geo2map.pipeline.rates import Bench, Rates, StageRate
from geo2map.plan import Plan
from geo2map.scene import View
from geo2map.testing import ArraySource, BlurTranslator, MemoryOutput

WINDOW = PixelWindow(256 * 8, 256 * 4, 256 * 11, 256 * 6)
PLAN = Plan(name="noise", view=View(6), window=WINDOW, block_span=1, margin=32, fill_radius=32)
STAGES = ("read", "fill", "translate", "encode", "write")


def measured(batch: int = 1, plan: Plan = PLAN) -> tuple[Rates, list[MemoryOutput]]:
    pixels = np.random.default_rng(0).integers(0, 256, (WINDOW.height, WINDOW.width, 3), dtype=np.uint8)
    mask = np.ones((WINDOW.height, WINDOW.width), dtype=np.bool_)
    mask[:256, :256] = False
    outputs: list[MemoryOutput] = []

    @contextmanager
    def output() -> Iterator[MemoryOutput]:
        outputs.append(MemoryOutput(plan))
        yield outputs[-1]

    source = ArraySource(WINDOW, pixels, mask)
    found = Bench(plan, lambda: nullcontext(source), BlurTranslator(32, batch), output).measure()
    return found, outputs


@pytest.mark.parametrize("batch", [1, 2, 4])
@pytest.mark.parametrize("plan", [PLAN, replace(PLAN, block_span=2)])
def test_the_stages_make_what_a_run_makes(batch: int, plan: Plan) -> None:
    """Blocks of unequal shape included, which no batch may hold together."""
    found, (together, apart) = measured(batch, plan)
    assert found.tiles == 5
    assert tuple(stage.name for stage in found.stages) == STAGES
    assert together.store.data == apart.store.data
    assert together.finished
    assert apart.finished


def test_figures_agree_with_each_other() -> None:
    found, _ = measured()
    assert sum(stage.share for stage in found.stages) == pytest.approx(1)
    assert all(stage.rate == pytest.approx(found.tiles / stage.seconds) for stage in found.stages)
    assert found.rate == pytest.approx(found.tiles / found.seconds)
    values = json.loads(json.dumps(found.to_dict()))
    assert values["verdict"] == found.verdict
    assert {stage["name"] for stage in values["stages"]} == set(STAGES)
    assert str(found).splitlines()[-1] == found.verdict


def rates(**rate: float) -> Rates:
    """Measured with these ceilings."""
    stages = tuple(StageRate(name, 1, 1.0, 1.0 / value, value) for name, value in rate.items())
    total = sum(stage.busy for stage in stages)
    shared = tuple(replace(stage, share=stage.busy / total) for stage in stages)
    return Rates(100, shared, 20.0, 5.0, 2, 0.97, 22.0, None, "cpu")


def test_the_verdict_names_what_holds_it_back() -> None:
    found = rates(read=50.0, translate=25.0, write=100.0)
    assert found.verdict.startswith("The 2 cores are busy, 57% of it with translate")
    assert "Read is the bottleneck" in replace(rates(read=21.0, translate=900.0), device="cuda").verdict
    assert "No single bottleneck" in replace(rates(read=80.0, translate=900.0), device="cuda").verdict
    assert "No single bottleneck" in replace(rates(read=80.0, translate=900.0), cores_busy=0.4).verdict


def test_no_block_is_too_few() -> None:
    with pytest.raises(PlanError, match="give 1 or more"):
        bench("scene.tif", blocks=0)


@pytest.mark.slow
def test_a_scene_is_measured_and_nothing_is_left(town: Path, tmp_path: Path) -> None:
    """Through the command line, in a process of its own, with the packaged model."""
    before = sorted(town.parent.iterdir())
    arguments = ["bench", str(town), "--blocks", "1", "--block-span", "2", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "geo2map_cli", *arguments], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    values = json.loads(done.stdout)
    assert 1 <= values["tiles"] <= 4
    assert values["device"] == "cpu"
    assert [stage["name"] for stage in values["stages"]] == list(STAGES)
    assert values["memory"] is None or values["memory"] > 2**20
    assert sorted(town.parent.iterdir()) == before
    assert not list(tmp_path.iterdir())
