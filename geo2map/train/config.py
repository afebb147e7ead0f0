"""Every choice of a training run, as one value that travels with checkpoint and card."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar, Literal

from geo2map.colour.palette import Palette
from geo2map.errors import DataError
from geo2map.grid import MOST_NOISE
from geo2map.types import Direction, GanMode

TrainableNorm = Literal["batch", "renorm"]
Autocast = Literal["bf16", "fp16", "none"]
PresetName = Literal["geo2map", "sat2map", "pix2pix"]


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Choices of one training run; the defaults are the `geo2map` preset.

    Attributes:
        direction: "a2b" (the left picture is the input) or "b2a".
        steps: optimiser steps in all; not used where `epochs` is given.
        epochs: passes over all pictures in all.
        decay_from: share of the run after which the learning rate falls linearly to 0.
        batch: pairs a step, in each process.
        resize: every picture is first resized to this many px a side; None leaves its resolution alone.
        crop: side of the training crops in px, a multiple of 2^depth.
        rotate: crops are turned by quarter turns too, not only mirrored.
        scale_jitter: half of the crops are cut up to this factor larger or smaller and resampled.
        photometric: strength of the change of the input's light and sharpness, see `geo2map.train.sensors`; 0 is off.
        ramp: share of the run over which `photometric` and `holes` rise from a third.
        holes: share of the crops that get a scene's rim or holes, filled as scenes are.
        rematch: share of the crops whose colours are matched, picture by picture, to those of all pictures.
        elsewhere: share of the crops that are taken from other places, where there are any.
        flatten: map colours within this many levels of a palette colour become it, which removes JPEG's noise.
        widths, residual_blocks, dropout: the generator's, see `geo2map.families.unet.generator.UNetGenerator`.
        noise: bands of noise that the generator takes after the picture's; see `geo2map.grid.add_noise`.
        legend: the generator scores the palette's colours instead of drawing any, see `geo2map.families.legend`.
        norm: "batch" or "renorm" (`geo2map.families.unet.renorm`); exported as plain BatchNorm either way.
        resize_convolution: train the decoder without checkerboards; folded when exported.
        discriminator_width, discriminator_layers: the PatchGAN's, see `geo2map.train.patchgan.PatchGAN`.
        gan_mode: "bce" (the paper's), "lsgan" or "hinge".
        adversarial_from: share of the run after which the discriminator joins.
        lambda_gan, lambda_l1, lambda_features: weights of the generator's losses; features: feature matching.
        teacher: name of the model whose output is a second target; empty is none.
        lambda_teacher: weight of L1 to the teacher's output, where it is known.
        teacher_commit: how far the teacher's colours are moved to the palette's nearest, 0 to 1, so that its doubts are
            not learned with its knowledge.
        lambda_commit: weight of the distance to the nearest palette colour, see `palette_commitment`.
        lambda_cross_entropy, lambda_jaccard: weights of the losses of classes, see `geo2map.train.class_loss`.
        border: how much more L1 counts within 2 px of class borders.
        balance: how much L1 favours rare map classes, see `geo2map.train.losses.BalancedL1`; 0 is the paper's L1.
        learning_rate, betas: Adam's.
        ema: decay of the moving average of the weights that is exported, smaller in the first steps; 0 exports the
            last weights.
        recalibrate: batches over which BatchNorm's statistics are measured anew for the export; 0 keeps them.
        autocast: "bf16", "fp16" (with loss scaling) or "none".
        seed: of everything random.
    """

    architecture: ClassVar[str] = "unet"
    """The family of the generator, see `geo2map.families`."""

    direction: Direction = "a2b"
    steps: int = 5_000
    epochs: float | None = None
    decay_from: float = 0.5
    batch: int = 6
    resize: int | None = None
    crop: int = 320
    rotate: bool = True
    scale_jitter: float = 1.2
    photometric: float = 0.3
    ramp: float = 0.0
    holes: float = 0.0
    rematch: float = 0.0
    elsewhere: float = 0.3
    flatten: int = 6
    widths: tuple[int, ...] = (32, 64, 128, 256, 256)
    residual_blocks: tuple[int, ...] = (0, 0, 2, 2, 0)
    dropout: tuple[int, ...] = ()
    noise: int = 0
    legend: bool = False
    norm: TrainableNorm = "batch"
    resize_convolution: bool = True
    discriminator_width: int = 32
    discriminator_layers: int = 3
    gan_mode: GanMode = "bce"
    adversarial_from: float = 0.6
    lambda_gan: float = 1.0
    lambda_l1: float = 100.0
    lambda_features: float = 0.0
    teacher: str = ""
    lambda_teacher: float = 50.0
    teacher_commit: float = 0.0
    lambda_commit: float = 0.0
    lambda_cross_entropy: float = 0.0
    lambda_jaccard: float = 0.0
    border: float = 0.0
    balance: float = 0.2
    learning_rate: float = 3e-4
    betas: tuple[float, float] = (0.5, 0.999)
    ema: float = 0.998
    recalibrate: int = 60
    autocast: Autocast = "bf16"
    seed: int = 0

    def __post_init__(self) -> None:
        multiple = 2 ** len(self.widths)
        if self.crop % multiple:
            raise DataError(
                f"crop {self.crop}: {len(self.widths)} levels need a multiple of {multiple} px", option="crop"
            )
        if self.residual_blocks and len(self.residual_blocks) != len(self.widths):
            raise DataError(
                f"{len(self.widths)} widths, but residual blocks for {len(self.residual_blocks)} levels",
                option="residual_blocks",
            )
        if self.resize is not None and self.resize < self.crop:
            raise DataError(f"crop {self.crop}: larger than the pictures, resized to {self.resize} px", option="crop")
        if not 0 <= self.noise <= MOST_NOISE:
            raise DataError(f"{self.noise} bands of noise: out of range; give 0 to {MOST_NOISE}", option="noise")
        if self.steps < 1 or self.batch < 1 or (self.epochs is not None and self.epochs <= 0):
            raise DataError(f"{self.steps} steps, {self.epochs} epochs, batch {self.batch}: all must be positive")

    def generator(self, palette: Palette | None) -> dict[str, Any]:
        """The generator's literal configuration, as `geo2map.families.build` and the card take it.

        Raises:
            DataError: a legend is asked for where there is no palette.
        """
        config = {"widths": list(self.widths), "residual_blocks": list(self.residual_blocks), "norm": "batch"}
        if self.legend and (palette is None or self.direction == "b2a"):
            raise DataError("legend: the target pictures have no palette; leave it out", option="legend")
        legend = palette.colours.tolist() if palette is not None and self.legend else None
        return config | ({"in_channels": 3 + self.noise} if self.noise else {}) | ({"legend": legend} if legend else {})

    @property
    def parametrised(self) -> dict[str, Any]:
        """What in the configuration of the generator gives its weights another form than a model file has."""
        return {"resize_convolution": self.resize_convolution}

    @property
    def while_training(self) -> dict[str, Any]:
        """What is different in the configuration of the generator while it is trained."""
        return self.parametrised | {"norm": self.norm, "dropout": self.dropout}

    def total_steps(self, pairs: int, world: int = 1) -> int:
        """Optimiser steps of the run over this many pairs in this many processes."""
        return self.steps if self.epochs is None else max(1, round(self.epochs * pairs / (self.batch * world)))

    def learning_rate_at(self, progress: float) -> float:
        """Constant, then linear to 0, for a share of the run that is done."""
        return self.learning_rate * min(1.0, (1.0 - progress) / max(1e-12, 1.0 - self.decay_from))

    def ramped(self, progress: float) -> float:
        """Factor of what rises with the share of the run that is done, a third to 1."""
        return 1.0 if progress >= self.ramp else (1.0 + 2.0 * progress / self.ramp) / 3.0

    def with_choices(self, **choices: Any) -> TrainConfig:
        """The same with some choices made otherwise; `None` changes nothing, steps alone put epochs aside."""
        chosen = {name: value for name, value in choices.items() if value is not None}
        if "steps" in chosen and "epochs" not in chosen:
            chosen["epochs"] = None
        return replace(self, **chosen)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> TrainConfig:
        known = {field.name for field in fields(cls)}
        values: dict[str, Any] = {
            key: tuple(v) if isinstance(v, list) else v for key, v in json.loads(text).items() if key in known
        }
        return cls(**values)


