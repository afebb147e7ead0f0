"""Fakes that keep the contracts of `geo2map.protocols`: for tests, documentation and profiling. No torch, no files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from geo2map.colour import ColourStatistics
from geo2map.grid import PixelWindow
from geo2map.grid.block import Block, BlockImage
from geo2map.model.card import ModelCard
from geo2map.pipeline.blocks import LayerTiles
from geo2map.pipeline.reading import BlockDone, BlockKey
from geo2map.pipeline.records import BlockRecord
from geo2map.pipeline.run import pending_blocks
from geo2map.plan import Job, Plan, Storage
from geo2map.protocols import PixelTranslator, Progress, Translator
from geo2map.scene import ReadingOptions, SceneIdentity
from geo2map.tiles.doubt import Doubt
from geo2map.tiles.layer import MAP
from geo2map.tiles.pyramid import build_parents
from geo2map.tiles.store import MemoryStore
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


def cropped(batch: Batch, margin: int) -> Batch:
    """Pictures without what is context only."""
    return batch[:, margin : batch.shape[1] - margin, margin : batch.shape[2] - margin]


@dataclass(frozen=True)
class IdentityTranslator(PixelTranslator):
    """Returns what it gets."""

    batch: int = 1

    def translate_pixels(self, batch: Batch, margin: int = 0) -> Batch:
        return cropped(batch, margin)


@dataclass(frozen=True)
class BlurTranslator(PixelTranslator):
    """A box blur in exact integer arithmetic: output depends on pixels within `radius` and on nothing else."""

    radius: int
    batch: int = 1

    def translate_pixels(self, batch: Batch, margin: int = 0) -> Batch:
        size = 2 * self.radius + 1
        sums = batch.astype(np.int64)
        for axis in (1, 2):
            around = [(0, 0)] * 4
            around[axis] = (self.radius + 1, self.radius)
            total = np.pad(sums, around).cumsum(axis)
            length = sums.shape[axis]
            sums = total.take(range(size, size + length), axis) - total.take(range(length), axis)
        return cropped((sums // size**2).astype(np.uint8), margin)


class MemoryOutput:
    """An output that keeps encoded tiles in memory (a `geo2map.pipeline.run.BlockSink`).

    Attributes:
        job: what is made.
        records: blocks that count as done when a run begins.
        store: the tiles.
        done: the blocks that came, in order.
        finished: whether `finish` was called.
        doubt: where the map is doubtful, once it is finished.
    """

    def __init__(self, plan: Plan, storage: Storage | None = None, translator: Translator | None = None) -> None:
        self.job = fake_job(plan, storage or Storage(minzoom=plan.maxzoom), translator)
        self.records: dict[BlockKey, BlockRecord] = {}
        self.complete = self.resumed = False
        self.store = MemoryStore()
        self.done: list[BlockDone] = []
        self.finished = False
        self.doubt: Doubt | None = None

    @property
    def block_count(self) -> int:
        return self.job.plan.block_count

    def blocks(self) -> Iterator[Block]:
        return pending_blocks(self.job, self.records)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """There is nothing to let go of."""

    def keep(self, done: BlockDone, tiles: LayerTiles) -> None:
        for tile, data in tiles.get(MAP, {}).items():
            self.store.put(tile, data)
        self.done.append(done)

    def finish(self, progress: Progress | None = None) -> None:
        plan, storage = self.job.plan, self.job.storage
        children = self.store.tiles(plan.maxzoom - storage.levels(plan))
        for _ in build_parents(self.store, storage.codec, children, storage.minzoom or 0, progress=progress):
            pass
        self.finished = True
        self.doubt = Doubt.of(count for done in self.done for count in done.doubt.items())

    @property
    def tiles(self) -> dict[Tile, tuple[Image, Mask]]:
        """Pixels and mask of every tile at the plan's zoom."""
        decode = self.job.storage.codec.decode
        return {tile: decode(self.store.data[tile]) for tile in self.store.tiles(self.job.plan.maxzoom)}


def fake_job(plan: Plan, storage: Storage | None = None, translator: Translator | None = None) -> Job:
    """A job without a scene on any disk.

    Args:
        translator: only whether there is one counts.
    """
    precision, device = ("fp32", "cpu") if translator else ("", "")
    return Job(
        scenes=(SceneIdentity("memory"),),
        reading=ReadingOptions(),
        plan=plan,
        storage=(storage or Storage()).resolve(plan),
        precision=precision,
        device=device,
    )


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
