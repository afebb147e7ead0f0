"""The baseline that a model has to beat: one colour everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geo2map.colour.palette import Palette
from geo2map.evaluate.config import EvaluateConfig
from geo2map.protocols import PixelTranslator
from geo2map.train.pictures import PairFile
from geo2map.types import Batch, Image

STRIDE = 8
"""Every eighth pixel in rows and columns decides the median."""


@dataclass(frozen=True, eq=False)
class Constant(PixelTranslator):
    """A translator that returns one colour for any input.

    Attributes:
        name: in the table.
        colour: uint8 (3,).
    """

    name: str
    colour: Image

    def translate_pixels(self, batch: Batch, margin: int = 0) -> Batch:
        count, height, width, _ = batch.shape
        return np.broadcast_to(self.colour, (count, height - 2 * margin, width - 2 * margin, 3))


def constant_baseline(files: Sequence[PairFile], config: EvaluateConfig) -> Constant:
    """The land colour of the palette. Photographs have none: there it is the median of the true pictures of `files`,
    so a baseline that has seen the answers; it can only be too good.
    """
    if config.palette:
        return Constant("constant land colour", land_colour(config.palette))
    counts = np.zeros((3, 256), np.int64)
    for file in files[: config.limit]:
        truth = file.load()[config.direction == "a2b"][::STRIDE, ::STRIDE]
        counts += [np.bincount(truth[..., band].ravel(), minlength=256) for band in range(3)]
    shares = counts.cumsum(axis=1) / counts.sum(axis=1, keepdims=True)
    return Constant("constant median colour", (shares < 0.5).sum(axis=1).astype(np.uint8))


def land_colour(palette: Palette) -> Image:
    """Colour of the class "land", else the palette's first; uint8 (3,)."""
    named = [index for index, (name, _) in enumerate(palette.entries) if name == "land"]
    return palette.colours[named[0] if named else 0]
