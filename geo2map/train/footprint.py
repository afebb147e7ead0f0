"""Random footprints of scenes, and holes in them: where a training crop has data."""

from __future__ import annotations

import numpy as np

from geo2map.types import Mask


def random_footprint(side: int, rng: np.random.Generator) -> Mask:
    """Bool (side, side), True where there is data: a scene's straight rim, a small turned scene, or holes in one."""
    y, x = np.mgrid[:side, :side].astype(np.float32)
    kind = rng.random()
    if kind < 0.5:
        return _beyond(x, y, rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.9, 2) * side)
    if kind < 0.8:
        return _rectangle(x, y, rng.uniform(0.3, 0.7, 2) * side, rng.uniform(0.25, 0.6, 2) * side, rng)
    holes = np.zeros((side, side), bool)
    for _ in range(int(rng.integers(1, 4))):
        holes |= _rectangle(x, y, rng.uniform(0, 1, 2) * side, rng.uniform(0.03, 0.25, 2) * side, rng)
    return ~holes


def _beyond(x: np.ndarray, y: np.ndarray, angle: float, through: np.ndarray) -> Mask:
    right: Mask = (x - through[0]) * np.cos(angle) + (y - through[1]) * np.sin(angle) > 0
    return right


def _rectangle(x: np.ndarray, y: np.ndarray, centre: np.ndarray, half: np.ndarray, rng: np.random.Generator) -> Mask:
    angle = rng.uniform(0, 2 * np.pi) if rng.random() < 0.5 else 0.0
    across = (x - centre[0]) * np.cos(angle) + (y - centre[1]) * np.sin(angle)
    along = (y - centre[1]) * np.cos(angle) - (x - centre[0]) * np.sin(angle)
    inside: Mask = (np.abs(across) < half[0]) & (np.abs(along) < half[1])
    return inside
