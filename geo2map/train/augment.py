"""Random crops, flips, rotations, scale and light: what makes one city's pictures stand for others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from geo2map.train.config import TrainConfig
from geo2map.train.pictures import Picture


def augment(a: Picture, b: Picture, config: TrainConfig, rng: np.random.Generator) -> tuple[Picture, Picture]:
    """One training crop of a pair: the same geometry for both, the light of the input alone.

    Args:
        a, b: uint8 (H, W, 3) of one size, at least `config.crop` on each side.
        config: crop, rotate, scale_jitter and photometric are used.
        rng: the only source of randomness.

    Returns:
        Two contiguous uint8 (crop, crop, 3).
    """
    height, width = a.shape[:2]
    factor = np.exp(rng.uniform(-1, 1) * np.log(config.scale_jitter)) if rng.random() < 0.5 else 1.0
    side = min(round(config.crop * factor), height, width)
    top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
    turns, mirrored = int(rng.integers(4)) * config.rotate, bool(rng.integers(2))
    a, b = (_cut(image, (left, top, left + side, top + side), config.crop, turns, mirrored) for image in (a, b))
    if config.photometric and rng.random() < 0.7:
        curve = light_curve(config.photometric, rng)
        a = np.stack([curve[band][a[..., band]] for band in range(3)], axis=-1)
    return a, b


def _cut(image: Picture, box: tuple[int, int, int, int], crop: int, turns: int, mirrored: bool) -> Picture:
    left, top, right, bottom = box
    piece = image[top:bottom, left:right]
    if right - left != crop:
        piece = np.asarray(Image.fromarray(piece).resize((crop, crop), Image.Resampling.BICUBIC))
    piece = np.rot90(piece, turns)
    return np.ascontiguousarray(piece[:, ::-1] if mirrored else piece)


def light_curve(strength: float, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """A random monotone curve per band (gamma, gain, colour cast, haze), uint8 (3, 256)."""
    level = np.linspace(0.0, 1.0, 256)
    gamma = np.exp(rng.normal(0.0, 0.2 * strength))
    gain = np.exp(rng.normal(0.05, 0.2 * strength))
    haze = max(0.0, rng.normal(0.0, 0.12 * strength))
    curves = []
    for cast in np.exp(rng.normal(0.0, 0.06 * strength, size=3)):
        clear = gain * cast * level**gamma
        curves.append(clear * (1.0 - haze) + 0.7 * haze)
    return np.clip(np.rint(np.stack(curves) * 255.0), 0, 255).astype(np.uint8)
