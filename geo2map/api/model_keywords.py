"""The keywords of training and evaluating models, typed and described once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from geo2map.evaluate import ProtocolName
from geo2map.train.config import Autocast, PresetName, TrainableNorm
from geo2map.types import Direction, GanMode


class EvaluateKeywords(TypedDict, total=False):
    """The options of `geo2map.evaluate_model`: the fields of `geo2map.api.evaluating.Measuring`."""

    protocols: Sequence[ProtocolName] | None
    """See `geo2map.evaluate`; None is "native", or "scene" for several places."""
    direction: Direction | None
    """Which side is translated; None is the model's."""
    limit: int | None
    """Most pictures; None is all."""
    margin: int | None
    """Pixels of context; None is the model's."""
    seams: int
    """Pictures that are also translated in two grids of tiles."""
    vectors: bool
    """Whether features are read out of the translations and measured, too."""
    inception: Path | None
    """torch-fidelity's weights for FID and KID; None takes those in torch.hub's cache, if any."""


class RecipeKeywords(TypedDict, total=False):
    """The recipe of a training: the fields of `geo2map.train.config.TrainConfig`, described there. None takes the
    preset's."""

    direction: Direction | None
    steps: int | None
    epochs: float | None
    decay_from: float | None
    batch: int | None
    resize: int | None
    crop: int | None
    rotate: bool | None
    scale_jitter: float | None
    photometric: float | None
    ramp: float | None
    holes: float | None
    rematch: float | None
    elsewhere: float | None
    flatten: int | None
    widths: tuple[int, ...] | None
    residual_blocks: tuple[int, ...] | None
    dropout: tuple[int, ...] | None
    noise: int | None
    legend: bool | None
    norm: TrainableNorm | None
    resize_convolution: bool | None
    discriminator_width: int | None
    discriminator_layers: int | None
    gan_mode: GanMode | None
    adversarial_from: float | None
    lambda_gan: float | None
    lambda_l1: float | None
    lambda_features: float | None
    teacher: str | None
    lambda_teacher: float | None
    teacher_commit: float | None
    lambda_commit: float | None
    lambda_cross_entropy: float | None
    lambda_jaccard: float | None
    border: float | None
    balance: float | None
    learning_rate: float | None
    betas: tuple[float, float] | None
    ema: float | None
    recalibrate: int | None
    autocast: Autocast | None
    seed: int | None


class TrainKeywords(RecipeKeywords, total=False):
    """The options of `geo2map.train_model`: a recipe, the fields of `geo2map.api.training.Training`, the machine."""

    name: str | None
    """The model's name; None is the file's."""
    zoom: int | None
    """Zoom of the pictures; None takes that of pairs.json."""
    ground_resolution: float | None
    """Metres per pixel of the pictures; None takes that of pairs.json."""
    validation: Path | None
    """Held-out pairs: a folder, or a list of names."""
    palette: str
    """Palette of the map: "auto", "maps", "none" or a file."""
    start: str | None
    """Model whose weights to start from."""
    folder: Path | None
    """Folder of the run: checkpoint, losses, samples; None is `out` with .run."""
    place: str | None
    """Where the pictures are from, for the card."""
    other_places: Path | None
    """Other places: a folder of pairs for each."""
    held_out: Path | None
    """List of PLACE/NAME to leave out of the other places."""
    teacher_cache: Path | None
    """Folder for the teacher's output."""
    picture_memory: float | None
    """GiB of decoded pictures to keep on the device; None is 8, but at most half of what CUDA has free."""
    minutes: float
    """Minutes between checkpoints."""
    resume: bool
    """Resume from the checkpoint."""
    until: int | None
    """Step to stop after."""
    early: bool
    """Write the model at `until`, too."""
    compiled: bool
    """Torch compiles the generator: slow to start, then faster steps on CUDA."""
    preset: PresetName | None
    """The recipe that the others override; None is "geo2map"."""
    device: str
    """"auto", "cpu", "cuda", "cuda:N" or "mps"."""
    threads: int | None
    """CPU threads; None takes all that are allowed."""
    deterministic: bool
    """Same seed, same weights on CUDA, too; slower there."""
