"""Whether a translator's tiles show: what a renderer would do to the pictures, in two grids half a tile apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from geo2map.evaluate.config import EvaluateConfig
from geo2map.evaluate.translate import translate_tiled
from geo2map.metrics import Differences, Mean, SeamGradient, Summed, TileMismatch, finite
from geo2map.protocols import PixelTranslator
from geo2map.types import Image

_NO_DIFFERENCES = Differences(np.zeros(256, np.int64), np.zeros(256, np.int64))
_NO_GRADIENT = SeamGradient(Mean(), Mean())


@dataclass(frozen=True, eq=False)
class Seams(Summed):
    """Sums over pictures; `a + b` is the seams of both.

    Attributes:
        pictures: how many.
        between: gradients across the borders of each grid, and of the same pixels inside tiles of the other.
        tiled, truth: gradients across the borders of the first grid, and at the same phase inside its tiles, of the
            tiled translation and of the true picture (which shows what content and JPEG make of it).
        mismatch: differences of the two grids.
        whole: differences of the first grid from one pass; nothing where the translator makes tiles by itself.
    """

    pictures: int = 0
    between: SeamGradient = _NO_GRADIENT
    tiled: SeamGradient = _NO_GRADIENT
    truth: SeamGradient = _NO_GRADIENT
    mismatch: Differences = _NO_DIFFERENCES
    whole: Differences = _NO_DIFFERENCES

    def report(self) -> dict[str, Any]:
        """Figures ready for JSON, levels and shares; None where one is undefined."""
        measured, compared = self.mismatch.pixel.any(), self.whole.pixel.any()
        return {
            "pictures": self.pictures,
            "gradient_ratio": finite(self.tiled.ratio),
            "gradient_ratio_truth": finite(self.truth.ratio),
            "tile_mismatch": TileMismatch.of(self.mismatch)._asdict() if measured else None,
            "whole_vs_tiled": {"mean": self.whole.mean, "max": self.whole.largest} if compared else None,
        }


def measure_seams(
    image: Image, truth: Image, whole: Image, translator: PixelTranslator, config: EvaluateConfig
) -> Seams:
    """Translates a uint8 (H, W, 3) in two grids of tiles; `whole` is its translation in one pass."""
    tile = config.tile
    first, second = (translate_tiled(image, translator, config.margin, tile, offset) for offset in (0, tile // 2))
    return Seams(
        pictures=1,
        between=SeamGradient.between(first, second, tile),
        tiled=SeamGradient.of(first, tile),
        truth=SeamGradient.of(truth, tile),
        mismatch=Differences.of(first, second),
        whole=Differences.of(whole, first) if tile > config.size_multiple else _NO_DIFFERENCES,
    )
