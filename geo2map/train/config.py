"""Every choice of a training run, as one value that travels with checkpoint and card."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from geo2map.errors import DataError
from geo2map.types import GanMode

Direction = Literal["a2b", "b2a"]


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Choices of one training run; the defaults are the `geo2map` recipe.

    Attributes:
        direction: "a2b" (the left picture is the input) or "b2a".
        steps: optimiser steps in all.
        decay_from: share of the steps after which the learning rate falls linearly to 0.
        batch: pairs a step.
        crop: side of the training crops in px, a multiple of 2^depth.
        widths, residual_blocks: the generator's, see `geo2map.nn.UNetGenerator`.
        resize_convolution: train the decoder without checkerboards; folded when exported.
        discriminator_width: channels of the PatchGAN's first convolution.
        gan_mode: "bce" (the paper's) or "lsgan".
        adversarial_from: share of the steps after which the discriminator joins.
        lambda_gan, lambda_l1: weights of the generator's losses.
        balance: how much L1 favours rare map classes, see `geo2map.nn.losses.BalancedL1`; 0 is the paper's L1.
        learning_rate, betas: Adam's.
        ema: decay of the moving average of the weights that is exported.
        scale_jitter: crops are cut up to this factor larger or smaller and resampled.
        photometric: strength of brightness, contrast, gamma and haze jitter of the input; 0 is off.
        autocast: "bf16" or "none".
        seed: of everything random.
    """

    direction: Direction = "a2b"
    steps: int = 5_000
    decay_from: float = 0.5
    batch: int = 6
    crop: int = 320
    widths: tuple[int, ...] = (32, 64, 128, 256, 256)
    residual_blocks: tuple[int, ...] = (0, 0, 2, 2, 0)
    resize_convolution: bool = True
    discriminator_width: int = 32
    gan_mode: GanMode = "bce"
    adversarial_from: float = 0.6
    lambda_gan: float = 1.0
    lambda_l1: float = 100.0
    balance: float = 0.4
    learning_rate: float = 3e-4
    betas: tuple[float, float] = (0.5, 0.999)
    ema: float = 0.998
    scale_jitter: float = 1.2
    photometric: float = 0.3
    autocast: Literal["bf16", "none"] = "bf16"
    seed: int = 0

    def __post_init__(self) -> None:
        multiple = 2 ** len(self.widths)
        if self.crop % multiple:
            raise DataError(f"crop {self.crop} asked, but {len(self.widths)} levels need a multiple of {multiple} px")
        if self.steps < 1 or self.batch < 1:
            raise DataError(f"steps {self.steps} and batch {self.batch} asked: both must be at least 1")

    @property
    def generator(self) -> dict[str, Any]:
        """The generator's literal configuration, as `geo2map.nn.build` and the card take it."""
        return {"widths": list(self.widths), "residual_blocks": list(self.residual_blocks), "norm": "batch"}

    def learning_rate_at(self, step: int) -> float:
        """Constant, then linear to 0."""
        start = self.decay_from * self.steps
        return self.learning_rate * min(1.0, (self.steps - step) / max(1.0, self.steps - start))

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> TrainConfig:
        known = {field.name for field in fields(cls)}
        values: dict[str, Any] = {
            key: tuple(v) if isinstance(v, list) else v for key, v in json.loads(text).items() if key in known
        }
        return cls(**values)
