"""Makes requested blocks: readers, one thread for the model, encoders."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from functools import partial
from queue import SimpleQueue
from threading import BoundedSemaphore

from geo2map.live.block_queue import BlockQueue, PendingBlock, Tiles
from geo2map.live.cache import BlockCache
from geo2map.live.keeping import PersistedBlocks
from geo2map.live.tally import Tally
from geo2map.pipeline.blocks import MOST_ENCODERS, encode_block, encode_layers
from geo2map.pipeline.reading import BlockDone, read_block
from geo2map.plan.storage import Storage
from geo2map.plan.value import Plan
from geo2map.protocols import Prediction, Source, Translator, Untranslated
from geo2map.threads import start_threads
from geo2map.tiles.layer import viewed_layers

log = logging.getLogger(__name__)


class BlockMaker:
    """The threads that make blocks. A context manager that starts and ends them.

    Each reader has a source of its own, since GDAL's handles must not be shared. One thread alone calls the model.
    """

    def __init__(
        self,
        plan: Plan,
        storage: Storage,
        sources: Sequence[Source],
        translator: Translator | None,
        queue: BlockQueue,
        cache: BlockCache,
        tally: Tally,
    ) -> None:
        """
        Args:
            storage: of the map's tiles, resolved.
            sources: one for each reader.
            translator: None makes maps of the source's own pixels.
            cache: gets what is made.
        """
        self.kept: PersistedBlocks | None = None
        self._plan, self._storage, self._translator = plan, storage, translator or Untranslated()
        self._cut, self._layers, self._levels = plan.untranslated(), storage.tile_layers, storage.levels(plan)
        self._imagery = [layer for layer in viewed_layers(self._layers).values() if layer.is_imagery]
        self._queue, self._cache, self._tally = queue, cache, tally
        self._sources: SimpleQueue[Source] = SimpleQueue()
        for source in sources:
            self._sources.put(source)
        budget, self._readers = self._translator.budget, len(sources)
        self._turns, encoders = budget.turns(), budget.share(MOST_ENCODERS)
        self._encoders = start_threads(encoders, "encode")
        self._encoding = BoundedSemaphore(2 * encoders)
        self._threads = start_threads(self._readers + 1, "make")

    def __enter__(self) -> BlockMaker:
        for work in (*[self._read_all] * self._readers, self._draw_all):
            self._threads.submit(work)
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the threads after the blocks in hand."""
        self._queue.close()
        self._threads.shutdown(wait=True)
        self._encoders.shutdown(wait=True)

    def _read_all(self) -> None:
        source = self._sources.get()
        while (pending := self._queue.take("queued", "reading", self._may_be_read)) is not None:
            try:
                self._read(pending, source)
            except Exception as error:
                self._fail([pending], error)

    def _may_be_read(self, pending: PendingBlock) -> bool:
        """Whether a block may be read: not far ahead of the model, since pixels take memory and newer requests win."""
        if pending.key.work == "imagery":
            return True
        ahead = self._queue.count("reading", "map") + self._queue.count("ready")
        return ahead < self._translator.batch + 1

    def _read(self, pending: PendingBlock, source: Source) -> None:
        started = time.perf_counter()
        work, block = pending.key
        plan = self._plan if work == "map" else self._cut
        with self._turns:
            prepared = read_block(plan, source, block)
        if prepared.image is None:
            self._resolve(pending, prepared.done, {})
        elif work == "imagery":
            imagery = prepared.image.core()
            tiles = encode_layers(self._imagery, imagery, Prediction(imagery), self._levels)
            self._resolve(pending, prepared.done, tiles)
        else:
            self._queue.move(pending, "ready", prepared)
        self._tally.add("seconds", "read", by=time.perf_counter() - started)

    def _draw_all(self) -> None:
        while (pending := self._queue.take("ready", "making")) is not None:
            shape = pending.payload.input.shape
            more = self._queue.take_more("ready", "making", partial(_has_shape, shape), self._translator.batch - 1)
            blocks = [pending, *more]
            try:
                self._draw(blocks)
            except Exception as error:
                self._fail(blocks, error)

    def _draw(self, blocks: list[PendingBlock]) -> None:
        started = time.perf_counter()
        with self._turns:
            inputs = [pending.payload.input for pending in blocks]
            predictions = self._translator.translate(inputs, score_kinds=self._storage.score_kinds)
        self._tally.add("seconds", "translate", by=time.perf_counter() - started)
        for pending, prediction in zip(blocks, predictions, strict=True):
            self._encoding.acquire()
            self._encoders.submit(self._finish, pending, prediction)

    def _finish(self, pending: PendingBlock, prediction: Prediction) -> None:
        started = time.perf_counter()
        try:
            with self._turns:
                imagery = pending.payload.image.core()
                rendered = encode_block(pending.payload.done, self._layers, imagery, prediction, self._levels)
            self._resolve(pending, *rendered)
        except Exception as error:
            self._fail([pending], error)
        finally:
            self._encoding.release()
            self._tally.add("seconds", "encode", by=time.perf_counter() - started)

    def _resolve(self, pending: PendingBlock, done: BlockDone, tiles: Tiles) -> None:
        work = pending.key.work
        self._cache.put(pending.key, tiles)  # first, so that the next request finds it
        self._tally.add("blocks", work, "made" if tiles else "empty")
        self._queue.resolve(pending, tiles)
        if work == "map" and self.kept is not None:
            self.kept.keep(done, tiles)

    def _fail(self, blocks: Sequence[PendingBlock], error: Exception) -> None:
        for pending in blocks:
            log.error("block %s of %s cannot be made: %s", pending.key.block, self._plan.name, error)
            self._tally.add("blocks", pending.key.work, "failed")
            self._queue.resolve(pending, None, error)


def _has_shape(shape: tuple[int, ...], pending: PendingBlock) -> bool:
    return bool(pending.payload.input.shape == shape)
