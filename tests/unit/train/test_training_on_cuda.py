"""Training on a GPU: the CPU's crops, no waiting within a step, and the same weights after a stop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from geo2map.colour.palette import MAPS_PALETTE
from geo2map.train.config import TrainConfig
from geo2map.train.dataset import Pairs, Sources
from geo2map.train.pictures import list_pairs, list_places
from geo2map.train.run import Run
from geo2map.train.shelf import Keeping
from geo2map.train.trainer import Trainer
from geo2map.train.world import World

pytestmark = pytest.mark.cuda

CONFIG = TrainConfig(
    steps=8,
    batch=8,
    crop=64,
    widths=(8, 16, 16),
    residual_blocks=(0, 1, 0),
    legend=True,
    norm="renorm",
    lambda_gan=0.0,
    lambda_cross_entropy=1.0,
    lambda_jaccard=1.0,
    photometric=1.0,
    holes=0.5,
    rematch=0.5,
    elsewhere=0.5,
    noise=2,
    recalibrate=0,
)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    folder, rng = tmp_path_factory.mktemp("sources"), np.random.default_rng(0)
    for name, side in (("own", 90), ("else/oslo", 40)):
        (folder / name).mkdir(parents=True)
        for number in range(3):
            a = np.kron(
                rng.integers(0, 255, (side // 10, side // 10, 3), dtype=np.uint8), np.ones((10, 10, 1), np.uint8)
            )
            b = MAPS_PALETTE.colours[(a[..., 0] // 37) % len(MAPS_PALETTE.colours)]
            Image.fromarray(np.concatenate((a, b), axis=1)).save(folder / name / f"{number}.png")
            if name != "own":
                Image.fromarray(np.full((side, side), 3, np.uint8)).save(folder / name / f"{number}_valid.png")
    return Sources(list_pairs(folder / "own"), list_places(folder / "else"))


def trainer(sources: Sources, config: TrainConfig, device: torch.device, memory: int = 2**30) -> Trainer:
    keeping = Keeping(device=device, memory=memory)
    return Trainer(Pairs(sources, config, MAPS_PALETTE, keeping), World(device=device))


@contextmanager
def waiting_is_an_error(device: torch.device) -> Iterator[None]:
    if device.type == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        if device.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("memory", [2**30, 40_000])
def test_crops_are_the_cpus(sources: Sources, accelerator: torch.device, memory: int) -> None:
    """Kept on the device or sent. But for grain, whose random numbers are the device's own; rounding may differ."""
    here, there = Pairs(sources, CONFIG), Pairs(sources, CONFIG, keeping=Keeping(device=accelerator, memory=memory))
    for step in range(6):
        grainy = here.draft(step).sensors.grain.which.tolist()
        ours, theirs = here.batch(step), there.batch(step)
        for name in ("b", "known", "partly", "wholly"):
            difference = getattr(theirs, name).cpu().int() - getattr(ours, name).int()
            assert difference.abs().max() <= (1 if name == "b" else 0) if difference.numel() else True, name
        difference = (theirs.a.cpu().int() - ours.a.int()).abs().float()
        plain = [number for number in range(CONFIG.batch) if number not in grainy]
        assert difference[plain].mean() < 0.2
        assert difference[grainy].mean() < 15 if grainy else True


@pytest.mark.parametrize("memory", [2**30, 0])
@pytest.mark.parametrize("autocast", ["none", "bf16"])
def test_steps_do_not_wait(sources: Sources, accelerator: torch.device, memory: int, autocast: str) -> None:
    state = trainer(sources, replace(CONFIG, autocast=autocast), accelerator, memory)  # type: ignore[arg-type]
    state.train_step(state.batch(0))
    with waiting_is_an_error(accelerator):
        for step in range(1, 6):
            state.train_step(state.batch(step))
    assert len(state.read_losses()) == 6


def test_resuming_on_a_device_equals_never_having_stopped(
    sources: Sources, accelerator: torch.device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    config = replace(CONFIG, autocast="none", lambda_gan=1.0, adversarial_from=0.2, gan_mode="hinge", elsewhere=0.2)
    algorithms = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        through, resumed = trainer(sources, config, accelerator), trainer(sources, config, accelerator)
        Run(folder=tmp_path / "through").train(through)
        Run(folder=tmp_path / "stopped", until=4).train(trainer(sources, config, accelerator))
        resumed.load(tmp_path / "stopped" / "checkpoint.pt")
        Run(folder=tmp_path / "stopped").train(resumed)
    finally:
        torch.use_deterministic_algorithms(algorithms)
    expected = through.average.state_dict()
    for name, tensor in resumed.average.state_dict().items():
        assert torch.equal(tensor, expected[name]), name
