"""The noise of `geo2map.grid.add_noise`, for many crops at once on any device: the same bytes."""

from __future__ import annotations

import torch
from torch import Tensor

from geo2map.grid.noise import MOST_NOISE

_WORD = 0xFFFFFFFF


def noise_bands(left: Tensor, top: Tensor, side: int, zoom: int, bands: int) -> Tensor:
    """Bands of noise as they are at places of the world.

    Args:
        left, top: pixels of the crops' corners, int64 (N,), so that no crop reaches beyond the world.
        side: of the crops.
        zoom: of these pixels.
        bands: how many.

    Returns:
        uint8 (N, side, side, bands).
    """
    steps = torch.arange(side, device=left.device)
    columns, rows = left[:, None] + steps, top[:, None] + steps
    salts = zoom * MOST_NOISE + torch.arange(bands, device=left.device) + 1
    words = _mixed(_mixed(rows[..., None] ^ _mixed(salts))[:, :, None] + columns[:, None, :, None] & _WORD)
    return (words >> 24).to(torch.uint8)


def _mixed(words: Tensor) -> Tensor:
    """`geo2map.grid.noise`'s permutation of 32 bits, in int64, which every device has."""
    words = words ^ (words >> 16)
    words = words * 0x7FEB352D & _WORD
    words = words ^ (words >> 15)
    words = words * 0x846CA68B & _WORD
    return words ^ (words >> 16)
