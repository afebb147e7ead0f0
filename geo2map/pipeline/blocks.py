"""Blocks from pixels to encoded tiles: read, fill, translate, encode. No files here, nothing is kept."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from geo2map.grid.block import Block, BlockImage
from geo2map.grid.noise import add_noise
from geo2map.pipeline.reading import READ_AHEAD, BlockDone, BlockKey, BlockReader, Prepared, digest, prepare
from geo2map.plan.storage import Storage
from geo2map.plan.value import Plan
from geo2map.protocols import Source, Translator
from geo2map.threads import available_threads
from geo2map.tiles.pyramid import encode_pyramid
from geo2map.types import OnError, Tile

__all__ = [
    "ENCODERS",
    "READ_AHEAD",
    "BlockDone",
    "BlockKey",
    "OnError",
    "Rendered",
    "digest",
    "prepare",
    "render_blocks",
    "translate",
]

ENCODERS = max(2, min(16, available_threads()))
"""Threads that encode; twice as many blocks, and those in hand, wait for them at most."""

Rendered = tuple[BlockDone, dict[Tile, bytes]]


def translate(images: list[BlockImage], translator: Translator | None, noise: int = 0) -> list[BlockImage]:
    """Translates block images of equal shape and drops their margins; without translator only the latter.

    Args:
        noise: bands of noise that the translator takes after the picture's.
    """
    if translator is None:
        return [image.core() for image in images]
    pixels = [add_noise(image.pixels, image.block.window, image.block.z, noise) for image in images]
    batch = translator.translate(np.stack(pixels), images[0].block.margin)
    cores = (image.core() for image in images)
    return [replace(core, pixels=pixels) for core, pixels in zip(cores, batch, strict=True)]


def render_blocks(
    plan: Plan,
    source: Source,
    translator: Translator | None,
    storage: Storage,
    blocks: Iterable[Block],
    *,
    known: Mapping[BlockKey, str] | None = None,
    on_error: OnError = "fail",
) -> Iterator[Rendered]:
    """Renders blocks: reads ahead in threads, translates in this one, encodes in others.

    A block's tiles are those at maxzoom and their overviews as far up as the block holds them whole. Every block
    comes out once, not always in order; memory depends on block and batch. Closing the iterator drops what is in hand.

    Args:
        translator: None makes tiles of the source's own pixels.
        storage: of the tiles, resolved.
        known: digests of blocks that were rendered before: where a block's is the same, nothing is made of it.
        on_error: whether a block that cannot be read is an error, or comes out with its `error`.

    Raises:
        Geo2MapError: whatever source and translator raise.
    """
    reading = BlockReader(plan, source, known or {}, on_error).read(blocks)
    with closing(reading), ThreadPoolExecutor(ENCODERS, "encode") as encoders:
        try:
            yield from _Pipeline(plan, translator, storage).run(reading, encoders)
        finally:
            encoders.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class _Pipeline:
    """The stages of one run; every queue between them is bounded."""

    plan: Plan
    translator: Translator | None
    storage: Storage

    def run(self, reading: Iterator[Prepared], encoders: ThreadPoolExecutor) -> Iterator[Rendered]:
        encoding: deque[Future[Rendered]] = deque()
        waiting: list[Prepared] = []
        for prepared in reading:
            if prepared.image is None:
                yield prepared.done, {}
                continue
            if waiting and prepared.shape != waiting[0].shape:
                encoding.extend(self._translated(waiting, encoders))
                waiting = []
            waiting.append(prepared)
            if len(waiting) >= (self.translator.batch if self.translator else 1):
                encoding.extend(self._translated(waiting, encoders))
                waiting = []
            while len(encoding) > 2 * ENCODERS or (encoding and encoding[0].done()):
                yield encoding.popleft().result()
        if waiting:
            encoding.extend(self._translated(waiting, encoders))
        while encoding:
            yield encoding.popleft().result()

    def _translated(self, waiting: list[Prepared], encoders: ThreadPoolExecutor) -> list[Future[Rendered]]:
        """Translates a batch and hands each of its blocks to the encoders, without imagery that nobody needs now."""
        started = time.perf_counter()
        images = translate([prepared.image for prepared in waiting if prepared.image], self.translator, self.plan.noise)
        each = (time.perf_counter() - started) / len(waiting) if self.translator else 0.0
        if not self.storage.with_source:
            waiting = [replace(prepared, image=None) for prepared in waiting]
        return [
            encoders.submit(self._encode, prepared, image, each)
            for prepared, image in zip(waiting, images, strict=True)
        ]

    def _encode(self, prepared: Prepared, image: BlockImage, translating: float) -> Rendered:
        started, done = time.perf_counter(), prepared.done
        encoded = self._tiles(image, self.storage)
        count = sum(tile.z == self.plan.maxzoom for tile in encoded)
        if self.storage.with_source and prepared.image is not None:
            done = replace(done, source=self._tiles(prepared.image.core(), self.storage.of_source))
        seconds = {**done.seconds, "translate": translating, "encode": time.perf_counter() - started}
        return replace(done, tiles=count, seconds=seconds), encoded

    def _tiles(self, image: BlockImage, storage: Storage) -> dict[Tile, bytes]:
        """The tiles of a block without margin, and the overviews that it holds whole."""
        tiles = {tile: (pixels, mask) for tile, pixels, mask in image.tiles()}
        return encode_pyramid(tiles, storage.codec, storage.levels(self.plan))
