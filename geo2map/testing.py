"""Fakes that keep the contracts of `geo2map.protocols`: for tests, documentation and profiling. No torch, no files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from geo2map.block import Block, BlockImage
from geo2map.colour import ColourStatistics
from geo2map.grid import PixelWindow
from geo2map.model.card import ModelCard
from geo2map.types import Batch, Image, Mask, Tile


@dataclass(frozen=True, eq=False)
class ArraySource:
    """A source of pixels held in memory.

    Attributes:
        window: the global pixels that the arrays cover, at the zoom of the blocks that will be read.
        pixels: uint8 (H, W, 3).
        mask: bool (H, W), True where valid.
    """

    window: PixelWindow
    pixels: Image
    mask: Mask

    def read(self, block: Block) -> BlockImage:
        wanted = block.window
        pixels = np.zeros((wanted.height, wanted.width, 3), dtype=np.uint8)
        mask = np.zeros((wanted.height, wanted.width), dtype=np.bool_)
        there = wanted.intersection(self.window)
        if not there.empty:
            into, out_of = there.slices(wanted), there.slices(self.window)
            pixels[into], mask[into] = self.pixels[out_of], self.mask[out_of]
        return BlockImage(block, pixels, mask)


class IdentityTranslator:
    """Returns what it gets, without the margin."""

    batch = 1

    def translate(self, batch: Batch, margin: int = 0) -> Batch:
        return batch[:, margin : batch.shape[1] - margin, margin : batch.shape[2] - margin]


@dataclass(frozen=True)
class BlurTranslator:
    """A box blur in exact integer arithmetic: output depends on pixels within `radius` and on nothing else."""

    radius: int
    batch: int = 1

    def translate(self, batch: Batch, margin: int = 0) -> Batch:
        size = 2 * self.radius + 1
        sums = batch.astype(np.int64)
        for axis in (1, 2):
            around = [(0, 0)] * 4
            around[axis] = (self.radius + 1, self.radius)
            total = np.pad(sums, around).cumsum(axis)
            length = sums.shape[axis]
            sums = total.take(range(size, size + length), axis) - total.take(range(length), axis)
        blurred = (sums // size**2).astype(np.uint8)
        return blurred[:, margin : blurred.shape[1] - margin, margin : blurred.shape[2] - margin]


@dataclass
class MemorySink:
    """Keeps tiles in a dict.

    Attributes:
        tiles: pixels and mask of every tile written.
        committed, aborted: how the run ended.
    """

    tiles: dict[Tile, tuple[Image, Mask]] = field(default_factory=dict)
    committed: bool = False
    aborted: bool = False

    def write(self, image: BlockImage) -> None:
        for tile, pixels, mask in image.tiles():
            self.tiles[tile] = (pixels.copy(), mask.copy())

    def commit(self) -> None:
        self.committed = True

    def abort(self) -> None:
        self.aborted = True


def make_card(**fields: Any) -> ModelCard:
    """A card like that of a packaged model, whose imagery has every grey level alike often.

    Args:
        fields: of `ModelCard`, instead.
    """
    greys = np.arange(256, dtype=np.uint8).repeat(3).reshape(-1, 3)
    usual: dict[str, Any] = {
        "name": "fake",
        "architecture": "unet",
        "config": {},
        "ground_resolution": 0.905,
        "zoom": 17,
        "margin": 32,
        "size_multiple": 32,
        "colours": ColourStatistics.of(greys),
    }
    return ModelCard(**usual | fields)
