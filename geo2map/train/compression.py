"""The losses of JPEG, in many pictures at once on any device: all of it but the entropy coding."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from geo2map.train.sending import constant

_LUMINANCE = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56),
    *(14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMINANCE = (
    *(17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99),
    *(47, 66, 99, 99, 99, 99, 99, 99, *(99,) * 32),
)
"""The standard's example tables (ITU-T T.81, annex K), which nearly every encoder scales."""
_TO_YCBCR = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))
_MIDDLE = (0.0, 128.0, 128.0)
_COSINES = tuple(
    tuple(math.cos(math.pi / 16 * row * (2 * column + 1)) / (2.0 if row else math.sqrt(8.0)) for column in range(8))
    for row in range(8)
)
"""The cosine transform of eight levels, orthonormal."""
_UNIT = 16
"""Pixels along a side of what is coded together: two blocks, since colour has half the resolution (4:2:0)."""


def compressed(pixels: Tensor, quality: Tensor) -> Tensor:
    """The pictures after a round through JPEG.

    Args:
        pixels: uint8 (N, H, W, 3).
        quality: as encoders take it, 1 to 100, float (N,).

    Returns:
        uint8 (N, H, W, 3).
    """
    height, width = pixels.shape[1:3]
    middle = constant(_MIDDLE, pixels.device)
    colours = (_times(pixels.float(), _TO_YCBCR) + middle).round().permute(0, 3, 1, 2)
    colours = F.pad(colours, (0, -width % _UNIT, 0, -height % _UNIT), mode="replicate")
    factor = torch.where(quality < 50, 5000.0 / quality, 200.0 - 2.0 * quality)
    light = _coded(colours[:, :1], _LUMINANCE, factor)
    tint = _coded(F.avg_pool2d(colours[:, 1:], 2).round(), _CHROMINANCE, factor)
    tint = F.interpolate(tint, scale_factor=2.0, mode="bilinear", align_corners=False)
    decoded = torch.cat((light, tint), 1)[:, :, :height, :width].permute(0, 2, 3, 1)
    return _times(decoded - middle, _TO_RGB).round().clamp(0.0, 255.0).to(torch.uint8)


def _times(colours: Tensor, matrix: tuple[tuple[float, ...], ...]) -> Tensor:
    return colours @ constant(matrix, colours.device).T


def _coded(planes: Tensor, table: tuple[int, ...], factor: Tensor) -> Tensor:
    """Planes of levels, float (N, C, H, W), after their 8 x 8 blocks' frequencies were rounded to multiples."""
    count, channels, height, width = planes.shape
    basis = constant(_COSINES, planes.device)
    step = ((constant(table, planes.device) * factor[:, None] + 50.0) / 100.0).floor().clamp(1.0, 255.0)
    step = step.view(count, 1, 1, 1, 8, 8)
    blocks = (planes - 128.0).view(count, channels, height // 8, 8, width // 8, 8).transpose(3, 4)
    kept = (basis @ blocks @ basis.T / step).round() * step
    decoded = (basis.T @ kept @ basis).transpose(3, 4).reshape(planes.shape)
    return (decoded + 128.0).round().clamp(0.0, 255.0)
