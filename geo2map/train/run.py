"""A whole training, from pictures to a model file: prefetch, checkpoints, records, export."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from geo2map.families.generator import Generator
from geo2map.model import ModelCard
from geo2map.threads import Budget
from geo2map.train.augment import noisy
from geo2map.train.dataset import Pairs
from geo2map.train.export import export
from geo2map.train.pace import Pace, PaceMeter
from geo2map.train.pictures import Picture
from geo2map.train.record import LossLog, write_sample_sheet
from geo2map.train.trainer import Trainer

log = logging.getLogger(__name__)
SAMPLES = 4
SAMPLE_RECALIBRATION = 8
READ_STEPS, READ_SECONDS = 50, 2.0
"""After so many steps, or so long, the losses are read: a device that is asked after every step waits for the host."""


@dataclass(frozen=True)
class TrainingProgress:
    """The progress of a run.

    Attributes:
        step, total: optimiser steps.
        epoch: passes over the pictures done.
        steps_per_second: since this process began.
        losses: smoothed, by name.
    """

    step: int
    total: int
    epoch: int
    steps_per_second: float
    losses: dict[str, float]

    def __str__(self) -> str:
        left = (self.total - self.step) / max(self.steps_per_second, 1e-9)
        losses = " ".join(f"{name} {value:.4g}" for name, value in self.losses.items())
        return (
            f"step {self.step} of {self.total}, epoch {self.epoch}, {self.steps_per_second:.2f} steps/s, "
            f"{left / 60:.0f} min left, {losses}"
        )


@dataclass(kw_only=True)
class Run:
    """The files and callbacks of a run.

    Attributes:
        folder: gets `checkpoint.pt`, `losses.csv` and `samples/epoch-0001.png`.
        minutes: between checkpoints.
        until: stop after this step, to go on later.
        early: write a model there, too, of what the averages are by then.
        samples: pairs for the sample sheets; default the first of the training's own.
        on_step: called after every step.
        on_pace: called once, as soon as it is known how fast the run is.
        pace: what it was called with.
    """

    folder: Path
    minutes: float = 5.0
    until: int | None = None
    early: bool = False
    samples: Pairs | None = None
    on_step: Callable[[TrainingProgress], None] = field(default=lambda _: None)
    on_pace: Callable[[Pace], None] = field(default=lambda _: None)
    pace: Pace | None = field(default=None, init=False)

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    def train(self, trainer: Trainer) -> None:
        """Trains to the end (or to `until`); saves a checkpoint every `minutes`, at the end and when interrupted.

        Raises:
            DataError: training diverged; the last checkpoint is from before.
        """
        last = min(self.until or trainer.total, trainer.total)
        record = _Record(self, trainer)
        with _beside(trainer.device) as pool, closing(record):
            coming = pool.submit(trainer.batch, trainer.step)
            try:
                while trainer.step < last:
                    epoch = trainer.epoch
                    with record.meter.step():
                        crops = coming.result()
                        coming = pool.submit(trainer.batch, trainer.step + 1)
                        trainer.train_step(crops)
                    record.after_step(epoch_ended=trainer.epoch > epoch)
            except KeyboardInterrupt:
                record.save()
                raise
            record.save()

    def write_samples(self, trainer: Trainer) -> None:
        """The sheet of the epoch that has just ended."""
        pairs = self.samples or trainer.pairs
        generator = trainer.exported(min(SAMPLE_RECALIBRATION, trainer.config.recalibrate))
        chosen = np.linspace(0, len(pairs) - 1, min(SAMPLES, len(pairs))).round().astype(int)
        whole = [pairs[int(index)] for index in chosen]
        sides = [tuple(_middle(side, trainer.config.crop) for side in pair) for pair in whole]
        rows = [(a, _translated(generator, a), b) for a, b in sides]
        write_sample_sheet(self.folder / "samples" / f"epoch-{trainer.epoch:04d}.png", rows)


class _Record:
    """What a process does after every step: now and then read the losses; the leading one tells, and writes them and
    checkpoints."""

    def __init__(self, run: Run, trainer: Trainer) -> None:
        self.run, self.trainer, self.leads = run, trainer, trainer.world.is_main
        self.losses = LossLog(run.folder / "losses.csv", trainer.step) if self.leads else None
        self.first, self.started = trainer.step, time.monotonic()
        self.saved = self.read = self.started
        self.rows: list[dict[str, float]] = []
        self.smooth: dict[str, float] = {}
        self.meter = PaceMeter(
            trainer.device, trainer.config.batch * trainer.world.size, look_inside=not trainer.compiled
        )

    def after_step(self, epoch_ended: bool) -> None:
        run, trainer, now = self.run, self.trainer, time.monotonic()
        rate = trainer.optimise_g.param_groups[0]["lr"]
        row = {"step": trainer.step, "epoch": trainer.epoch, "learning_rate": rate, "seconds": now - self.started}
        self.rows.append(row)
        if epoch_ended or len(self.rows) >= READ_STEPS or now - self.read > READ_SECONDS:
            self.read_losses()
        if not self.leads:
            return
        rate = (trainer.step - self.first) / (now - self.started)
        run.on_step(TrainingProgress(trainer.step, trainer.total, trainer.epoch, rate, dict(self.smooth)))
        if run.pace is None and (pace := self.meter.pace(trainer.total - trainer.step)):
            run.pace = pace
            run.on_pace(pace)
        if epoch_ended:
            run.write_samples(trainer)
        if now - self.saved > 60 * run.minutes:
            self.save()

    def read_losses(self) -> None:
        """Waits for the device; raises an error if the training diverged."""
        rows, self.rows = self.rows, []
        for row, losses in zip(rows, self.trainer.read_losses(), strict=False):  # Ctrl-C may come between the two
            for name, value in losses.items():
                self.smooth[name] = 0.98 * self.smooth.get(name, value) + 0.02 * value
            if self.losses:
                self.losses.write(**row, **losses)
        if self.losses:
            self.losses.flush()
        self.read = time.monotonic()

    def save(self) -> None:
        """Writes a checkpoint, unless the training diverged before it."""
        self.read_losses()
        if self.leads:
            self.trainer.save(self.run.checkpoint)
            self.saved = time.monotonic()

    def close(self) -> None:
        if self.losses:
            self.losses.close()


def train(
    trainer: Trainer, run: Run, out: Path, *, name: str, zoom: int, ground_resolution: float, **facts: Any
) -> ModelCard | None:
    """Runs a training and exports its model.

    Args:
        out: the model file.
        name, zoom, ground_resolution: of the card, for the pictures as they are on disk.
        facts: more of the card.

    Returns:
        The card; None where the run stopped before its end (unless `Run.early`), or in a process that does not lead.
    """
    started = time.monotonic()
    run.train(trainer)
    if (trainer.step < trainer.total and not run.early) or not trainer.world.is_main:
        return None
    training = {"hours": round((time.monotonic() - started) / 3600, 2), "device": str(trainer.device)}
    training |= facts.pop("training", {})
    facts["training"] = training
    return export(trainer, out, name=name, zoom=zoom, ground_resolution=ground_resolution, facts=facts)


@contextmanager
def _beside(device: torch.device) -> Iterator[Executor]:
    """A thread that makes crops beside the steps, alone: torch counts threads, and has a device, for each of those that
    call it."""
    threads = torch.get_num_threads()
    with Budget(threads).pool(1, "batch") as pool:
        pool.submit(torch.set_num_threads, 1).result()
        torch.set_num_threads(threads)  # of this one
        if device.type == "cuda" and device.index is not None:
            pool.submit(torch.cuda.set_device, device).result()
        yield pool


def _middle(picture: Picture, side: int) -> Picture:
    top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
    return np.ascontiguousarray(picture[top : top + side, left : left + side])


def _translated(generator: Generator, a: Picture) -> Picture:
    tensor = torch.from_numpy(noisy(a, generator.in_channels - 3)).permute(2, 0, 1)[None].float() / 127.5 - 1.0
    with torch.inference_mode():
        fake = generator(tensor)[0]
    return ((fake + 1.0) * 127.5).round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
