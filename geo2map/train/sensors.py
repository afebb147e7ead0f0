"""Other sensors, seasons and compressions: what one city's imagery could have looked like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from geo2map.train.chosen import Chosen
from geo2map.train.compression import compressed
from geo2map.train.resample import blurred, resample, resampling_weights

Curves = npt.NDArray[np.uint8]
CAST_AND_BEND = (0.4, 0.08)
"""Spreads, at strength 1, of each band's own gain and gamma (their logarithms): Las Vegas from a satellite has 1.6
times as much blue to its red as New York from the air."""
_COARSER = (1.1, 1.8)
"""Range of the factor by which the ground resolution becomes coarser."""
_MOST_BLUR = 2.0
"""Largest standard deviation of the blur that unsharp masking subtracts, in pixels."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sensors:
    """How other sensors might have the imagery of a step's crops.

    Attributes:
        curves: each band's new level for each old one, uint8 (crops, 3, 256).
        season: shift of the three bands by how green a pixel is.
        coarser: factor of the ground resolution; whether to resample back by a cubic kernel (1) or a linear one (0).
        oversharp: deviation of the blur in pixels, weight of the difference.
        grain: deviation of the noise in levels.
        grain_seed: of that noise.
        compression: JPEG's quality.
    """

    curves: Curves
    season: Chosen
    coarser: Chosen
    oversharp: Chosen
    grain: Chosen
    grain_seed: int
    compression: Chosen


def draw_sensors(count: int, strength: float, rng: np.random.Generator) -> Sensors:
    """Light, vegetation, sharpness, noise and compression of so many crops.

    Args:
        strength: of everything; 0 changes nothing, 1 is as different as cameras are.
        rng: the only source of randomness.
    """
    plain = np.broadcast_to(np.arange(256, dtype=np.uint8), (count, 3, 256))
    lit, seasonal, refocused, grainy, saved = rng.random((5, count)) / np.reshape((0.7, 0.3, 0.5, 0.2, 0.3), (5, 1))
    if not strength:
        seasonal = refocused = grainy = saved = lit = np.full(count, np.inf)
    else:
        seasonal, refocused, grainy, saved = (part / strength for part in (seasonal, refocused, grainy, saved))
    coarse = rng.random(count) < 0.6
    return Sensors(
        curves=np.where((lit < 1)[:, None, None], light_curves(count, strength, rng), plain),
        season=Chosen.of(seasonal < 1, rng.normal(0.0, strength, (count, 3)) * (1.0, 0.5, 0.5)),
        coarser=Chosen.of((refocused < 1) & coarse, rng.uniform(*_COARSER, count), rng.random(count) < 0.5),
        oversharp=Chosen.of(
            (refocused < 1) & ~coarse, rng.uniform(0.7, _MOST_BLUR, count), rng.integers(40, 160, count) / 100
        ),
        grain=Chosen.of(grainy < 1, rng.uniform(1, 6, count)),
        grain_seed=int(rng.integers(2**62)),
        compression=Chosen.of(saved < 1, rng.integers(40, 90, count)),
    )


def light_curves(count: int, strength: float, rng: np.random.Generator) -> Curves:
    """Random monotone curves, one a band (gamma, gain, colour cast, haze), uint8 (count, 3, 256)."""
    level = np.linspace(0.0, 1.0, 256)
    gamma = np.exp(rng.normal(0.0, 0.2 * strength, (count, 1, 1)))
    gain = np.exp(rng.normal(0.05, 0.2 * strength, (count, 1, 1)))
    haze = np.maximum(0.0, rng.normal(0.0, 0.12 * strength, (count, 1, 1)))
    cast, bend = np.moveaxis(np.exp(rng.normal(0.0, strength, (count, 3, 2)) * CAST_AND_BEND), 2, 0)[..., None]
    clear = gain * cast * level ** (gamma * bend)
    return np.clip(np.rint((clear * (1.0 - haze) + 0.7 * haze) * 255.0), 0, 255).astype(np.uint8)


def chain_curves(first: Curves, then: Curves) -> Curves:
    """One curve for two after each other, uint8 (crops, 3, 256) all."""
    return np.take_along_axis(then, first.astype(np.intp), 2)


def apply_curves(pixels: Tensor, curves: Tensor) -> Tensor:
    """Each band of uint8 (N, H, W, 3) through its own curve, uint8 (N, 3, 256)."""
    starts = torch.arange(0, curves.numel(), 256, dtype=torch.int32, device=pixels.device).view(-1, 1, 1, 3)
    return curves.flatten().index_select(0, (starts + pixels).flatten()).view(pixels.shape)


def apply_sensors(pixels: Tensor, sensors: Sensors) -> None:
    """Overwrites uint8 (N, side, side, 3), whose light is changed already, by what the sensors make of it."""
    sensors.season.alter(pixels, _season)
    sensors.coarser.alter(pixels, _coarser)
    sensors.oversharp.alter(pixels, _oversharp)
    if len(sensors.grain.which):
        generator = torch.Generator(pixels.device).manual_seed(sensors.grain_seed)
        sensors.grain.alter(pixels, lambda some, deviation: _grainy(some, deviation, generator))
    sensors.compression.alter(pixels, lambda some, quality: compressed(some, quality[:, 0]))


def _season(pixels: Tensor, shift: Tensor) -> Tensor:
    """Green pixels turn towards yellow, brown or deeper green."""
    light = pixels.float()
    red, green, blue = light.unbind(3)
    excess = (green - torch.maximum(red, blue)).clamp_min(0.0)
    return _cut_off(light + excess[..., None] * shift[:, None, None])


def _coarser(pixels: Tensor, values: Tensor) -> Tensor:
    """Resampled from a coarser ground resolution."""
    factor, cubic = values.unbind(1)
    side, room = pixels.shape[1], round(pixels.shape[1] / _COARSER[0]) + 1
    small, whole = (side / factor).round().clamp_min(1.0), torch.full_like(factor, side)
    down = resampling_weights(whole, small, (room, side), torch.ones_like(cubic, dtype=torch.bool))
    up = resampling_weights(small, whole, (side, room), cubic > 0.5)
    return resample(resample(pixels, down, _COARSER), up, (1 / _COARSER[1], 1 / _COARSER[0]))


def _oversharp(pixels: Tensor, values: Tensor) -> Tensor:
    deviation, weight = values.unbind(1)
    light = pixels.float()
    sharp = light + weight.view(-1, 1, 1, 1) * (light - blurred(pixels, deviation, _MOST_BLUR))
    return _cut_off(sharp.round_())


def _grainy(pixels: Tensor, deviation: Tensor, generator: torch.Generator) -> Tensor:
    noise = torch.randn(pixels.shape, generator=generator, device=pixels.device)
    return _cut_off(noise * deviation.view(-1, 1, 1, 1) + pixels)


def _cut_off(light: Tensor) -> Tensor:
    return light.clamp_(0.0, 255.0).to(torch.uint8)
