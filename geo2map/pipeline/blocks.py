"""Blocks from pixels to encoded tiles: read, fill, translate, encode. Writes no files."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property

from geo2map.grid.block import Block, BlockImage
from geo2map.pipeline.reading import BlockDone, BlockKey, BlockReader, Prepared
from geo2map.plan.storage import Storage
from geo2map.plan.value import Plan
from geo2map.protocols import Prediction, Source, Translator, Untranslated
from geo2map.tiles.doubt import TileDoubt
from geo2map.tiles.layer import PERCENT_UNIT, Layer
from geo2map.tiles.pyramid import encode_pyramid
from geo2map.types import OnError, Tile

MOST_ENCODERS = 16
"""Encoding threads; at most twice as many blocks, plus those being encoded, queue for them."""

LayerTiles = Mapping[str, Mapping[Tile, bytes]]
"""Encoded tiles by layer."""
Rendered = tuple[BlockDone, LayerTiles]


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
    """Render blocks: read ahead in threads, translate in this one, encode in others.

    Tiles of a block are those at maxzoom and the overviews it holds completely. Yields each block once, not always in
    order; memory depends on block and batch size. Closing the iterator drops unfinished blocks; an error or Ctrl-C is
    raised after the blocks translated before it.

    Args:
        translator: None renders the source's pixels.
        storage: resolved.
        known: digests of previously rendered blocks: those with the same digest are skipped.
        on_error: whether an unreadable block raises, or is yielded with its `error`.

    Raises:
        Geo2MapError: raised by source or translator.
    """
    translator = translator or Untranslated()
    budget = translator.budget
    reading = BlockReader(plan, source, known or {}, on_error, budget).read(blocks)
    with closing(reading), budget.pool(MOST_ENCODERS, "encode") as encoders:
        try:
            waiting = 2 * budget.share(MOST_ENCODERS)
            yield from _Pipeline(plan, translator, storage, waiting).run(reading, encoders)
        finally:
            encoders.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class _Pipeline:
    """The stages of a run; all queues between them are bounded.

    Attributes:
        waiting: blocks that may queue for an encoder.
    """

    plan: Plan
    translator: Translator
    storage: Storage
    waiting: int

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The layers to encode."""
        return self.storage.block_layers

    @property
    def _keeps_imagery(self) -> bool:
        return len(self.layers) > 1

    def run(self, reading: Iterator[Prepared], encoders: Executor) -> Iterator[Rendered]:
        encoding: deque[Future[Rendered]] = deque()
        stopped: Exception | KeyboardInterrupt | None = None
        try:
            for prepared, prediction, seconds in self._translated(reading):
                if prediction is None:
                    yield prepared.done, {}
                    continue
                encoding.append(encoders.submit(self._encode, prepared, prediction, seconds))
                while len(encoding) > self.waiting or (encoding and encoding[0].done()):
                    yield encoding.popleft().result()
        except (Exception, KeyboardInterrupt) as error:  # finish blocks already translated, the costliest stage
            stopped = error
        while encoding:
            yield encoding.popleft().result()
        if stopped is not None:
            raise stopped

    def _translated(self, reading: Iterator[Prepared]) -> Iterator[tuple[Prepared, Prediction | None, float]]:
        """Blocks with their predictions and seconds; starts the next batch early if the translator supports it."""
        begun: deque[tuple[list[Prepared], Callable[[], list[Prediction]], float]] = deque()
        for some in self._batches(reading):
            inputs = [prepared.input for prepared in some if prepared.input is not None]
            if not inputs:
                yield some[0], None, 0.0
                continue
            started = time.perf_counter()
            wait = self.translator.begin(inputs, score_kinds=self.storage.score_kinds)
            begun.append((some, wait, time.perf_counter() - started))
            if len(begun) > self.translator.ahead:
                yield from self._finished(*begun.popleft())
        while begun:
            yield from self._finished(*begun.popleft())

    def _batches(self, reading: Iterator[Prepared]) -> Iterator[list[Prepared]]:
        """Batches of blocks of equal shape, up to the translator's batch size; empty blocks alone."""
        waiting: list[Prepared] = []
        shape: tuple[int, ...] = ()
        for prepared in reading:
            if prepared.input is None:
                yield [prepared]
                continue
            if waiting and prepared.input.shape != shape:
                yield waiting
                waiting = []
            waiting.append(prepared)
            shape = prepared.input.shape
            if len(waiting) >= self.translator.batch:
                yield waiting
                waiting = []
        if waiting:
            yield waiting

    def _finished(
        self, some: list[Prepared], wait: Callable[[], list[Prediction]], spent: float
    ) -> Iterator[tuple[Prepared, Prediction, float]]:
        """A translated batch, without imagery that no layer needs."""
        started = time.perf_counter()
        predictions = wait()
        each = (spent + time.perf_counter() - started) / len(some)
        for prepared, prediction in zip(some, predictions, strict=True):
            yield prepared if self._keeps_imagery else replace(prepared, input=None), prediction, each

    def _encode(self, prepared: Prepared, prediction: Prediction, translating: float) -> Rendered:
        started, done = time.perf_counter(), prepared.done
        imagery = prediction.image if prepared.image is None else prepared.image.core()
        done, encoded = encode_block(done, self.layers, imagery, prediction, self.storage.levels(self.plan))
        seconds = {**done.seconds, "translate": translating, "encode": time.perf_counter() - started}
        return replace(done, seconds=seconds), encoded


def encode_block(
    done: BlockDone, layers: Sequence[Layer], imagery: BlockImage, prediction: Prediction, levels: int
) -> Rendered:
    """The tiles of a translated block, and its outcome with what is counted in them; see `encode_layers`."""
    tiles = encode_layers(layers, imagery, prediction, levels)
    count = sum(tile.z == done.block.z for tile in tiles[layers[0].name])
    doubt = {
        tile: TileDoubt.of(pixels[..., 0], mask)
        for layer in layers
        if layer.unit == PERCENT_UNIT and layer.pixels is not None
        for tile, pixels, mask in layer.pixels(imagery, prediction).tiles()
    }
    return replace(done, tiles=count, doubt=doubt), tiles


def encode_layers(layers: Iterable[Layer], imagery: BlockImage, prediction: Prediction, levels: int) -> LayerTiles:
    """The tiles of a block in every layer, with the overviews that it holds completely.

    Args:
        imagery: the network input without margin; any image if no layer uses it.
        levels: zooms of overviews, see `geo2map.plan.Storage.levels`.
    """
    found: dict[str, dict[Tile, bytes]] = {}
    for layer in layers:
        assert layer.pixels is not None, "layers of blocks have pixels"
        tiles = {tile: (pixels, mask) for tile, pixels, mask in layer.pixels(imagery, prediction).tiles()}
        found[layer.name] = encode_pyramid(tiles, layer.codec, 0 if layer.is_working else levels)
    return found
