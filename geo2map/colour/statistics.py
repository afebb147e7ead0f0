"""Colour statistics of imagery and the monotone curves that map one sensor's colours to another's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geo2map.types import Direction

PROBABILITIES = np.concatenate(([0.002, 0.01], np.linspace(0.03, 0.97, 31), [0.99, 0.998]))
"""The quantiles kept of each band; the outermost 0.2 % are dust and glints."""
DIFFERENT = 14.0
"""Mean distance in grey levels above which two scenes' colours count as different."""
HALFWAY = 0.5
"""How far colours are matched for models that know several places. A full match confuses what a scene shows with how
its sensor sees: desert without trees or lakes gets the colours of both. Measured: examples/lab/lean.md."""
BRIGHT = 0.85
"""The quantile of imagery used as fill: flat and dark is water, flat and bright is ground or a roof."""


@dataclass(frozen=True)
class ColourStatistics:
    """Quantiles of each band.

    Attributes:
        levels: for each of red, green, blue the grey levels (0 to 255) at `PROBABILITIES`, never falling.
    """

    levels: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        levels = np.asarray(self.levels, dtype=float)
        if levels.shape != (3, len(PROBABILITIES)) or (np.diff(levels) < 0).any():
            raise ValueError(f"colour statistics need 3 rising rows of {len(PROBABILITIES)} levels")

    @classmethod
    def of(cls, pixels: npt.NDArray[np.uint8]) -> ColourStatistics:
        """Statistics of uint8 (pixels, 3), at least one pixel."""
        levels = np.quantile(pixels, PROBABILITIES, axis=0).T
        return cls(tuple(tuple(round(float(level), 2) for level in band) for band in levels))

    @property
    def median(self) -> tuple[int, int, int]:
        """The median of each band."""
        return self.quantile(0.5)

    def neutral(self, direction: Direction) -> tuple[int, int, int]:
        """The fill colour for images like these: a bright colour of imagery, the median of maps.

        Args:
            direction: "a2b" if these are statistics of imagery, "b2a" of maps.
        """
        return self.quantile(BRIGHT if direction == "a2b" else 0.5)

    def quantile(self, probability: float) -> tuple[int, int, int]:
        """A quantile of each band, from the 0.002 to the 0.998."""
        red, green, blue = (round(float(np.interp(probability, PROBABILITIES, band))) for band in self.levels)
        return red, green, blue

    def distance(self, other: ColourStatistics) -> float:
        """Mean distance of the two distributions in grey levels (Wasserstein-1, averaged over the bands)."""
        return float(np.abs(np.asarray(self.levels) - np.asarray(other.levels)).mean())

    def curve_to(self, target: ColourStatistics, share: float = 1.0) -> npt.NDArray[np.uint8]:
        """The histogram match from these statistics to the target's, one monotone curve a band.

        Args:
            share: how much of the way to go, from 0 (nothing changes) to 1.

        Returns:
            uint8 (3, 256): the new level of each old one; 0 stays 0 and 255 stays 255.
        """
        whole = np.stack([_match(here, there) for here, there in zip(self.levels, target.levels, strict=True)])
        return np.rint(share * whole + (1.0 - share) * np.arange(256)).astype(np.uint8)


def _match(here: tuple[float, ...], there: tuple[float, ...]) -> npt.NDArray[np.float64]:
    knots = np.unique(here)
    wanted = np.array([np.mean([t for h, t in zip(here, there, strict=True) if h == knot]) for knot in knots])
    inside = (knots > 0) & (knots < 255)
    knots = np.concatenate(([0.0], knots[inside], [255.0]))
    wanted = np.concatenate(([0.0], wanted[inside], [255.0]))
    return np.interp(np.arange(256), knots, wanted)
