"""Blocks that clients wait for: one entry a block for any number of requests; the newest goes first.

A block goes through four stages: "queued", "reading", "ready" (read, waiting for the model), "making". Each waiting
client holds a future; cancelling it is leaving. A block that all clients have left is dropped while it waits; one that
the model is working on is finished and cached.
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

BlockWork = Literal["map", "imagery"]
"""Rendered for a block: every layer of the output, or the imagery alone, which needs no model."""
QueueStage = Literal["queued", "reading", "ready", "making"]
Tiles = LayerTiles
LONGEST_WAIT = 30
"""Most seconds that a client is told to wait."""


class QueuedBlock(NamedTuple):
    """A block, and what is rendered for it."""

    work: BlockWork
    block: Block


@dataclass(eq=False)
class PendingBlock:
    """A block that clients wait for.

    Attributes:
        key: block and work.
        request: number of the newest request for it; later ones have larger numbers.
        stage: of its rendering.
        payload: a stage's result, input of the next.
        waiters: a future for each client.
    """

    key: QueuedBlock
    request: int = 0
    stage: QueueStage = "queued"
    payload: Any = None
    waiters: list[Future[Tiles]] = field(default_factory=list)


class BlockQueue:
    """All pending blocks. Thread-safe; independent of pixels, files and HTTP."""

    def __init__(self, capacity: int, tally: Tally, stored: Callable[[QueuedBlock], Tiles | None]) -> None:
        """
        Args:
            capacity: blocks that may be queued.
            tally: counts blocks and clients.
            stored: the cached tiles of a block, None where there are none; quick.
        """
        self._capacity, self._tally, self._stored = capacity, tally, stored
        self._pending: dict[QueuedBlock, PendingBlock] = {}
        self._changed, self._numbers, self._closed = Condition(), count(), False

    def ask(self, wanted: Sequence[QueuedBlock]) -> list[Future[Tiles]]:
        """Requests blocks, all or none of them.

        Returns:
            A future for each; cancelling it is leaving.

        Raises:
            BusyError: the queue has no room for the blocks that are not pending yet.
        """
        with self._changed:
            if self._closed:
                raise BusyError("the server is stopping: try again later", LONGEST_WAIT)
            cached = {one: tiles for one in wanted if (tiles := self._stored(one)) is not None}
            if len(cached) == len(wanted):  # no thread is woken for cached blocks: that costs more than the answer
                return [_resolved(cached[one]) for one in wanted]
            fresh = [one for one in wanted if one not in cached and one not in self._pending]
            if fresh and self.count("queued") + len(fresh) > self._capacity:
                self._tally.add("clients", "refused")
                raise BusyError(
                    f"{self.count('queued')} blocks are queued already: try again in a moment", self._patience()
                )
            asked = [_resolved(cached[one]) if one in cached else self._join(one) for one in wanted]
            self._changed.notify_all()
            return asked

    def take(
        self, stage: QueueStage, onward: QueueStage, suits: Callable[[PendingBlock], bool] = lambda _: True
    ) -> PendingBlock | None:
        """Waits for a block in a stage and moves the newest onward; None when the queue is closed.

        Args:
            suits: whether a block may go now; may call `count`.
        """
        with self._changed:
            while not self._closed:
                if (newest := self._newest(stage, suits)) is not None:
                    newest.stage = onward
                    self._changed.notify_all()
                    return newest
                self._changed.wait()
            return None

    def take_more(
        self, stage: QueueStage, onward: QueueStage, suits: Callable[[PendingBlock], bool], most: int
    ) -> list[PendingBlock]:
        """Takes up to `most` blocks that are in the stage now; does not wait."""
        taken: list[PendingBlock] = []
        with self._changed:
            while len(taken) < most and (newest := self._newest(stage, suits)) is not None:
                newest.stage = onward
                taken.append(newest)
            self._changed.notify_all()
        return taken

    def move(self, pending: PendingBlock, stage: QueueStage, payload: object) -> None:
        """Hands a block to the next stage; one without waiting clients is dropped."""
        with self._changed:
            pending.stage, pending.payload = stage, payload
            self._drop_if_empty(pending)
            self._changed.notify_all()

    def resolve(self, pending: PendingBlock, tiles: Tiles | None, error: Exception | None = None) -> None:
        """Gives the tiles, or the error, to all clients that wait for a block."""
        with self._changed:
            if self._pending.get(pending.key) is pending:
                del self._pending[pending.key]
            waiters, pending.waiters = pending.waiters, []
            self._changed.notify_all()
        for waiter in waiters:
            if not waiter.set_running_or_notify_cancel():  # its client left
                continue
            if error is not None:
                waiter.set_exception(error)
            else:
                waiter.set_result(tiles or {})

    def count(self, stage: QueueStage, work: BlockWork | None = None) -> int:
        """Blocks in a stage, of a layer or of all."""
        with self._changed:
            return sum(
                pending.stage == stage and work in (None, pending.key.work) for pending in self._pending.values()
            )

    @property
    def waiting(self) -> int:
        """Waiting clients."""
        with self._changed:
            return sum(len(pending.waiters) for pending in self._pending.values())

    def close(self) -> None:
        """Ends `take`; waiting clients get an error."""
        with self._changed:
            self._closed = True
            left = list(self._pending.values())
            self._changed.notify_all()
        for pending in left:
            self.resolve(pending, None, BusyError("the server is stopping: try again later", LONGEST_WAIT))

    def _join(self, wanted: QueuedBlock) -> Future[Tiles]:
        pending = self._pending.setdefault(wanted, PendingBlock(wanted))
        pending.request = next(self._numbers)
        waiter: Future[Tiles] = Future()
        pending.waiters.append(waiter)
        waiter.add_done_callback(partial(self._leave, pending))
        return waiter

    def _leave(self, pending: PendingBlock, waiter: Future[Tiles]) -> None:
        if not waiter.cancelled():
            return
        with self._changed:
            if waiter in pending.waiters:
                pending.waiters.remove(waiter)
                self._tally.add("clients", "left")
                self._drop_if_empty(pending)
                self._changed.notify_all()

    def _drop_if_empty(self, pending: PendingBlock) -> None:
        if pending.waiters or pending.stage not in ("queued", "ready"):
            return
        if self._pending.get(pending.key) is pending:
            del self._pending[pending.key]
            self._tally.add("blocks", pending.key.work, "dropped")

    def _newest(self, stage: QueueStage, suits: Callable[[PendingBlock], bool]) -> PendingBlock | None:
        found = (pending for pending in self._pending.values() if pending.stage == stage and suits(pending))
        return max(found, key=lambda pending: pending.request, default=None)

    def _patience(self) -> int:
        """Seconds until half of the queue should be done, by what blocks took so far."""
        done = self._tally.get("blocks", "map", "made") or 1.0
        spent = max(sum(self._tally.sums("seconds").values()) / done, 0.5)
        return min(LONGEST_WAIT, max(1, ceil(spent * self._capacity / 2)))


def _resolved(tiles: Tiles) -> Future[Tiles]:
    future: Future[Tiles] = Future()
    future.set_result(tiles)
    return future
