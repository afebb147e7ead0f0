"""Makes the blocks that are waited for: readers, one thread for the model, encoders."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from queue import SimpleQueue
from threading import BoundedSemaphore, Thread

from geo2map.grid.block import BlockImage
from geo2map.live.cache import BlockCache
from geo2map.live.flights import Flight, Flights, Tiles
from geo2map.live.keeping import PersistedBlocks
from geo2map.live.tally import Tally
from geo2map.pipeline.blocks import BlockDone, digest, encode_layers, encoder_threads, prepare, translate
from geo2map.plan.storage import Storage
from geo2map.plan.value import Plan
from geo2map.protocols import Prediction, Source, Translator
from geo2map.tiles.layer import MAP, Layer, imagery_layer

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
        self.kept: PersistedBlocks | None = None
        self._plan, self._storage, self._translator = plan, storage, translator
        self._cut, self._layers = plan.untranslated(), storage.tile_layers
        self._flights, self._cache, self._tally = flights, cache, tally
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
        self._flights.close()
        for thread in self._threads:
            thread.join()
        self._encoders.shutdown(wait=True)

    @property
    def _batch(self) -> int:
        return self._translator.batch if self._translator else 1

    def _read_all(self) -> None:
        source = self._sources.get()
        while (flight := self._flights.take("queued", "reading", self._may_be_read)) is not None:
            try:
                self._read(flight, source)
            except Exception as error:
                self._fail([flight], error)

    def _may_be_read(self, flight: Flight) -> bool:
        """Not too far ahead of the model: what is read takes memory, and a newer request may come."""
        if flight.wanted.work == "source":
            return True
        ahead = self._flights.count("reading", "map") + self._flights.count("ready")
        return ahead < self._batch + 1

    def _read(self, flight: Flight, source: Source) -> None:
        started = time.perf_counter()
        work, block = flight.wanted
        plan = self._plan if work == "map" else self._cut
        image = prepare(plan, source, block.with_margin(plan.margin))
        done = BlockDone(block, plan.block_key(block))
        if image.core().mask.any():
            image = image.trimmed()
            if work == "source":
                imagery = image.core()
                self._land(flight, done, self._encode([imagery_layer(None)], imagery, Prediction(imagery)))
            else:
                self._flights.move(flight, "ready", _Read(replace(done, inputs=digest(image)), image))
        else:
            self._land(flight, done, {})
        self._tally.add("seconds", "read", by=time.perf_counter() - started)

    def _draw_all(self) -> None:
        while (flight := self._flights.take("ready", "making")) is not None:
            shape = flight.cargo.image.pixels.shape
            more = self._flights.take_more("ready", "making", partial(_has_shape, shape), self._batch - 1)
            flights = [flight, *more]
            try:
                self._draw(flights)
            except Exception as error:
                self._fail(flights, error)

    def _draw(self, flights: list[Flight]) -> None:
        started = time.perf_counter()
        images = translate([flight.cargo.image for flight in flights], self._translator, self._plan.noise)
        self._tally.add("seconds", "translate", by=time.perf_counter() - started)
        for flight, image in zip(flights, images, strict=True):
            self._encoding.acquire()
            self._encoders.submit(self._finish, flight, image)

    def _finish(self, flight: Flight, image: BlockImage) -> None:
        started = time.perf_counter()
        try:
            self._land(
                flight, flight.cargo.done, self._encode(self._layers, flight.cargo.image.core(), Prediction(image))
            )
        except Exception as error:
            self._fail([flight], error)
        finally:
            self._encoding.release()
            self._tally.add("seconds", "encode", by=time.perf_counter() - started)

    def _encode(self, layers: Iterable[Layer], imagery: BlockImage, prediction: Prediction) -> Tiles:
        return encode_layers(layers, imagery, prediction, self._storage.levels(self._plan))

    def _land(self, flight: Flight, done: BlockDone, tiles: Tiles) -> None:
        work = flight.wanted.work
        self._cache.put(flight.wanted, tiles)  # before it lands: whoever asks next finds it
        self._tally.add("blocks", work, "made" if tiles else "empty")
        self._flights.land(flight, tiles)
        if work == "map" and self.kept is not None:
            count = sum(tile.z == self._plan.maxzoom for tile in tiles.get(MAP, ()))
            self.kept.keep(replace(done, tiles=count), tiles)

    def _fail(self, flights: Sequence[Flight], error: Exception) -> None:
        for flight in flights:
            log.error("block %s of %s cannot be made: %s", flight.wanted.block, self._plan.name, error)
            self._tally.add("blocks", flight.wanted.work, "failed")
            self._flights.land(flight, None, error)


def _has_shape(shape: tuple[int, ...], flight: Flight) -> bool:
    return bool(flight.cargo.image.pixels.shape == shape)