PRESETS: dict[PresetName, dict[str, Any]] = {
    "geo2map": {},
    "sat2map": {
        "decay_from": 0.3,
        "crop": 256,
        "holes": 0.2,
        "rematch": 0.2,
        "widths": (16, 48, 96, 144, 64),
        "residual_blocks": (0, 0, 1, 2, 0),
        "legend": True,
        "norm": "renorm",
        "lambda_gan": 0.0,
        "lambda_l1": 40.0,
        "lambda_cross_entropy": 2.5,
        "lambda_jaccard": 3.0,
        "learning_rate": 2e-4,
        "recalibrate": 0,
    },
    "pix2pix": {
        "epochs": 200.0,
        "decay_from": 0.5,
        "batch": 1,
        "resize": 286,
        "crop": 256,
        "rotate": False,
        "scale_jitter": 1.0,
        "photometric": 0.0,
        "flatten": 0,
        "widths": (64, 128, 256, 512, 512, 512, 512, 512),
        "residual_blocks": (),
        "dropout": (5, 6, 7),
        "resize_convolution": False,
        "discriminator_width": 64,
        "adversarial_from": 0.0,
        "balance": 0.0,
        "learning_rate": 2e-4,
        "ema": 0.0,
        "recalibrate": 0,
        "autocast": "none",
    },
}
"""The options of each preset: the defaults; the packaged sat2map's; the paper's (Isola et al., CVPR 2017)."""


TO_PHOTOGRAPHS: dict[str, Any] = {
    "adversarial_from": 0.15,
    "balance": 0.0,
    "flatten": 0,
    "lambda_features": 10.0,
    "photometric": 0.0,
}
"""What the preset `geo2map` sets otherwise for "b2a": texture is the discriminator's work, a map has no light."""


def make_config(preset: PresetName = "geo2map", **choices: Any) -> TrainConfig:
    """The configuration of a preset with some choices made otherwise, see `TrainConfig.with_choices`."""
    chosen = PRESETS[preset]
    if preset == "geo2map" and choices.get("direction") == "b2a":
        chosen = TO_PHOTOGRAPHS
    return TrainConfig(**chosen).with_choices(**choices)
