"""Random footprints of scenes, and holes in them: where a training crop has data."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

SHAPES = 3
"""Rectangles that make up a footprint, at most."""
_ENDLESS = 4.0
"""Half of a side, in crops, of a rectangle so large that one of its sides is a straight rim."""


def draw_footprints(count: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Random footprints: a scene's straight rim (half of them), a small turned scene, or holes in one.

    Returns:
        float32 (count, 1 + SHAPES * 5): whether the data is outside the rectangles (1) or inside (0), and for each
        rectangle x and y of its centre, half its extents (in crops, 0 where there is none) and its angle (radians).
    """
    kind = rng.random((count, 1))
    shapes = np.zeros((count, SHAPES, 5), np.float32)
    through, turn = rng.uniform(0.1, 0.9, (count, 2)), rng.uniform(0, 2 * np.pi, (count, 1))
    rim = np.concatenate((through + _ENDLESS * np.concatenate((np.cos(turn), np.sin(turn)), 1), turn), 1)
    angles = rng.uniform(0, 2 * np.pi, (count, SHAPES)) * (rng.random((count, SHAPES)) < 0.5)
    centre, half = rng.uniform(0.3, 0.7, (count, 2)), rng.uniform(0.25, 0.6, (count, 2))
    shapes[:, 0] = np.where(
        kind < 0.5,
        np.concatenate((rim[:, :2], np.full((count, 2), _ENDLESS), rim[:, 2:]), 1),
        np.concatenate((centre, half, angles[:, :1]), 1),
    )
    holes = np.concatenate(
        (rng.uniform(0, 1, (count, SHAPES, 2)), rng.uniform(0.03, 0.25, (count, SHAPES, 2)), angles[..., None]), 2
    )
    holes *= (np.arange(SHAPES) < rng.integers(1, SHAPES + 1, (count, 1)))[..., None]
    outside = kind >= 0.8
    shapes = np.where(outside[..., None], holes, shapes)
    return np.concatenate((outside, shapes.reshape(count, -1)), 1).astype(np.float32)


def cut_footprints(footprints: Tensor, side: int) -> Tensor:
    """Where there is data, bool (N, side, side), for float (N, 1 + SHAPES * 5) as `draw_footprints` gives them."""
    shapes = footprints[:, 1:].view(-1, SHAPES, 5, 1, 1)
    centre_x, centre_y, half_across, half_along, angle = shapes.unbind(2)
    places = (torch.arange(side, device=footprints.device) / side).float()
    x, y = places - centre_x, places[:, None] - centre_y
    across = x * torch.cos(angle) + y * torch.sin(angle)
    along = y * torch.cos(angle) - x * torch.sin(angle)
    inside = ((across.abs() < half_across) & (along.abs() < half_along)).any(1)
    return inside ^ (footprints[:, :1, None] > 0.5)
