"""Random crops, flips, rotations, scale, light and rims: what makes one city's pictures stand for others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from geo2map.grid import TILE_SIZE, PixelWindow, add_noise
from geo2map.grid.fill import fill_pixels
from geo2map.train.config import TrainConfig
from geo2map.train.footprint import random_footprint
from geo2map.train.pictures import ALL_LABELS, LabelMask, Picture
from geo2map.train.sensors import apply_curves, other_sensor

NOISE_ZOOM = 20
HAS_TEACHER, SEEN = 16, 32
"""Bits of `Crops.known`: a teacher's output is at hand; there is imagery."""
_Pixels = TypeVar("_Pixels", bound=npt.NDArray[np.uint8])


@dataclass(frozen=True, eq=False)
class Pair:
    """A pair in memory.

    Attributes:
        a, b: input and output, uint8 (H, W, 3).
        known: what is known of b, see `geo2map.train.pictures.LABEL_BITS`; None: everything.
        teacher_output: a teacher's output for a, uint8 (H, W, 3).
        matches: curves to the colours of the run's own imagery, uint8 (3, 256) each, one of which is taken at random;
            None in it leaves the colours alone.
    """

    a: Picture
    b: Picture
    known: LabelMask | None = None
    teacher_output: Picture | None = None
    matches: tuple[npt.NDArray[np.uint8] | None, ...] = (None,)


class Crops(NamedTuple):
    """The crops of a step, each uint8 with a leading dimension for the pictures.

    Attributes:
        a, b: input and output, (N, crop, crop, 3); the input has its bands of noise after that.
        known: `LABEL_BITS`, `HAS_TEACHER` and `SEEN`, (N, crop, crop); 0 where there is no imagery.
        teacher_output: the teacher's output, (N, crop, crop, 3); anything where there is none.
    """

    a: Picture
    b: Picture
    known: LabelMask
    teacher_output: Picture


def stack_crops(crops: list[Crops]) -> Crops:
    """One batch of single crops, which have no leading dimension yet."""
    return Crops(*(np.stack(parts) for parts in zip(*crops, strict=True)))


@dataclass(frozen=True)
class Look:
    """What a crop's light and rims depend on beside chance.

    Attributes:
        strength: of the change of light, see `other_sensor`.
        holes: probability of a rim or holes.
        neutral: colour of no data, the card's.
    """

    strength: float
    holes: float = 0.0
    neutral: tuple[int, int, int] = (128, 128, 128)


def augment(pair: Pair, config: TrainConfig, look: Look, rng: np.random.Generator) -> Crops:
    """One training crop of a pair: the same geometry for all sides, the light of the input alone.

    A picture smaller than the crop lies somewhere in it. What is not covered, or cut off by a random footprint, is
    filled as a scene is filled when it is translated, and nothing is learned there.

    Args:
        pair: sides of one size.
        config: crop, rotate, scale_jitter and noise are used.
        look: of this crop.
        rng: the only source of randomness.
    """
    sides = [pair.a, pair.b, _known(pair), pair.b if pair.teacher_output is None else pair.teacher_output]
    height, width = pair.a.shape[:2]
    factor = np.exp(rng.uniform(-1, 1) * np.log(config.scale_jitter)) if rng.random() < 0.5 else 1.0
    side = round(config.crop * factor)
    if min(height, width) >= config.crop:
        side = min(side, height, width)
    left, top = (_start(side, length, rng) for length in (width, height))
    turns, mirrored = int(rng.integers(4)) * config.rotate, bool(rng.integers(2))
    a, b, known, teacher_output = (_cut(image, (left, top, side), config.crop, turns, mirrored) for image in sides)
    match = pair.matches[int(rng.integers(len(pair.matches)))]
    a = other_sensor(a if match is None else apply_curves(a, match), look.strength, rng)
    valid = (known & SEEN) != 0
    if rng.random() < look.holes:
        valid &= random_footprint(config.crop, rng)
    left, top = rng.integers(TILE_SIZE << NOISE_ZOOM, size=2).tolist() if config.noise else (0, 0)
    return Crops(noisy(fill_pixels(a, valid, look.neutral), config.noise, left, top), b, known * valid, teacher_output)


def noisy(a: Picture, bands: int, left: int = 0, top: int = 0) -> Picture:
    """A picture with its bands of noise, as if it lay there in the world at `NOISE_ZOOM`."""
    return add_noise(a, PixelWindow(left, top, left + a.shape[1], top + a.shape[0]), NOISE_ZOOM, bands)


def _known(pair: Pair) -> LabelMask:
    known = np.full(pair.a.shape[:2], ALL_LABELS, np.uint8) if pair.known is None else pair.known
    return known | np.uint8(SEEN if pair.teacher_output is None else SEEN | HAS_TEACHER)


def _start(side: int, length: int, rng: np.random.Generator) -> int:
    """Where a crop begins: inside the picture, or, if it is larger, so that all of the picture is in it."""
    return int(rng.integers(min(0, length - side), max(0, length - side) + 1))


def _cut(image: Picture, box: tuple[int, int, int], crop: int, turns: int, mirrored: bool) -> Picture:
    left, top, side = box
    piece = image[max(0, top) : top + side, max(0, left) : left + side]
    if piece.shape[:2] != (side, side):
        starts = (max(0, -top), max(0, -left))
        frame = [(start, side - start - got) for start, got in zip(starts, piece.shape[:2], strict=True)]
        piece = np.pad(piece, [*frame, (0, 0)], mode="edge") if piece.ndim == 3 else np.pad(piece, frame)
    if side != crop:
        kernel = Image.Resampling.BICUBIC if piece.ndim == 3 else Image.Resampling.NEAREST
        piece = np.asarray(Image.fromarray(piece).resize((crop, crop), kernel))
    piece = np.rot90(piece, turns)
    return np.ascontiguousarray(piece[:, ::-1] if mirrored else piece)
