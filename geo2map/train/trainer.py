"""The pix2pix training loop: alternate discriminator and generator, average, checkpoint, carry on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from geo2map.errors import DataError
from geo2map.nn import PatchGAN, UNetGenerator
from geo2map.nn.losses import BalancedL1, adversarial
from geo2map.palette import MAPS_PALETTE
from geo2map.train.dataset import Pairs, Picture

log = logging.getLogger(__name__)
Losses = dict[str, float]


class Trainer:
    """State of one run: networks, optimisers, moving average, step. Knows pairs and nothing else.

    Attributes:
        step: optimiser steps done.
        losses: of the last step, by name.
        on_step: called after every step with the trainer; logging and sample sheets hang here.
    """

    def __init__(self, pairs: Pairs, device: torch.device | str = "cpu") -> None:
        config = pairs.config
        self.pairs, self.config, self.device = pairs, config, torch.device(device)
        torch.manual_seed(config.seed)
        self.generator = UNetGenerator(
            config.widths, config.residual_blocks, resize_convolution=config.resize_convolution
        )
        self.discriminator = PatchGAN(config.discriminator_width)
        for network in (self.generator, self.discriminator):
            network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = AveragedModel(self.generator, multi_avg_fn=get_ema_multi_avg_fn(config.ema), use_buffers=True)
        self.optimise_g = torch.optim.Adam(self.generator.parameters(), config.learning_rate, config.betas)
        self.optimise_d = torch.optim.Adam(self.discriminator.parameters(), config.learning_rate, config.betas)
        self.balanced_l1 = self._balanced_l1().to(self.device)
        self.step = 0
        self.losses: Losses = {}
        self.on_step: Callable[[Trainer], None] = lambda _: None

    def _balanced_l1(self) -> BalancedL1:
        classes = MAPS_PALETTE.classify(self.pairs.pixels(side=1, stride=16))
        shares = np.bincount(classes, minlength=len(MAPS_PALETTE.classes)) / classes.size
        balance = self.config.balance if self.config.direction == "a2b" else 0.0
        return BalancedL1(MAPS_PALETTE, torch.from_numpy(shares), balance)

    def run(self, checkpoint: Path, minutes: float = 5.0, until: int | None = None) -> None:
        """Trains up to step `until` (default: the configured steps), saving a checkpoint every `minutes`.

        Args:
            checkpoint: file written beside its name and renamed, so a kill leaves the previous one.
            minutes: between checkpoints.
            until: stop early, for instance to measure.
        """
        saved = time.monotonic()
        last = min(until or self.config.steps, self.config.steps)
        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(self.pairs.batch, self.step)
            try:
                while self.step < last:
                    a, b = coming.result()
                    coming = pool.submit(self.pairs.batch, self.step + 1)
                    self.train_step(self._tensor(a), self._tensor(b))
                    self.on_step(self)
                    if time.monotonic() - saved > 60 * minutes:
                        self.save(checkpoint)
                        saved = time.monotonic()
            finally:
                self.save(checkpoint)

    def train_step(self, real_a: Tensor, real_b: Tensor) -> None:
        """One pix2pix step on float (N, 3, H, W) in [-1, 1]: discriminator first, then generator."""
        config = self.config
        for optimiser in (self.optimise_g, self.optimise_d):
            for group in optimiser.param_groups:
                group["lr"] = config.learning_rate_at(self.step)
        playing = config.lambda_gan > 0 and self.step >= config.adversarial_from * config.steps
        with self._autocast():
            fake_b = self.generator(real_a)
        if playing:
            self._train_discriminator(real_a, real_b, fake_b.detach())
        l1 = self.balanced_l1(fake_b.float(), real_b)
        loss = config.lambda_l1 * l1
        if playing:
            self.discriminator.requires_grad_(False)
            with self._autocast():
                logits = self.discriminator(real_a, fake_b)
            gan = adversarial(logits.float(), True, config.gan_mode)
            loss = loss + config.lambda_gan * gan
            self.losses["gan"] = gan.item()
        self.optimise_g.zero_grad(set_to_none=True)
        loss.backward()
        self.optimise_g.step()
        self.average.update_parameters(self.generator)
        self.step += 1
        self.losses["l1"] = l1.item()
        if not np.isfinite(self.losses["l1"]):
            raise DataError(f"training diverged at step {self.step}: lower the learning rate, resume a checkpoint")

    def _train_discriminator(self, real_a: Tensor, real_b: Tensor, fake_b: Tensor) -> None:
        self.discriminator.requires_grad_(True)
        with self._autocast():
            on_real, on_fake = self.discriminator(real_a, real_b), self.discriminator(real_a, fake_b)
        mode = self.config.gan_mode
        loss = 0.5 * (adversarial(on_real.float(), True, mode) + adversarial(on_fake.float(), False, mode))
        self.optimise_d.zero_grad(set_to_none=True)
        loss.backward()
        self.optimise_d.step()
        self.losses["discriminator"] = loss.item()

    def _autocast(self) -> AbstractContextManager[None]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.autocast == "bf16")

    def _tensor(self, batch: Picture) -> Tensor:
        tensor = torch.from_numpy(batch).to(self.device).permute(0, 3, 1, 2).float() / 127.5 - 1.0
        return tensor.contiguous(memory_format=torch.channels_last)

    def exported(self, recalibrate: int = 60) -> UNetGenerator:
        """A copy of the averaged generator with plain layers, in eval mode, on the CPU.

        Averaged weights do not fit averaged batch statistics, so BatchNorm's are measured anew over
        `recalibrate` batches that training never saw; 0 keeps the averages.
        """
        config = self.config
        exported = UNetGenerator(**config.generator, resize_convolution=config.resize_convolution)
        exported.load_state_dict(self.average.module.state_dict())
        if recalibrate:  # update_bn forgets the averages before it looks for batches
            fresh = range(config.steps, config.steps + recalibrate)
            update_bn((self._tensor(self.pairs.batch(step)[0]) for step in fresh), exported.to(self.device))
        return exported.cpu().fold().eval()

    def save(self, path: Path) -> None:
        """Writes everything needed to go on: networks, optimisers, average, step, random state."""
        state = {name: part.state_dict() for name, part in self._parts().items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        extra = {"config": self.config.to_json(), "step": self.step, "rng": torch.get_rng_state()}
        torch.save(state | extra, partial)
        partial.replace(path)
        log.info("checkpoint %s at step %d", path, self.step)

    def load(self, path: Path) -> None:
        """Restores what `save` wrote; tensors and numbers only, nothing is unpickled.

        Raises:
            DataError: the file is not a checkpoint of this configuration.
        """
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            for name, part in self._parts().items():
                part.load_state_dict(state[name])
            self.step = int(state["step"])
            torch.set_rng_state(state["rng"].cpu())
        except Exception as error:
            raise DataError(f"{path} is not a checkpoint of this training: {error}") from error

    def _parts(self) -> dict[str, torch.nn.Module | torch.optim.Optimizer]:
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "average": self.average,
            "optimise_g": self.optimise_g,
            "optimise_d": self.optimise_d,
        }
