"""Tasks on a Dask cluster, a few at a time: what is lost is given out again, workers that cannot work are sent home."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from geo2map.cluster.engines import JobEngine
from geo2map.cluster.jobfile import JobFile
from geo2map.cluster.parts import ShardRecord
from geo2map.errors import DeviceError, ModelFileError, OutputError
from geo2map.plan import Shard

if TYPE_CHECKING:
    from distributed import Client

log = logging.getLogger(__name__)

MOST_DEATHS = 3
"""Times that a shard is given out again after its worker died."""
WINDOW = 2
"""Tasks a worker: one at work, one waiting."""
LOOK_EVERY = 2.0
"""Seconds between two looks at how many workers there are."""
PATIENCE = 120.0
"""Seconds that a cluster may be without a worker, or may not answer."""
LOST = "scheduler-connection-lost"
"""What Dask says of tasks whose scheduler went away."""


@dataclass
class WorkerState:
    """What a Dask worker keeps from task to task; it ends with the worker.

    Attributes:
        turn: held by the task at work, since an engine is for one thread.
        engines: the engine in use.
        orders: the latest job file, by its folder of parts and its fingerprint.
    """

    turn: Lock = field(default_factory=Lock)
    engines: JobEngine = field(default_factory=JobEngine)
    orders: dict[tuple[Path, str], JobFile] = field(default_factory=dict)

    @classmethod
    def here(cls) -> WorkerState:
        """That of the worker which runs the current task."""
        from distributed import get_worker

        state: WorkerState = vars(get_worker()).setdefault("geo2map", cls())
        return state


@dataclass(frozen=True)
class Outcome:
    """What a task says: a record, or why its worker cannot do any."""

    record: ShardRecord | None
    worker: str
    refusal: str = ""


Work = Callable[[Shard], ShardRecord]
"""What a task does with a shard; picklable."""


def run_task(work: Work, shard: Shard) -> Outcome:
    """Does the work on a worker, one shard at a time however many threads it has.

    A model or a device that fails is the worker's fault, not the shard's."""
    from distributed import get_worker

    worker = get_worker()
    with WorkerState.here().turn:
        try:
            return Outcome(work(shard), worker.address)
        except (DeviceError, ModelFileError) as error:
            return Outcome(None, worker.address, str(error))


@dataclass
class Window:
    """Tasks under way: never more than `WINDOW` a worker, however many shards there are.

    Attributes:
        client: of the cluster.
        work: what is done with a shard.
        deaths: how often a shard was given out again.
        refused: workers that were sent home, and what they said.
    """

    client: Client
    work: Work
    deaths: dict[Shard, int] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    _under_way: dict[Any, Shard] = field(default_factory=dict)
    _looked: float = 0.0
    _workers: int = 0

    def run(self, shards: Iterator[Shard]) -> Iterator[ShardRecord]:
        """Hands shards out and yields their records as they come; memory does not grow with their number."""
        from distributed import as_completed

        completed = as_completed(loop=self.client.loop)
        try:
            self._fill(shards, completed)
            while self._under_way:
                future = next(completed)
                shard = self._under_way.pop(future)
                if (record := self._take(future, shard, completed)) is not None:
                    yield record
                self._fill(shards, completed)
        except BaseException:
            if getattr(self.client, "status", "running") == "running":
                self.client.cancel(list(self._under_way), force=True)
            raise

    def _fill(self, shards: Iterator[Shard], completed: Any) -> None:
        """Gives out as many shards as the workers there are want."""
        free = WINDOW * self._count_workers() - len(self._under_way)
        for shard in islice(shards, max(0, free)):
            self._submit(shard, completed)

    def _submit(self, shard: Shard, completed: Any) -> None:
        # not pure: the name of a task that failed would be remembered, and with it the failure
        future = self.client.submit(run_task, self.work, shard, pure=False, retries=0)
        self._under_way[future] = shard
        completed.add(future)

    def _take(self, future: Any, shard: Shard, completed: Any) -> ShardRecord | None:
        """The record of a task that ended; None where its shard was given out again."""
        from distributed import CancelledError, KilledWorker
        from distributed.comm.core import CommClosedError

        try:
            outcome: Outcome = future.result()
        except CommClosedError:  # the task was done, and its scheduler gone before it was asked
            self._await_scheduler()
            self._submit(shard, completed)
            return None
        except (KilledWorker, CancelledError) as error:
            if getattr(error, "reason", "") == LOST:
                self._await_scheduler()
                self._submit(shard, completed)
                return None
            self.deaths[shard] = self.deaths.get(shard, 0) + 1
            if self.deaths[shard] > MOST_DEATHS:
                raise OutputError(
                    f"shard {shard.name} has lost {self.deaths[shard]} workers: look into their logs, most likely they "
                    "ran out of memory; then run again"
                ) from error
            log.warning("shard %s lost its worker: given out again", shard.name)
            self._submit(shard, completed)
            return None
        finally:
            future.release()
        if outcome.record is not None:
            return outcome.record
        self._send_home(outcome)
        self._submit(shard, completed)
        return None

    def _await_scheduler(self) -> None:
        """Waits until the client has found its scheduler again, which knows nothing of what was under way.

        Raises:
            OutputError: it has not, in the time that Dask gives it (`distributed.comm.timeouts.connect`).
        """
        while self.client.status == "connecting":
            time.sleep(0.1)
        if self.client.status != "running":
            raise OutputError("the Dask scheduler is gone: start it and its workers, then run the same command again")
        self._workers = 0

    def _send_home(self, outcome: Outcome) -> None:
        """Retires a worker that cannot work, whose tasks go to the others.

        Raises:
            DeviceError: none is left.
        """
        if outcome.worker not in self.refused:
            log.warning("worker %s is sent home: %s", outcome.worker, outcome.refusal)
            self.refused[outcome.worker] = outcome.refusal
            self.client.retire_workers([outcome.worker], close_workers=True)
        self._looked = 0.0
        if self._count_workers() == 0:
            raise DeviceError(f"no worker is left; the last one said: {outcome.refusal}")

    def _count_workers(self) -> int:
        """Workers that may be given something; asked every few seconds only.

        Raises:
            OutputError: the scheduler does not answer.
        """
        end = time.monotonic() + PATIENCE
        while not self._workers or time.monotonic() - self._looked > LOOK_EVERY:
            try:
                if not self._workers:
                    self.client.wait_for_workers(1, timeout=PATIENCE)
                there = set(self.client.nthreads()) - set(self.refused)
                self._workers, self._looked = len(there), time.monotonic()
                break
            except OSError as error:  # a TimeoutError is one
                self._await_scheduler()
                if time.monotonic() > end:
                    raise OutputError(
                        "the Dask cluster does not answer, or has no worker: start them, run again"
                    ) from error
                time.sleep(0.1)
        return self._workers
