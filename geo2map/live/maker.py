"""Makes requested blocks: readers, one thread for the model, encoders."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from queue import SimpleQueue
from threading import BoundedSemaphore

from geo2map.live.cache import BlockCache
from geo2map.live.flights import Flight, Flights, Tiles
from geo2map.live.keeping import KeptBlocks
from geo2map.live.tally import Tally
from geo2map.pipeline.blocks import MOST_ENCODERS, BlockDone, encode_image, read_block
from geo2map.plan.storage import SOURCE_STORAGE, Storage
from geo2map.plan.value import Plan
from geo2map.protocols import Prediction, Source, Translator, Untranslated
from geo2map.threads import start_threads

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
        flights: Flights,
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
        self._plan, self._storage, self._translator = plan, storage, translator or Untranslated()
        self._cut = plan.untranslated()
        self._flights, self._cache, self._tally = flights, cache, tally
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
        self._flights.close()
        self._threads.shutdown(wait=True)
        self._encoders.shutdown(wait=True)

    def _read_all(self) -> None:
        source = self._sources.get()
        while (flight := self._flights.take("queued", "reading", self._may_be_read)) is not None:
            try:
                self._read(flight, source)
            except Exception as error:
                self._fail([flight], error)

    def _may_be_read(self, flight: Flight) -> bool:
        """Whether a block may be read: not far ahead of the model, since pixels take memory and newer requests win."""
        if flight.wanted.layer == "source":
            return True
        ahead = self._flights.count("reading", "map") + self._flights.count("ready")
        return ahead < self._translator.batch + 1

    def _read(self, flight: Flight, source: Source) -> None:
        started = time.perf_counter()
        layer, block = flight.wanted
        plan = self._plan if layer == "map" else self._cut
        with self._turns:
            prepared = read_block(plan, source, block)
        if prepared.image is None:
            self._land(flight, prepared.done, {})
        elif layer == "source":
            self._land(flight, prepared.done, encode_image(self._plan, prepared.image.core(), SOURCE_STORAGE))
        else:
            self._flights.move(flight, "ready", prepared)
        self._tally.add("seconds", "read", by=time.perf_counter() - started)

    def _draw_all(self) -> None:
        while (flight := self._flights.take("ready", "making")) is not None:
            shape = flight.cargo.input.shape
            more = self._flights.take_more("ready", "making", partial(_has_shape, shape), self._translator.batch - 1)
            flights = [flight, *more]
            try:
                self._draw(flights)
            except Exception as error:
                self._fail(flights, error)

    def _draw(self, flights: list[Flight]) -> None:
        started = time.perf_counter()
        with self._turns:
            predictions = self._translator.translate([flight.cargo.input for flight in flights])
        self._tally.add("seconds", "translate", by=time.perf_counter() - started)
        for flight, prediction in zip(flights, predictions, strict=True):
            self._encoding.acquire()
            self._encoders.submit(self._finish, flight, prediction)

    def _finish(self, flight: Flight, prediction: Prediction) -> None:
        started = time.perf_counter()
        try:
            with self._turns:
                tiles = encode_image(self._plan, prediction.image, self._storage)
            self._land(flight, flight.cargo.done, tiles)
        except Exception as error:
            self._fail([flight], error)
        finally:
            self._encoding.release()
            self._tally.add("seconds", "encode", by=time.perf_counter() - started)

    def _land(self, flight: Flight, done: BlockDone, tiles: Tiles) -> None:
        layer = flight.wanted.layer
        self._cache.put(flight.wanted, tiles)  # before it lands: whoever asks next finds it
        self._tally.add("blocks", layer, "made" if tiles else "empty")
        self._flights.land(flight, tiles)
        if layer == "map" and self.kept is not None:
            count = sum(tile.z == self._plan.maxzoom for tile in tiles)
            self.kept.keep(replace(done, tiles=count), tiles)

    def _fail(self, flights: Sequence[Flight], error: Exception) -> None:
        for flight in flights:
            log.error("block %s of %s cannot be made: %s", flight.wanted.block, self._plan.name, error)
            self._tally.add("blocks", flight.wanted.layer, "failed")
            self._flights.land(flight, None, error)


def _has_shape(shape: tuple[int, ...], flight: Flight) -> bool:
    return bool(flight.cargo.input.shape == shape)
