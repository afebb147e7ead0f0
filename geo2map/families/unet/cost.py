"""What a network costs, from its literal configuration alone: no torch, no weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

_TILE = 256
PAPER_WIDTHS = (64, 128, 256, 512, 512, 512, 512, 512)
"""Widths of a card without `widths`, as `geo2map.families.unet.generator.UNetGenerator` has it."""


def gflop_per_tile(
    widths: Sequence[int] = PAPER_WIDTHS,
    residual_blocks: Sequence[int] = (),
    in_channels: int = 3,
    out_channels: int = 3,
    legend: Sequence[Sequence[int]] = (),
    crispen: Mapping[str, Any] | None = None,
    **_: object,
) -> float:
    """Billions of multiplications and additions that a U-Net makes for a tile of 256 px without margin.

    Only convolutions count; norms fold into them and activations are cheap. A multiplication and its addition are two.

    Args:
        widths, residual_blocks, in_channels, out_channels, legend, crispen: as `make_generator` takes them.
    """
    blocks = tuple(residual_blocks) or (0,) * len(widths)
    total = 0
    for level, width in enumerate(widths, start=1):
        pixels = (_TILE / 2**level) ** 2
        inner = widths[level - 2] if level > 1 else in_channels
        outer = widths[level - 2] if level > 1 else len(legend) or out_channels
        below = width if level == len(widths) else 2 * width
        down, up = 16 * inner * width * pixels, 16 * below * outer * pixels  # 4 x 4 kernels, strides of 2
        total += down + up + blocks[level - 1] * 2 * 9 * width * width * pixels
    return 2 * (total + _sharpen(out_channels, **crispen or {"colours": ()})) / 1e9


def _sharpen(channels: int, colours: Sequence[object], sharpen: float = 0, sigma: float = 2.5, **_: object) -> float:
    """Multiplications with an addition that `geo2map.families.unet.sharpen` makes for a tile."""
    taps = 2 * math.ceil(2.5 * sigma) + 1 if sharpen else 0
    return channels * (2 * taps + 2 * len(colours)) * _TILE**2
