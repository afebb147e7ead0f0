"""Blocks from pixels to encoded tiles: read, fill, translate, encode. No files here, nothing is kept."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from geo2map.grid.block import Block, BlockImage
from geo2map.grid.noise import add_noise
from geo2map.pipeline.reading import READ_AHEAD, BlockDone, BlockKey, BlockReader, Prepared, digest, prepare
from geo2map.plan.storage import Storage
from geo2map.plan.value import Plan
from geo2map.protocols import AheadTranslator, Prediction, Source, Translator
from geo2map.threads import available_threads
from geo2map.tiles.layer import MAP, Layer
from geo2map.tiles.pyramid import encode_pyramid
from geo2map.types import OnError, Tile

__all__ = [
    "READ_AHEAD",
    "BlockDone",
    "BlockKey",
    "LayerTiles",
    "OnError",
    "Rendered",
    "digest",
    "encode_layers",
    "encoder_threads",
    "prepare",
    "render_blocks",
    "translate",
]

MOST_ENCODERS = 16

LayerTiles = Mapping[str, Mapping[Tile, bytes]]
"""Encoded tiles by layer."""
Rendered = tuple[BlockDone, LayerTiles]


def encoder_threads() -> int:
    """Threads that encode; twice as many blocks, and those in hand, wait for them at most."""
    return min(MOST_ENCODERS, available_threads())


def translate(images: list[BlockImage], translator: Translator | None, noise: int) -> list[BlockImage]:
    """Translates block images of equal shape and drops their margins; without translator only the latter.

    Args:
        noise: bands of noise that the translator takes after the picture's, the plan's. Without a default, since a
            caller that left it out would work with every model but those that take some.
    """
    return _begin(images, translator, noise)()


def _begin(images: list[BlockImage], translator: Translator | None, noise: int) -> Callable[[], list[BlockImage]]:
    """Gives block images to the translator; what comes back waits for what `translate` says."""
    cores = [image.core() for image in images]
    if translator is None:
        return lambda: cores
    pixels = np.stack([add_noise(image.pixels, image.block.window, image.block.z, noise) for image in images])
    margin = images[0].block.margin
    if isinstance(translator, AheadTranslator):
        wait = translator.begin(pixels, margin)
    else:
        wait = partial(translator.translate, pixels, margin)
    return lambda: [replace(core, pixels=pixels) for core, pixels in zip(cores, wait(), strict=True)]


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
    comes out once, not always in order; memory depends on block and batch. Closing the iterator drops what is in hand;
    an error or Ctrl-C comes after the blocks that were translated before it.

    Args:
        translator: None makes tiles of the source's own pixels.
        storage: of the tiles, resolved.
        known: digests of blocks that were rendered before: where a block's is the same, nothing is made of it.
        on_error: whether a block that cannot be read is an error, or comes out with its `error`.

    Raises:
        Geo2MapError: whatever source and translator raise.
    """
    reading = BlockReader(plan, source, known or {}, on_error).read(blocks)
    threads = encoder_threads()
    with closing(reading), ThreadPoolExecutor(threads, "encode") as encoders:
        try:
            yield from _Pipeline(plan, translator, storage, 2 * threads).run(reading, encoders)
        finally:
            encoders.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class _Pipeline:
    """The stages of one run; every queue between them is bounded.

    Attributes:
        waiting: blocks that may wait for an encoder.
    """

    plan: Plan
    translator: Translator | None
    storage: Storage
    waiting: int

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Those to be encoded."""
        return self.storage.tile_layers

    @property
    def _keeps_imagery(self) -> bool:
        return len(self.layers) > 1

    def run(self, reading: Iterator[Prepared], encoders: ThreadPoolExecutor) -> Iterator[Rendered]:
        encoding: deque[Future[Rendered]] = deque()
        stopped: Exception | KeyboardInterrupt | None = None
        try:
            for prepared, image, seconds in self._translated(reading):
                if image is None:
                    yield prepared.done, {}
                    continue
                encoding.append(encoders.submit(self._encode, prepared, image, seconds))
                while len(encoding) > self.waiting or (encoding and encoding[0].done()):
                    yield encoding.popleft().result()
        except (Exception, KeyboardInterrupt) as error:  # translating costs the most: what is translated is not lost
            stopped = error
        while encoding:
            yield encoding.popleft().result()
        if stopped is not None:
            raise stopped

    def _translated(self, reading: Iterator[Prepared]) -> Iterator[tuple[Prepared, BlockImage | None, float]]:
        """Blocks with their maps and the seconds of each; where the translator can, the next batch is begun before."""
        ahead = self.translator.ahead if isinstance(self.translator, AheadTranslator) else 0
        begun: deque[tuple[list[Prepared], Callable[[], list[BlockImage]], float]] = deque()
        for some in self._batches(reading):
            images = [prepared.image for prepared in some if prepared.image is not None]
            if not images:
                yield some[0], None, 0.0
                continue
            started = time.perf_counter()
            wait = _begin(images, self.translator, self.plan.noise)
            begun.append((some, wait, time.perf_counter() - started))
            if len(begun) > ahead:
                yield from self._finished(*begun.popleft())
        while begun:
            yield from self._finished(*begun.popleft())

    def _batches(self, reading: Iterator[Prepared]) -> Iterator[list[Prepared]]:
        """Blocks of equal shape together, as many as the translator wants; those with nothing in them alone."""
        waiting: list[Prepared] = []
        for prepared in reading:
            if prepared.image is None:
                yield [prepared]
                continue
            if waiting and prepared.shape != waiting[0].shape:
                yield waiting
                waiting = []
            waiting.append(prepared)
            if len(waiting) >= (self.translator.batch if self.translator else 1):
                yield waiting
                waiting = []
        if waiting:
            yield waiting

    def _finished(
        self, some: list[Prepared], wait: Callable[[], list[BlockImage]], spent: float
    ) -> Iterator[tuple[Prepared, BlockImage, float]]:
        """A batch as it comes from the translator, without imagery that no layer needs any more."""
        started = time.perf_counter()
        images = wait()
        each = (spent + time.perf_counter() - started) / len(some) if self.translator else 0.0
        for prepared, image in zip(some, images, strict=True):
            yield prepared if self._keeps_imagery else replace(prepared, image=None), image, each

    def _encode(self, prepared: Prepared, image: BlockImage, translating: float) -> Rendered:
        started, done = time.perf_counter(), prepared.done
        imagery = image if prepared.image is None else prepared.image.core()
        encoded = encode_layers(self.layers, imagery, Prediction(image), self.storage.levels(self.plan))
        count = sum(tile.z == self.plan.maxzoom for tile in encoded[MAP])
        seconds = {**done.seconds, "translate": translating, "encode": time.perf_counter() - started}
        return replace(done, tiles=count, seconds=seconds), encoded


def encode_layers(layers: Iterable[Layer], imagery: BlockImage, prediction: Prediction, levels: int) -> LayerTiles:
    """The tiles of a block in every layer, and the overviews that it holds whole.

    Args:
        imagery: as the network sees it, without margin; any image where no layer shows it.
        levels: zooms of overviews, see `geo2map.plan.Storage.levels`.
    """
    found: dict[str, dict[Tile, bytes]] = {}
    for layer in layers:
        tiles = {tile: (pixels, mask) for tile, pixels, mask in layer.pixels(imagery, prediction).tiles()}
        found[layer.name] = encode_pyramid(tiles, layer.codec, levels)
    return found
