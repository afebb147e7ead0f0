"""The state of a pix2pix training and its one step: discriminator, generator, average."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import update_bn

from geo2map.errors import DataError, OutputError
from geo2map.families import find_family
from geo2map.families.generator import Generator
from geo2map.files.atomic import output_errors, whole_file
from geo2map.train.augment import SEEN, Crops
from geo2map.train.config import TrainConfig
from geo2map.train.dataset import Pairs
from geo2map.train.losses import adversarial, feature_matching, fooling, of_pictures
from geo2map.train.moving_average import MovingAverage
from geo2map.train.objective import Objective
from geo2map.train.patchgan import PatchGAN
from geo2map.train.world import World

log = logging.getLogger(__name__)
Losses = dict[str, float]
MAY_DIFFER = {"steps", "epochs"}
"""Choices that a resumed run may make otherwise: how long it goes on."""


class Trainer:
    """Networks, optimisers, moving average and step of one run.

    A step's crops and randomness are functions of the seed, the step and the process alone, so there is no random
    state to keep.

    Attributes:
        network: the generator's literal configuration.
        compiled: whether torch compiles the generator.
        step, total: optimiser steps done and to do.
        losses: of the last step whose losses were read, by name.
    """

    def __init__(self, pairs: Pairs, world: World | None = None, *, compiled: bool = False) -> None:
        config = pairs.config
        self.pairs, self.config, self.world = pairs, config, world or World()
        self.device = self.world.device
        self.total = config.total_steps(len(pairs), self.world.size)
        torch.manual_seed(config.seed)
        self.family, self.network = find_family(config.architecture), config.generator(pairs.palette)
        self.generator = self.family.build(self.network | config.while_training)
        self.discriminator = PatchGAN(config.discriminator_width, config.discriminator_layers)
        for network in (self.generator, self.discriminator):
            network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.compiled, shared = compiled, self.world.shared(self.generator, broadcast_buffers=True)
        self._shared_generator: Callable[..., Tensor] = torch.compile(shared) if compiled else shared
        # two forward passes before one backward forbid touching the buffers in between
        self._shared_discriminator = self.world.shared(self.discriminator, broadcast_buffers=False)
        self.average = MovingAverage(self.generator, config.ema)
        fused = self.device.type in ("cpu", "cuda")
        self.optimise_g, self.optimise_d = (
            torch.optim.Adam(network.parameters(), config.learning_rate, config.betas, fused=fused)
            for network in (self.generator, self.discriminator)
        )
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=config.autocast == "fp16")
        self.objective = Objective(pairs).to(self.device)
        self.step = 0
        self.losses: Losses = {}
        self._unread: list[dict[str, Tensor]] = []

    @property
    def epoch(self) -> int:
        """Passes over all pictures that are done."""
        return self.step * self.config.batch * self.world.size // len(self.pairs)

    @property
    def adversarial_active(self) -> bool:
        """Whether the adversarial loss is active."""
        return self.config.lambda_gan > 0 and self.step >= self.config.adversarial_from * self.total

    def batch(self, step: int) -> Crops:
        """This process's crops of a step, see `Pairs.batch`; may be called from another thread."""
        return self.pairs.batch(step, self.world.rank, self.world.size)

    def train_step(self, crops: Crops) -> None:
        """One pix2pix step on a batch of crops: discriminator first, then generator. Does not wait for the device;
        `read_losses` does."""
        seed = np.random.SeedSequence((self.config.seed, 2, self.step, self.world.rank))
        torch.manual_seed(int(seed.generate_state(1)[0]))
        rate = self.config.learning_rate_at(self.step / self.total)
        for optimiser in (self.optimise_g, self.optimise_d):
            for group in optimiser.param_groups:
                group["lr"] = rate
        real_a, real_b = self._tensor(crops.a), self._tensor(crops.b)
        teacher_output = None if crops.teacher_output is None else self._tensor(crops.teacher_output)
        with self._autocast():
            drawn = self._shared_generator(real_a, return_logits=True).float()
        fake_b = self.generator.head(drawn)
        loss, parts = self.objective(fake_b, real_b, crops, teacher_output, drawn if self.config.legend else None)
        found = self._discriminator_step(real_a, real_b, fake_b, crops) if self.adversarial_active else {}
        self._minimise(loss + found.pop("fooling", 0.0), self.optimise_g)
        self.scaler.update()
        self.average.update(self.generator)
        self.step += 1
        self._unread.append({name: value.detach() for name, value in (parts | found).items()})

    def read_losses(self) -> list[Losses]:
        """The losses of each step since they were last read, by name. Waits for the device.

        Raises:
            DataError: they are no longer numbers.
        """
        unread, self._unread = self._unread, []
        if not unread:
            return []
        values = iter(torch.stack([value.float() for step in unread for value in step.values()]).tolist())
        rows = [{name: next(values) for name in step} for step in unread]
        for step, row in enumerate(rows, start=self.step - len(rows) + 1):
            if not np.isfinite(list(row.values())).all():
                raise DataError(
                    f"training diverged at step {step}; lower the learning rate and resume", option="learning_rate"
                )
        self.losses = rows[-1]
        return rows

    def _discriminator_step(self, real_a: Tensor, real_b: Tensor, fake_b: Tensor, crops: Crops) -> dict[str, Tensor]:
        """The discriminator's step, and what the generator loses to it ("fooling") with its parts.

        It sees the crops of which every class is known; where there is no imagery, the true map on both sides.
        """
        if not len(crops.wholly):
            return {}
        real_a, real_b, fake_b, known = of_pictures(crops.wholly, real_a, real_b, fake_b, crops.known)
        real_a = real_a[:, :3]  # noise is the generator's alone
        fake_b = torch.where(((known & SEEN) != 0)[:, None], fake_b, real_b)
        found = {"discriminator": self._train_discriminator(real_a, real_b, fake_b.detach())}
        self.discriminator.requires_grad_(False)
        with self._autocast():
            logits, features = self.discriminator.judge(real_a, fake_b)
        found["gan"] = fooling(logits.float(), self.config.gan_mode)
        found["fooling"] = self.config.lambda_gan * found["gan"]
        if self.config.lambda_features:
            with torch.no_grad(), self._autocast():
                real_features = self.discriminator.judge(real_a, real_b)[1]
            found["features"] = feature_matching(features, real_features)
            found["fooling"] = found["fooling"] + self.config.lambda_features * found["features"]
        return found

    def _train_discriminator(self, real_a: Tensor, real_b: Tensor, fake_b: Tensor) -> Tensor:
        self.discriminator.requires_grad_(True)
        with self._autocast():
            on_real, on_fake = (self._shared_discriminator(real_a, b) for b in (real_b, fake_b))
        mode = self.config.gan_mode
        loss = 0.5 * (adversarial(on_real.float(), True, mode) + adversarial(on_fake.float(), False, mode))
        self._minimise(loss, self.optimise_d)
        return loss

    def _minimise(self, loss: Tensor, optimiser: torch.optim.Optimizer) -> None:
        optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.step(optimiser)

    def _autocast(self) -> AbstractContextManager[None]:
        kind = self.config.autocast
        dtype = torch.float16 if kind == "fp16" else torch.bfloat16
        return torch.autocast(self.device.type, dtype, enabled=kind != "none")

    def _tensor(self, batch: Tensor) -> Tensor:
        tensor = batch.permute(0, 3, 1, 2).float() / 127.5 - 1.0
        return tensor.contiguous(memory_format=torch.channels_last)

    def exported(self, recalibrate: int | None = None) -> Generator:
        """A copy of the averaged generator with plain layers, in eval mode, on the CPU.

        Averaged weights do not fit averaged batch statistics, so BatchNorm's are measured anew over
        `recalibrate` batches (default: the configuration's) that training never saw; 0 keeps the averages.
        """
        config = self.config
        exported = self.family.build(self.network | config.parametrised)
        exported.load_state_dict(self.average.module.state_dict())
        if count := config.recalibrate if recalibrate is None else recalibrate:
            fresh = range(self.total, self.total + count)  # update_bn forgets the averages before it looks for batches
            update_bn((self._tensor(self.batch(step).a) for step in fresh), exported.to(self.device))
        return exported.cpu().fold().eval()

    def start_from(self, weights: dict[str, Tensor], legend: Sequence[Sequence[float]] = ()) -> None:
        """Starts from the weights of a model file of the same architecture.

        A network that differs as its family can mend starts as nearly the same function.

        Args:
            weights: of the model.
            legend: the model's.

        Raises:
            DataError: the weights are of another architecture.
        """
        try:
            self.family.start(self.generator, self.network, weights, legend)
        except ValueError as error:
            raise DataError(f"the model to start from is another network than this training's: {error}") from error
        self.average.module.load_state_dict(self.generator.state_dict())

    def save(self, path: Path) -> None:
        """Writes everything needed to resume: networks, optimisers, average, step. Atomic.

        Raises:
            OutputError: the file cannot be written; an older one of that name is kept.
        """
        state: dict[str, Any] = {name: part.state_dict() for name, part in self._parts().items()}
        with output_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with whole_file(path) as file:
                torch.save(state | {"config": self.config.to_json(), "step": self.step}, file)
        except RuntimeError as error:
            raise OutputError(f"{path} cannot be written: {error}; free some space or choose another folder") from error
        log.info("checkpoint %s at step %d", path, self.step)

    def load(self, path: Path) -> None:
        """Restores what `save` wrote; tensors and numbers only, nothing is unpickled.

        Raises:
            DataError: the file is not a checkpoint of this configuration; says which choice differs.
        """
        state = load_checkpoint(path, self.device)
        theirs = TrainConfig.from_json(state["config"])
        for name in vars(self.config).keys() - MAY_DIFFER:
            ours, saved = getattr(self.config, name), getattr(theirs, name)
            if ours != saved:
                raise DataError(
                    f"{name} {ours}: {path} was trained with {saved}; give that, or start anew", option=name
                )
        try:
            for name, part in self._parts().items():
                part.load_state_dict(state[name])
            self.step = int(state["step"])
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise DataError(f"{path} is not a checkpoint of this training: {error}") from error

    def _parts(self) -> dict[str, Any]:
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "average": self.average,
            "optimise_g": self.optimise_g,
            "optimise_d": self.optimise_d,
            "scaler": self.scaler,
        }


def load_checkpoint(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Reads a checkpoint's tensors, numbers and text; nothing is unpickled.

    Raises:
        DataError: missing or not a checkpoint.
    """
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        if not isinstance(state, dict) or not {"config", "step"} <= state.keys():
            raise ValueError("no step and configuration in it")
        return state
    except Exception as error:  # torch raises half a dozen kinds for damaged files
        raise DataError(f"{path}: not a readable checkpoint ({error}); start anew", option="resume") from error
