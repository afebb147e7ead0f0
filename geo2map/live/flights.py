"""Blocks that somebody waits for: one flight a block, however many ask; the newest goes first.

A flight goes through four stages: "queued", "reading", "ready" (read, waiting for the model), "making". A client that
waits has a future of its own; cancelling that is how it leaves. A flight that all have left is dropped where it waits;
one whose model is at work is made to its end, and kept for the next who asks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from math import ceil
from threading import Condition
from typing import Any, Literal, NamedTuple

from geo2map.errors import BusyError
from geo2map.grid.block import Block
from geo2map.live.tally import Tally
from geo2map.pipeline.blocks import LayerTiles

Work = Literal["map", "source"]
"""What is made of a block: every layer of the map, or the imagery alone, which needs no model."""
Stage = Literal["queued", "reading", "ready", "making"]
Tiles = LayerTiles
LONGEST_WAIT = 30
"""Seconds that a client is told to wait at most."""


class Wanted(NamedTuple):
    """A block, and what is to be made of it."""

    work: Work
    block: Block


@dataclass(eq=False)
class Flight:
    """A block on its way to those who wait for it.

    Attributes:
        wanted: which block.
        asked: number of the newest request for it; later ones have larger numbers.
        stage: how far it is.
        cargo: what a stage left for the next.
        waiters: a future for each that waits.
    """

    wanted: Wanted
    asked: int = 0
    stage: Stage = "queued"
    cargo: Any = None
    waiters: list[Future[Tiles]] = field(default_factory=list)


class Flights:
    """All flights. Thread-safe; knows neither pixels nor files nor HTTP."""

    def __init__(self, capacity: int, tally: Tally, stored: Callable[[Wanted], Tiles | None]) -> None:
        """
        Args:
            capacity: blocks that may be queued.
            tally: told what becomes of blocks and clients.
            stored: the tiles of a block that is done, None where it is not; quick.
        """
        self._capacity, self._tally, self._stored = capacity, tally, stored
        self._flights: dict[Wanted, Flight] = {}
        self._changed, self._numbers, self._closed = Condition(), count(), False

    def ask(self, wanted: Sequence[Wanted]) -> list[Future[Tiles]]:
        """Asks for blocks, all or none of them.

        Returns:
            A future for each, the caller's own: cancelling it says that the caller left.

        Raises:
            BusyError: the queue has no room for those that nobody has asked for yet.
        """
        with self._changed:
            if self._closed:
                raise BusyError("the server is stopping: ask again later", LONGEST_WAIT)
            known = {one: tiles for one in wanted if (tiles := self._stored(one)) is not None}
            if len(known) == len(wanted):  # nobody is woken for what is there: that costs more than the answer
                return [_landed(known[one]) for one in wanted]
            fresh = [one for one in wanted if one not in known and one not in self._flights]
            if fresh and self.count("queued") + len(fresh) > self._capacity:
                self._tally.add("clients", "refused")
                raise BusyError(
                    f"{self.count('queued')} blocks wait to be drawn already: ask again in a moment", self._patience()
                )
            asked = [_landed(known[one]) if one in known else self._join(one) for one in wanted]
            self._changed.notify_all()
            return asked

    def take(self, stage: Stage, onward: Stage, suits: Callable[[Flight], bool] = lambda _: True) -> Flight | None:
        """Waits for a flight in a stage and moves the newest onward; None when all is over.

        Args:
            suits: whether a flight may go now; may call `count`.
        """
        with self._changed:
            while not self._closed:
                if (newest := self._newest(stage, suits)) is not None:
                    newest.stage = onward
                    self._changed.notify_all()
                    return newest
                self._changed.wait()
            return None

    def take_more(self, stage: Stage, onward: Stage, suits: Callable[[Flight], bool], most: int) -> list[Flight]:
        """As `take`, of those that are there now, at most so many; does not wait."""
        taken: list[Flight] = []
        with self._changed:
            while len(taken) < most and (newest := self._newest(stage, suits)) is not None:
                newest.stage = onward
                taken.append(newest)
            self._changed.notify_all()
        return taken

    def move(self, flight: Flight, stage: Stage, cargo: object) -> None:
        """Puts a flight where the next stage finds it; one that nobody waits for any more is dropped."""
        with self._changed:
            flight.stage, flight.cargo = stage, cargo
            self._drop_if_empty(flight)
            self._changed.notify_all()

    def land(self, flight: Flight, tiles: Tiles | None, error: Exception | None = None) -> None:
        """Ends a flight: its tiles, or why there are none, go to all that wait."""
        with self._changed:
            if self._flights.get(flight.wanted) is flight:
                del self._flights[flight.wanted]
            waiters, flight.waiters = flight.waiters, []
            self._changed.notify_all()
        for waiter in waiters:
            if not waiter.set_running_or_notify_cancel():  # it left meanwhile
                continue
            if error is not None:
                waiter.set_exception(error)
            else:
                waiter.set_result(tiles or {})

    def count(self, stage: Stage, work: Work | None = None) -> int:
        """Flights in a stage, of one kind of work or of all."""
        with self._changed:
            return sum(
                flight.stage == stage and work in (None, flight.wanted.work) for flight in self._flights.values()
            )

    @property
    def waiting(self) -> int:
        """Clients that wait."""
        with self._changed:
            return sum(len(flight.waiters) for flight in self._flights.values())

    def close(self) -> None:
        """Ends `take`, and whoever waits is told so."""
        with self._changed:
            self._closed = True
            left = list(self._flights.values())
            self._changed.notify_all()
        for flight in left:
            self.land(flight, None, BusyError("the server is stopping: ask again later", LONGEST_WAIT))

    def _join(self, wanted: Wanted) -> Future[Tiles]:
        flight = self._flights.setdefault(wanted, Flight(wanted))
        flight.asked = next(self._numbers)
        waiter: Future[Tiles] = Future()
        flight.waiters.append(waiter)
        waiter.add_done_callback(partial(self._leave, flight))
        return waiter

    def _leave(self, flight: Flight, waiter: Future[Tiles]) -> None:
        if not waiter.cancelled():
            return
        with self._changed:
            if waiter in flight.waiters:
                flight.waiters.remove(waiter)
                self._tally.add("clients", "left")
                self._drop_if_empty(flight)
                self._changed.notify_all()

    def _drop_if_empty(self, flight: Flight) -> None:
        if flight.waiters or flight.stage not in ("queued", "ready"):
            return
        if self._flights.get(flight.wanted) is flight:
            del self._flights[flight.wanted]
            self._tally.add("blocks", flight.wanted.work, "dropped")

    def _newest(self, stage: Stage, suits: Callable[[Flight], bool]) -> Flight | None:
        found = (flight for flight in self._flights.values() if flight.stage == stage and suits(flight))
        return max(found, key=lambda flight: flight.asked, default=None)

    def _patience(self) -> int:
        """Seconds until half of the queue should be done, by what blocks took so far."""
        done = self._tally.get("blocks", "map", "made") or 1.0
        spent = max(sum(self._tally.sums("seconds").values()) / done, 0.5)
        return min(LONGEST_WAIT, max(1, ceil(spent * self._capacity / 2)))


def _landed(tiles: Tiles) -> Future[Tiles]:
    future: Future[Tiles] = Future()
    future.set_result(tiles)
    return future
