"""A step does not wait for the device, which would stand still while the host prepares the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode

from geo2map.colour.palette import MAPS_PALETTE
from geo2map.errors import DataError
from geo2map.train.augment import Crops
from geo2map.train.config import TrainConfig
from geo2map.train.dataset import Pairs, Sources
from geo2map.train.pictures import list_pairs, list_places
from geo2map.train.run import Run
from geo2map.train.trainer import Trainer

aten = torch.ops.aten
WAIT = {aten._local_scalar_dense.default, aten.nonzero.default, aten.masked_select.default, aten.equal.default}
BY_MASK = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default}


class Waits(TorchDispatchMode):
    """Notes operations whose result, or its shape, depends on values that only the device has.

    Args:
        exempt: tensors that are in main memory whatever the device.
    """

    def __init__(self, *exempt: torch.Tensor) -> None:
        super().__init__()
        self.exempt, self.found = exempt, []

    def __torch_dispatch__(
        self, func: Any, _: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        masks = (
            [index for index in args[1] if index is not None and index.dtype == torch.bool] if func in BY_MASK else []
        )
        if (func in WAIT and not any(args[0] is tensor for tensor in self.exempt)) or masks:
            self.found.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    folder, rng = tmp_path_factory.mktemp("sources"), np.random.default_rng(0)
    for name, side in (("own", 80), ("else/oslo", 40)):
        (folder / name).mkdir(parents=True)
        for number in range(2):
            a = rng.integers(0, 255, (side, side, 3), dtype=np.uint8)
            b = np.broadcast_to(MAPS_PALETTE.colours[number], a.shape)
            Image.fromarray(np.concatenate((a, b), axis=1)).save(folder / name / f"{number}.png")
            if name != "own":
                Image.fromarray(np.full((side, side), 3, np.uint8)).save(folder / name / f"{number}_valid.png")
    (folder / "teacher").mkdir()
    for file in list_pairs(folder / "own"):
        np.save(folder / "teacher" / f"{file.a.stem}.npy", file.load()[1])
    return Sources(list_pairs(folder / "own"), list_places(folder / "else"), folder / "teacher")


EVERYTHING = TrainConfig(
    batch=6,
    crop=64,
    widths=(8, 8, 8),
    residual_blocks=(0, 1, 0),
    discriminator_width=4,
    autocast="none",
    legend=True,
    norm="renorm",
    photometric=1.0,
    holes=0.5,
    rematch=0.5,
    elsewhere=0.5,
    noise=2,
    adversarial_from=0.0,
    lambda_features=1.0,
    lambda_commit=1.0,
    lambda_cross_entropy=1.0,
    lambda_jaccard=1.0,
    border=1.0,
    teacher="t",
    teacher_commit=0.5,
)


@pytest.mark.parametrize("choices", [{}, {"legend": False, "norm": "batch", "dropout": (3,), "gan_mode": "hinge"}])
def test_no_step_asks_the_device(sources: Sources, choices: dict[str, Any]) -> None:
    trainer = Trainer(Pairs(sources, replace(EVERYTHING, **choices), MAPS_PALETTE))
    trainer.train_step(trainer.batch(0))  # constants are sent once
    with Waits(trainer.average.n_averaged) as waits:
        for step in range(1, 5):
            trainer.train_step(trainer.batch(step))
    assert not waits.found
    assert {"l1", "teacher", "commit", "cross_entropy", "jaccard", "gan", "features"} <= trainer.read_losses()[
        -1
    ].keys()


def test_waiting_is_noticed(sources: Sources) -> None:
    trainer = Trainer(Pairs(sources, EVERYTHING, MAPS_PALETTE))
    crops = trainer.batch(0)
    with Waits() as waits:
        if crops.known.any():
            crops.a[crops.known != 0].max()
    assert waits.found == ["aten._local_scalar_dense.default", "aten.index.Tensor"]


def test_losses_are_read_of_every_step(sources: Sources) -> None:
    trainer = Trainer(Pairs(sources, EVERYTHING, MAPS_PALETTE))
    for step in range(3):
        trainer.train_step(trainer.batch(step))
    rows = trainer.read_losses()
    assert len(rows) == 3
    assert len({row["l1"] for row in rows}) == 3
    assert trainer.losses == rows[-1]
    assert trainer.read_losses() == []


def test_an_interruption_right_after_a_step_saves_it(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(Pairs(sources, replace(EVERYTHING, steps=5), MAPS_PALETTE))
    step = trainer.train_step

    def interrupted(crops: Crops) -> None:
        step(crops)
        if trainer.step == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "train_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Run(folder=tmp_path).train(trainer)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 3
    rows = (tmp_path / "losses.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "1", "2"]


def test_a_training_that_diverges_leaves_the_checkpoint_before(sources: Sources, tmp_path: Path) -> None:
    config = replace(EVERYTHING, steps=30, learning_rate=1e20)
    trainer = Trainer(Pairs(sources, config, MAPS_PALETTE))
    trainer.save(tmp_path / "checkpoint.pt")
    with pytest.raises(DataError, match=r"training diverged at step \d+"):
        Run(folder=tmp_path, minutes=0.0).train(trainer)
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert saved["step"] < 30
    assert all(torch.isfinite(tensor).all() for tensor in saved["generator"].values())
