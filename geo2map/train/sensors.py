"""Other sensors, seasons and compressions: what one city's imagery could have looked like."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from geo2map.train.pictures import Picture

CAST_AND_BEND = (0.4, 0.08)
"""Spreads, at strength 1, of each band's own gain and gamma (their logarithms): Las Vegas from a satellite has 1.6
times as much blue to its red as New York from the air."""


def other_sensor(a: Picture, strength: float, rng: np.random.Generator) -> Picture:
    """The imagery as another sensor might have it: light, vegetation, sharpness, noise, compression.

    Args:
        a: uint8 (H, W, 3).
        strength: of everything; 0 changes nothing, 1 is as different as cameras are.
        rng: the only source of randomness.
    """
    if not strength:
        return a
    if rng.random() < 0.7:
        a = apply_curves(a, light_curve(strength, rng))
    if rng.random() < 0.3 * strength:
        a = _season(a, strength, rng)
    if rng.random() < 0.5 * strength:
        a = _sharpness(a, rng)
    if rng.random() < 0.2 * strength:
        a = np.clip(a + rng.normal(0.0, rng.uniform(1, 6), a.shape), 0, 255).astype(np.uint8)
    if rng.random() < 0.3 * strength:
        a = _compressed(a, int(rng.integers(40, 90)))
    return a


def apply_curves(a: Picture, curves: npt.NDArray[np.uint8]) -> Picture:
    """Each band through its own curve, uint8 (3, 256)."""
    return np.stack([curves[band][a[..., band]] for band in range(3)], axis=-1)


def light_curve(strength: float, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """A random monotone curve per band (gamma, gain, colour cast, haze), uint8 (3, 256)."""
    level = np.linspace(0.0, 1.0, 256)
    gamma = np.exp(rng.normal(0.0, 0.2 * strength))
    gain = np.exp(rng.normal(0.05, 0.2 * strength))
    haze = max(0.0, rng.normal(0.0, 0.12 * strength))
    curves = []
    for cast, bend in np.exp(rng.normal(0.0, strength, size=(3, 2)) * CAST_AND_BEND):
        clear = gain * cast * level ** (gamma * bend)
        curves.append(clear * (1.0 - haze) + 0.7 * haze)
    return np.clip(np.rint(np.stack(curves) * 255.0), 0, 255).astype(np.uint8)


def _season(a: Picture, strength: float, rng: np.random.Generator) -> Picture:
    """Green pixels turn towards yellow, brown or deeper green."""
    light = a.astype(np.float32)
    green = np.maximum(0.0, light[..., 1] - np.maximum(light[..., 0], light[..., 2]))
    shift = rng.normal(0.0, strength, 3) * (1.0, 0.5, 0.5)
    return np.clip(light + green[..., None] * shift, 0, 255).astype(np.uint8)


def _sharpness(a: Picture, rng: np.random.Generator) -> Picture:
    """Resampled from a coarser ground resolution, or oversharpened."""
    picture = Image.fromarray(a)
    if rng.random() < 0.6:
        factor = rng.uniform(1.1, 1.8)
        small = (max(1, round(picture.width / factor)), max(1, round(picture.height / factor)))
        kernel = Image.Resampling.BICUBIC if rng.random() < 0.5 else Image.Resampling.BILINEAR
        picture = picture.resize(small, Image.Resampling.BICUBIC).resize(picture.size, kernel)
    else:
        picture = picture.filter(ImageFilter.UnsharpMask(rng.uniform(0.7, 2.0), int(rng.integers(40, 160)), 0))
    return np.asarray(picture)


def _compressed(a: Picture, quality: int) -> Picture:
    buffer = io.BytesIO()
    Image.fromarray(a).save(buffer, "jpeg", quality=quality)
    with Image.open(buffer) as image:
        return np.asarray(image.convert("RGB"))
