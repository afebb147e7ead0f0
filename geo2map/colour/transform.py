"""How a scene's values become the network's uint8 colours: one stretch and one match for the whole scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geo2map.colour.statistics import DIFFERENT, ColourStatistics
from geo2map.colour.stretch import Stretch, make_stretch
from geo2map.types import Image, Match


@dataclass(frozen=True)
class ColourTransform:
    """Stretch first, then match; both global and monotone in each band.

    Attributes:
        stretch: for each band the values that become 0 and 255; None leaves 8-bit values unchanged.
        curves: for each band the 256 levels that replace the stretched ones; None means no match.
    """

    stretch: Stretch | None = None
    curves: tuple[tuple[int, ...], ...] | None = None

    def stretched(self, values: npt.NDArray[np.generic]) -> Image:
        """The stretch alone: any numbers (..., 3) to uint8 (..., 3)."""
        if self.stretch is None:
            return values.astype(np.uint8, copy=False)
        exact = np.result_type(values.dtype, np.float32)  # 32-bit integers need 64-bit floats
        low, high = np.array(self.stretch, dtype=exact).T
        with np.errstate(invalid="ignore", over="ignore"):  # what is not finite becomes so below
            scaled = (values.astype(exact) - low) * (255.0 / (high - low))
        return np.rint(np.clip(np.nan_to_num(scaled), 0.0, 255.0)).astype(np.uint8)

    def matched(self, statistics: ColourStatistics, target: ColourStatistics, share: float) -> ColourTransform:
        """The same stretch, then a match of what it gives.

        Args:
            statistics: of the stretched values.
            target: what to match them to.
            share: how much of the way to go, from 0 (no match) to 1.
        """
        if not share:
            return ColourTransform(self.stretch)
        curves = statistics.curve_to(target, share)
        return ColourTransform(self.stretch, tuple(tuple(int(level) for level in band) for band in curves))

    def __call__(self, values: npt.NDArray[np.generic]) -> Image:
        """Any numbers (..., 3) to uint8 (..., 3)."""
        return self.match(self.stretched(values))

    def match(self, image: Image) -> Image:
        """The match alone, of uint8 (..., 3)."""
        if self.curves is None:
            return image
        curves = np.array(self.curves, dtype=np.uint8)
        return np.stack([curves[band][image[..., band]] for band in range(3)], axis=-1)


def make_rendition(
    values: npt.NDArray[np.generic],
    target: ColourStatistics | None,
    match: Match,
    stretch: str = "auto",
    matching: float = 1.0,
) -> tuple[ColourTransform, float]:
    """Decides stretch and match from a decimated sample of the whole scene.

    Args:
        values: (pixels, 3) of any type, valid pixels only.
        target: statistics of the model's training imagery; None means no match.
        match: "auto" (`matching` of the way, where the colours differ by more than `DIFFERENT`), "model" (all the way)
            or "none".
        stretch: see `geo2map.colour.stretch.parse_stretch`.
        matching: from 0 to 1, as in the model's card.

    Returns:
        The transform, and the distance in grey levels between scene and target (0 without target).
    """
    plain = ColourTransform(make_stretch(values, stretch))
    if target is None or not len(values):
        return plain, 0.0
    statistics = ColourStatistics.of(plain.stretched(values))
    distance = statistics.distance(target)
    if match == "none" or (match == "auto" and distance <= DIFFERENT):
        return plain, distance
    return plain.matched(statistics, target, matching if match == "auto" else 1.0), distance
