"""The fill of `geo2map.grid.fill`, of many crops at once on any device: the same bytes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from geo2map.grid.fill import FILL_RADIUS
from geo2map.train.sending import constant

_RANKS = 128
"""More than there are columns within `FILL_RADIUS`: a distance times this plus a column's rank sorts as both do."""
_FAR = 1 << 14
"""A squared distance beyond any that counts."""


def fill_crops(pixels: Tensor, valid: Tensor, neutral: tuple[int, int, int]) -> Tensor:
    """Replaces invalid pixels by the nearest valid one within `FILL_RADIUS`, by `neutral` beyond.

    Ties are broken as `geo2map.grid.fill.fill` says.

    Args:
        pixels: uint8 (N, H, W, 3).
        valid: bool (N, H, W).
        neutral: colour of no data.

    Returns:
        uint8 (N, H, W, 3).
    """
    count, height, width = valid.shape
    row = _nearest_row(valid)
    away = (row - torch.arange(height, device=row.device)[:, None]).abs().clamp_max(FILL_RADIUS + 1)
    squared = torch.where(away > FILL_RADIUS, _FAR, away * away).int() * _RANKS
    padded = F.pad(squared, (FILL_RADIUS, FILL_RADIUS), value=_FAR * _RANKS)
    offsets = sorted(range(-FILL_RADIUS, FILL_RADIUS + 1), key=lambda x: (abs(x), x))
    best = squared.clone()
    for rank, offset in enumerate(offsets[1:], start=1):
        start = FILL_RADIUS + offset
        torch.minimum(best, padded[..., start : start + width] + (offset * offset * _RANKS + rank), out=best)
    chosen = _offset_of_rank(best & (_RANKS - 1))
    column = (torch.arange(width, device=row.device) + chosen).clamp_(0, width - 1)
    source = (row.gather(2, column).clamp_(0, height - 1) * width + column).view(count, -1, 1).expand(-1, -1, 3)
    near = pixels.view(count, -1, 3).gather(1, source).view(pixels.shape)
    found = (best // _RANKS <= FILL_RADIUS**2)[..., None]
    near = torch.where(found, near, constant(neutral, pixels.device, torch.uint8))
    return torch.where(valid[..., None], pixels, near)


def _nearest_row(valid: Tensor) -> Tensor:
    """Row of the nearest valid pixel of the same column (the upper one on a tie), far away if none; int64 (N, H, W)."""
    height = valid.shape[1]
    rows = torch.arange(height, device=valid.device)[:, None]
    above = torch.where(valid, rows, -4 * height).cummax(1).values
    below = torch.where(valid, rows, 4 * height).flip(1).cummin(1).values.flip(1)
    return torch.where(rows - above <= below - rows, above, below)


def _offset_of_rank(rank: Tensor) -> Tensor:
    """The column offset that is tried in this place, int64: 0, -1, 1, -2, 2 and so on."""
    far = ((rank + 1) // 2).long()
    return torch.where(rank % 2 == 1, -far, far)
