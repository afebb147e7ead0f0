"""Makes the blocks that are waited for: readers, one thread for the model, encoders."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from queue import SimpleQueue
from threading import BoundedSemaphore, Thread

from geo2map.grid.block import BlockImage
from geo2map.live.block_queue import BlockQueue, PendingBlock, Tiles
from geo2map.live.cache import BlockCache
from geo2map.live.keeping import KeptBlocks
from geo2map.live.tally import Tally
from geo2map.pipeline.blocks import BlockDone, digest, encoder_threads, prepare, translate
from geo2map.plan.storage import SOURCE_STORAGE, Storage
from geo2map.plan.value import Plan
from geo2map.protocols import Source, Translator
from geo2map.tiles.pyramid import encode_pyramid

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Read:
    """A block that was read, trimmed to the tiles that will be written."""

    done: BlockDone
    image: BlockImage


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
        self.kept: KeptBlocks | None = None
        self._plan, self._storage, self._translator = plan, storage, translator
        self._cut = plan.untranslated()
        self._queue, self._cache, self._tally = queue, cache, tally
        self._sources: SimpleQueue[Source] = SimpleQueue()
        for source in sources:
            self._sources.put(source)
        encoders = encoder_threads()
        self._encoders = ThreadPoolExecutor(encoders, "encode")
        self._encoding = BoundedSemaphore(2 * encoders)
        works = [*((self._read_all, f"read-{number}") for number in range(len(sources))), (self._draw_all, "draw")]
        self._threads = [Thread(target=work, name=name, daemon=True) for work, name in works]

    def __enter__(self) -> BlockMaker:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the threads; what is at work is waited for, and kept where blocks are kept."""
        self._queue.close()
        for thread in self._threads:
            thread.join()
        self._encoders.shutdown(wait=True)

    @property
    def _batch(self) -> int:
        return self._translator.batch if self._translator else 1

    def _read_all(self) -> None:
        source = self._sources.get()
        while (pending := self._queue.take("queued", "reading", self._may_be_read)) is not None:
            try:
                self._read(pending, source)
            except Exception as error:
                self._fail([pending], error)

    def _may_be_read(self, pending: PendingBlock) -> bool:
        """Not too far ahead of the model: what is read takes memory, and a newer request may come."""
        if pending.key.layer == "source":
            return True
        ahead = self._queue.count("reading", "map") + self._queue.count("ready")
        return ahead < self._batch + 1

    def _read(self, pending: PendingBlock, source: Source) -> None:
        started = time.perf_counter()
        layer, block = pending.key
        plan = self._plan if layer == "map" else self._cut
        image = prepare(plan, source, block.with_margin(plan.margin))
        done = BlockDone(block, plan.block_key(block))
        if image.core().mask.any():
            image = image.trimmed()
            if layer == "source":
                self._resolve(pending, done, self._encode(image.core(), SOURCE_STORAGE))
            else:
                self._queue.move(pending, "ready", _Read(replace(done, inputs=digest(image)), image))
        else:
            self._resolve(pending, done, {})
        self._tally.add("seconds", "read", by=time.perf_counter() - started)

    def _draw_all(self) -> None:
        while (pending := self._queue.take("ready", "making")) is not None:
            shape = pending.payload.image.pixels.shape
            more = self._queue.take_more("ready", "making", partial(_has_shape, shape), self._batch - 1)
            blocks = [pending, *more]
            try:
                self._draw(blocks)
            except Exception as error:
                self._fail(blocks, error)

    def _draw(self, blocks: list[PendingBlock]) -> None:
        started = time.perf_counter()
        images = translate([pending.payload.image for pending in blocks], self._translator, self._plan.noise)
        self._tally.add("seconds", "translate", by=time.perf_counter() - started)
        for pending, image in zip(blocks, images, strict=True):
            self._encoding.acquire()
            self._encoders.submit(self._finish, pending, image)

    def _finish(self, pending: PendingBlock, image: BlockImage) -> None:
        started = time.perf_counter()
        try:
            self._resolve(pending, pending.payload.done, self._encode(image, self._storage))
        except Exception as error:
            self._fail([pending], error)
        finally:
            self._encoding.release()
            self._tally.add("seconds", "encode", by=time.perf_counter() - started)

    def _encode(self, image: BlockImage, storage: Storage) -> Tiles:
        tiles = {tile: (pixels, mask) for tile, pixels, mask in image.tiles()}
        return encode_pyramid(tiles, storage.codec, storage.levels(self._plan))

    def _resolve(self, pending: PendingBlock, done: BlockDone, tiles: Tiles) -> None:
        layer = pending.key.layer
        self._cache.put(pending.key, tiles)  # first, so that the next request finds it
        self._tally.add("blocks", layer, "made" if tiles else "empty")
        self._queue.resolve(pending, tiles)
        if layer == "map" and self.kept is not None:
            count = sum(tile.z == self._plan.maxzoom for tile in tiles)
            self.kept.keep(replace(done, tiles=count), tiles)

    def _fail(self, blocks: Sequence[PendingBlock], error: Exception) -> None:
        for pending in blocks:
            log.error("block %s of %s cannot be made: %s", pending.key.block, self._plan.name, error)
            self._tally.add("blocks", pending.key.layer, "failed")
            self._queue.resolve(pending, None, error)


def _has_shape(shape: tuple[int, ...], pending: PendingBlock) -> bool:
    return bool(pending.payload.image.pixels.shape == shape)
