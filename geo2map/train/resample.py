"""Resampling of many pictures at once, each with a scale of its own: products of matrices, fast on any device."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_BAND = 64
"""Rows that are resampled at once."""
_REACH = 2.0
"""Pixels from its middle that the widest kernel reaches, where it is not widened."""
_GAUSSIAN_REACH = 3.0
"""Standard deviations after which a Gaussian is cut off."""


def resampling_weights(given: Tensor, wanted: Tensor, shape: tuple[int, int], cubic: Tensor) -> Tensor:
    """What each pixel along an axis counts for each resampled one, as Pillow's `resize` weighs them.

    The kernel widens where fewer pixels are wanted than given, and is cut off at the picture's ends.

    Args:
        given, wanted: pixels along the axis before and after, float (N,).
        shape: room for (wanted, given) pixels, at least the largest of each.
        cubic: bool (N,), Keys's kernel (a = -0.5), else linear.

    Returns:
        float (N, *shape); each row that is wanted sums to 1.
    """
    scale = (given / wanted)[:, None, None]
    rows, columns = (torch.arange(count, device=given.device) + 0.5 for count in shape)
    distance = ((columns - rows[:, None] * scale) / scale.clamp_min(1.0)).abs()
    keys = torch.where(
        distance < 1.0,
        (1.5 * distance - 2.5) * distance**2 + 1.0,
        (((-0.5 * distance + 2.5) * distance - 4.0) * distance + 2.0) * (distance < 2.0),
    )
    weights = torch.where(cubic[:, None, None], keys, (1.0 - distance).clamp_min(0.0))
    weights = weights * (columns < given[:, None, None])
    return weights / weights.sum(2, keepdim=True).clamp_min(1e-6)


def resample(pixels: Tensor, weights: Tensor, scales: tuple[float, float]) -> Tensor:
    """Resamples square pictures by the same weights along both axes.

    Args:
        pixels: uint8 (N, side, side, channels).
        weights: float (N, new side, side), see `resampling_weights`.
        scales: least and largest number of pixels given for each that is wanted.

    Returns:
        uint8 (N, new side, new side, channels); rounded after each axis, as Pillow does.
    """
    planes = pixels.permute(0, 3, 2, 1).float().contiguous()
    down = _levels(_weighed(planes, weights, scales)).transpose(2, 3).contiguous()
    return _levels(_weighed(down, weights, scales)).permute(0, 2, 3, 1).to(torch.uint8)


def _weighed(planes: Tensor, weights: Tensor, scales: tuple[float, float]) -> Tensor:
    """The product of weights and the rows of float (N, channels, side, columns), a band of rows at a time: most weights
    are 0, since few pixels count for each."""
    count, side = weights.shape[1:]
    reach, bands = _REACH * max(1.0, scales[1]) + 1.0, []
    for first in range(0, count, _BAND):
        past = min(first + _BAND, count)
        start, stop = int(first * scales[0] - reach), int(past * scales[1] + reach) + 1
        near = slice(min(max(0, start), side - 1), min(stop, side))
        bands.append(weights[:, None, first:past, near] @ planes[:, :, near])
    return torch.cat(bands, 2)


def blurred(pixels: Tensor, deviation: Tensor, most: float) -> Tensor:
    """Square pictures after a Gaussian blur; the pixels at the border continue beyond it.

    Args:
        pixels: uint8 (N, side, side, channels).
        deviation: standard deviation in pixels, float (N,).
        most: the largest that `deviation` may be.

    Returns:
        float (N, side, side, channels).
    """
    reach, side = round(_GAUSSIAN_REACH * most + 0.5), pixels.shape[1]
    columns = torch.arange(-reach, side + reach, device=pixels.device)
    away = (columns - torch.arange(side, device=pixels.device)[:, None]) / deviation[:, None, None]
    weights = torch.exp(-0.5 * away**2) * (away.abs() <= _GAUSSIAN_REACH)
    weights = (weights / weights.sum(2, keepdim=True))[:, None]
    padded = F.pad(_planes(pixels), (reach,) * 4, mode="replicate")
    return (weights @ (padded @ weights.transpose(2, 3))).permute(0, 2, 3, 1)


def _planes(pixels: Tensor) -> Tensor:
    """A plane a channel, float (N, channels, side, side)."""
    return pixels.permute(0, 3, 1, 2).float().contiguous()


def _levels(values: Tensor) -> Tensor:
    return values.add_(0.5).floor_().clamp_(0.0, 255.0)
