"""Training for real: it learns both directions, survives kill -9, and two processes agree."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from geo2map_cli.main import cli
from PIL import Image

from geo2map.colour.palette import MAPS_PALETTE
from geo2map.demo.aerial import paint_aerial
from geo2map.demo.scatter import build_town
from geo2map.demo.truth import paint_truth
from geo2map.evaluate import EvaluateConfig, evaluate
from geo2map.model import load_card, load_weights
from geo2map.train.config import TrainConfig
from geo2map.train.dataset import Pairs
from geo2map.train.pictures import list_pairs
from geo2map.train.run import Run, train
from geo2map.train.trainer import Trainer

pytestmark = pytest.mark.slow

SMALL = TrainConfig(
    steps=300,
    batch=2,
    crop=96,
    widths=(16, 32, 64, 64),
    residual_blocks=(0, 0, 1, 0),
    discriminator_width=8,
    learning_rate=1e-3,
    recalibrate=8,
    photometric=0.0,
    scale_jitter=1.0,
    autocast="none",
)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs of one synthetic town: twelve to train on, four of another town to judge by."""
    folder = tmp_path_factory.mktemp("town")
    for split, seed, count in (("train", 1, 12), ("val", 2, 4)):
        layout, look = np.random.default_rng(seed).spawn(2)
        size = 1024 if count > 4 else 512
        plan = build_town(size, 0.9, layout)
        pair = np.concatenate((paint_aerial(plan, size, 0.9, look), paint_truth(plan, size, 0.9)), axis=1)
        (folder / split).mkdir()
        for index in range(count):
            top, left = 256 * (index // (size // 256)), 256 * (index % (size // 256))
            a, b = (pair[top : top + 256, x : x + 256] for x in (left, size + left))
            Image.fromarray(np.concatenate((a, b), axis=1)).save(folder / split / f"{index}.png")
    return folder


def scores(model: Path, folder: Path, config: TrainConfig):  # type: ignore[no-untyped-def]
    from geo2map.engine import load_engine

    card = load_card(model)
    palette = MAPS_PALETTE if config.direction == "a2b" else None
    settings = EvaluateConfig(card.size_multiple, card.margin, palette, "native", config.direction, None, card.name)
    return evaluate(list_pairs(folder), load_engine(model, device="cpu"), settings).report()


@pytest.mark.parametrize("direction", ["a2b", "b2a"])
def test_training_learns_the_town(town: Path, tmp_path: Path, direction: str) -> None:
    """After a minute or less: RMSE below 60 % of the untrained network's, and classes told apart."""
    config = replace(SMALL, direction=direction, adversarial_from=0.7)  # type: ignore[arg-type]
    found = {}
    for name, until in (("before", 1), ("after", None)):
        trainer = Trainer(Pairs(list_pairs(town / "train"), config, MAPS_PALETTE))
        run = Run(folder=tmp_path / name, until=until)
        if until:
            trainer.total = until
        model = tmp_path / f"{name}.safetensors"
        card = train(trainer, run, model, name=name, zoom=17, ground_resolution=0.9)
        assert card is not None
        found[name] = scores(model, town / "val", config)
    assert found["after"]["rmse"] < 0.6 * found["before"]["rmse"]
    if direction == "a2b":
        assert found["after"]["class_iou"]["mean"] > found["before"]["class_iou"]["mean"] + 0.15
    sheets = sorted((tmp_path / "after" / "samples").iterdir())
    assert len(sheets) == SMALL.steps * 2 // 12
    with Image.open(sheets[-1]) as sheet:
        assert sheet.size == (3 * SMALL.crop + 2 * 8, 4 * SMALL.crop + 3 * 8)


CHILD = """
import sys
from pathlib import Path
from geo2map.train.config import TrainConfig
from geo2map.train.dataset import Pairs
from geo2map.train.pictures import list_pairs
from geo2map.train.run import Run
from geo2map.train.trainer import Trainer
import torch
torch.set_num_threads(1)
data, folder, config = Path(sys.argv[1]), Path(sys.argv[2]), TrainConfig.from_json(sys.argv[3])
Run(folder=folder, minutes=0.0).train(Trainer(Pairs(list_pairs(data), config)))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on Windows")
def test_kill_9_and_resume_ends_with_the_same_weights(town: Path, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        config = replace(SMALL, steps=30, crop=64, widths=(8, 8, 8), residual_blocks=(0, 0, 0), adversarial_from=0.3)
        through = Trainer(Pairs(list_pairs(town / "train"), config))
        Run(folder=tmp_path / "through").train(through)
        arguments = [sys.executable, "-c", CHILD, str(town / "train"), str(tmp_path / "killed"), config.to_json()]
        child = subprocess.Popen(arguments)
        checkpoint = tmp_path / "killed" / "checkpoint.pt"
        deadline = time.monotonic() + 120
        while not checkpoint.exists() and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        child.wait()
        resumed = Trainer(Pairs(list_pairs(town / "train"), config))
        resumed.load(checkpoint)
        assert 0 < resumed.step < 30
        Run(folder=tmp_path / "killed").train(resumed)
        expected = through.exported().state_dict()
        for name, tensor in resumed.exported().state_dict().items():
            assert torch.equal(tensor, expected[name]), name
    finally:
        torch.set_num_threads(threads)


def test_two_processes_train_one_model(town: Path, tmp_path: Path) -> None:
    """torchrun with two gloo processes on the CPU: twice the same weights, which are not those of one process."""
    plain = ["-m", "geo2map_cli", "train", str(town), "--crop", "64", "--batch", "1", "--steps", "3", "--json"]
    plain += ["--discriminator-width", "4", "--adversarial-from", "0.4", "--autocast", "none", "--threads", "1"]
    plain += ["--widths", "8,16,16,16", "--residual-blocks", "0,0,1,0"]
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *plain]
    threads = torch.get_num_threads()
    cli.main([*plain[2:], "--out", str(tmp_path / "one.safetensors"), "--device", "cpu"], standalone_mode=False)
    torch.set_num_threads(threads)
    found = [load_weights(tmp_path / "one.safetensors")]
    for name, command in (("two", torchrun), ("again", torchrun)):
        out = tmp_path / f"{name}.safetensors"
        done = subprocess.run(
            [sys.executable, *command, "--out", str(out), "--device", "cpu"],
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout.strip().splitlines()[-1])["steps"] == 3
        found.append(load_weights(out))
    one, two, again = found
    assert all(np.array_equal(two[name], again[name]) for name in two)
    assert not all(np.array_equal(one[name], two[name]) for name in two)
