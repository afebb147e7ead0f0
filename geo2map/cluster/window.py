"""Tasks on a Dask cluster, a few at a time: lost tasks are submitted again, workers that fail are excluded."""

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
"""Times that a shard is submitted again after its worker died."""
PER_WORKER = 2
"""Tasks a worker: one running, one waiting."""
COUNT_EVERY = 2.0
"""Seconds between two counts of the workers."""
PATIENCE = 120.0
"""Seconds for which a cluster may lack workers, or not answer."""
LOST = "scheduler-connection-lost"
"""Dask's reason for tasks whose scheduler went away."""


@dataclass
class WorkerState:
    """What a Dask worker keeps from task to task; it ends with the worker.

    Attributes:
        turn: held by the task at work, since an engine is for one thread.
        engines: the engine in use.
        job_files: the latest job file, by its folder of parts and its fingerprint.
    """

    turn: Lock = field(default_factory=Lock)
    engines: JobEngine = field(default_factory=JobEngine)
    job_files: dict[tuple[Path, str], JobFile] = field(default_factory=dict)

    @classmethod
    def here(cls) -> WorkerState:
        """That of the worker which runs the current task."""
        from distributed import get_worker

        state: WorkerState = vars(get_worker()).setdefault("geo2map", cls())
        return state


@dataclass(frozen=True)
class Outcome:
    """Result of a task: a record, or the reason why its worker can run none."""

    record: ShardRecord | None
    worker: str
    refusal: str = ""


Work = Callable[[Shard], ShardRecord]
"""Renders a shard on a worker; picklable."""


def run_task(work: Work, shard: Shard) -> Outcome:
    """Runs on a worker, one shard at a time whatever its number of threads.

    A model or a device that fails is the worker's fault, not the shard's."""
    from distributed import get_worker

    worker = get_worker()
    with WorkerState.here().turn:
        try:
            return Outcome(work(shard), worker.address)
        except (DeviceError, ModelFileError) as error:
            return Outcome(None, worker.address, str(error))


@dataclass
class InFlightTasks:
    """Tasks in flight: at most `PER_WORKER` a worker, for any number of shards.

    Attributes:
        client: of the cluster.
        work: renders a shard.
        deaths: how often a shard was submitted again.
        excluded: workers that failed, and their errors.
    """

    client: Client
    work: Work
    deaths: dict[Shard, int] = field(default_factory=dict)
    excluded: dict[str, str] = field(default_factory=dict)
    _in_flight: dict[Any, Shard] = field(default_factory=dict)
    _counted: float = 0.0
    _workers: int = 0

    def run(self, shards: Iterator[Shard]) -> Iterator[ShardRecord]:
        """Submits shards and yields their records as they arrive; memory does not grow with their number."""
        from distributed import as_completed

        completed = as_completed(loop=self.client.loop)
        try:
            self._fill(shards, completed)
            while self._in_flight:
                future = next(completed)
                shard = self._in_flight.pop(future)
                if (record := self._take(future, shard, completed)) is not None:
                    yield record
                self._fill(shards, completed)
        except BaseException:
            if getattr(self.client, "status", "running") == "running":
                self.client.cancel(list(self._in_flight), force=True)
            raise

    def _fill(self, shards: Iterator[Shard], completed: Any) -> None:
        """Submits as many shards as the workers have room for."""
        free = PER_WORKER * self._count_workers() - len(self._in_flight)
        for shard in islice(shards, max(0, free)):
            self._submit(shard, completed)

    def _submit(self, shard: Shard, completed: Any) -> None:
        # not pure: the name of a task that failed would be remembered, and with it the failure
        future = self.client.submit(run_task, self.work, shard, pure=False, retries=0)
        self._in_flight[future] = shard
        completed.add(future)

    def _take(self, future: Any, shard: Shard, completed: Any) -> ShardRecord | None:
        """The record of a finished task; None where its shard was submitted again."""
        from distributed import CancelledError, KilledWorker
        from distributed.comm.core import CommClosedError

        try:
            outcome: Outcome = future.result()
        except CommClosedError:  # the task was done, but its scheduler gone before the result was fetched
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
                    f"shard {shard.name} has lost {self.deaths[shard]} workers, most likely out of memory: check their "
                    "logs, then run again"
                ) from error
            log.warning("shard %s lost its worker: submitted again", shard.name)
            self._submit(shard, completed)
            return None
        finally:
            future.release()
        if outcome.record is not None:
            return outcome.record
        self._exclude(outcome)
        self._submit(shard, completed)
        return None

    def _await_scheduler(self) -> None:
        """Waits until the client is connected to its scheduler again, which has lost the tasks in flight.

        Raises:
            OutputError: it is not, within Dask's timeout (`distributed.comm.timeouts.connect`).
        """
        while self.client.status == "connecting":
            time.sleep(0.1)
        if self.client.status != "running":
            raise OutputError("lost the Dask scheduler: start it and its workers, then run the same command again")
        self._workers = 0

    def _exclude(self, outcome: Outcome) -> None:
        """Retires a worker that fails; its tasks go to the others.

        Raises:
            DeviceError: none is left.
        """
        if outcome.worker not in self.excluded:
            log.warning("excluding worker %s: %s", outcome.worker, outcome.refusal)
            self.excluded[outcome.worker] = outcome.refusal
            self.client.retire_workers([outcome.worker], close_workers=True)
        self._counted = 0.0
        if self._count_workers() == 0:
            raise DeviceError(f"no worker is left; the last one failed with: {outcome.refusal}")

    def _count_workers(self) -> int:
        """Workers that accept tasks; counted every few seconds only.

        Raises:
            OutputError: the scheduler does not answer.
        """
        end = time.monotonic() + PATIENCE
        while not self._workers or time.monotonic() - self._counted > COUNT_EVERY:
            try:
                if not self._workers:
                    self.client.wait_for_workers(1, timeout=PATIENCE)
                present = set(self.client.nthreads()) - set(self.excluded)
                self._workers, self._counted = len(present), time.monotonic()
                break
            except OSError as error:  # a TimeoutError is one
                self._await_scheduler()
                if time.monotonic() > end:
                    raise OutputError(
                        "the Dask cluster does not answer or has no workers: start them, then run again"
                    ) from error
                time.sleep(0.1)
        return self._workers
