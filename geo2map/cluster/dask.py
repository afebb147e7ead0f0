"""Shards on a Dask cluster: a window of tasks, records instead of results, workers that fail sent home.

The scheduler is believed nothing: what counts are the records in the folder of parts. A driver that is started again
goes on from them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from geo2map.api.options import RenderOptions
from geo2map.api.rendering import PathLike, Scenes
from geo2map.cluster.jobfile import JobFile
from geo2map.cluster.local import local_cluster
from geo2map.cluster.merge import merge_parts
from geo2map.cluster.parts import LOCK_NAME, PartFolder, ShardRecord
from geo2map.cluster.planning import plan_job
from geo2map.cluster.work import render_shard
from geo2map.errors import DeviceError, ModelFileError, OutputError, PlanError
from geo2map.files.atomic import hidden_sibling, output_errors
from geo2map.model import ModelOptions
from geo2map.outputs import check_output
from geo2map.pipeline.report import Report
from geo2map.plan import Shard
from geo2map.protocols import Progress

if TYPE_CHECKING:
    from distributed import Client

log = logging.getLogger(__name__)

MOST_DEATHS = 3
"""Times that a shard is given out again after its worker died."""
WINDOW = 2
"""Tasks a worker: one at work, one waiting."""
LOOK_EVERY = 2.0
"""Seconds between two looks at how many workers there are."""
_ONE_AT_A_TIME = Lock()


@dataclass(frozen=True)
class Outcome:
    """What a task says: a record, or why its worker cannot do any."""

    record: ShardRecord | None
    worker: str
    refusal: str = ""


Work = Callable[[Shard], ShardRecord]


@dataclass(frozen=True)
class ShardWork:
    """The task: renders a shard where it runs. Picklable."""

    order: JobFile
    parts: Path

    def __call__(self, shard: Shard) -> ShardRecord:
        return render_shard(self.order, shard, self.parts)


def run_task(work: Work, shard: Shard) -> Outcome:
    """Does the work on a worker, one shard at a time however many threads it has.

    A model or a device that fails is the worker's fault, not the shard's."""
    from distributed import get_worker

    worker = get_worker()
    with _ONE_AT_A_TIME:  # an engine is for one thread
        try:
            return Outcome(work(shard), worker.address)
        except (DeviceError, ModelFileError) as error:
            return Outcome(None, worker.address, str(error))


def render_on(
    scenes: Scenes,
    out: PathLike,
    *,
    cluster: Client | str = "local:2",
    model: ModelOptions | PathLike | None = "sat2map",
    progress: Progress | None = None,
    **options: Any,
) -> Report:
    """Renders scenes as one on a Dask cluster; what `geo2map.render` would write.

    Parts are kept beside the output until it is complete: a run that was stopped, or whose driver died, goes on when it
    is started again.

    Args:
        scenes: paths that all workers have, or URLs; see `plan_job`.
        out: on a disk that all workers see.
        cluster: a client, the address of a scheduler, or "local:N" for N processes of this machine.
        model: see `plan_job`.
        progress: told "shards" and how many are done, then what merging says.
        options: as `geo2map.render` has them; card and shard_zoom as `plan_job` has them.

    Raises:
        Geo2MapError: one of its children, with one plain sentence.
    """
    planning = {name: options.pop(name) for name in ("card", "shard_zoom") if name in options}
    chosen = RenderOptions.of(options)
    if chosen.on_error != "fail":
        raise PlanError("a cluster leaves no block out: a shard that cannot be read fails the run", option="on_error")
    check_output(out, chosen.output, chosen.storage)
    order = plan_job(scenes, model=model, **planning, **options)
    folder = PartFolder(hidden_sibling(Path(out).resolve(), "parts"))
    with _locked(folder, out):
        if not chosen.output.resume:
            folder.remove()
            folder.path.mkdir(exist_ok=True)
        folder.adopt(order)
        with _connected(cluster, order) as (client, threads):
            work = ShardWork(order.with_model(threads=threads) if threads else order, folder.path)
            spread(client, work, folder, order, progress)
        report = merge_parts(folder.path, out, options=chosen.output, progress=progress)
        folder.remove()
    return report


def spread(client: Client, work: Work, folder: PartFolder, order: JobFile, progress: Progress | None = None) -> None:
    """Has the shards that are still to be done rendered by a cluster's workers.

    Raises:
        Geo2MapError: whatever a shard raises; no worker is left; a shard kills every worker. What is done is kept.
    """
    total = sum(1 for _ in order.shards())
    done = total - sum(1 for _ in folder.missing(order))
    if progress is not None and done:
        progress("resumed", done, total)
    window = Window(client, work)
    try:
        for count, _ in enumerate(window.run(folder.missing(order)), done + 1):
            if progress is not None:
                progress("shards", count, total)
    except BaseException as error:
        kept = total - sum(1 for _ in folder.missing(order))
        error.add_note(f"{kept} of {total} shards are kept in {folder.path}; run the same command again to go on")
        raise


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

        try:
            outcome: Outcome = future.result()
        except (KilledWorker, CancelledError) as error:
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
        if not self._workers or time.monotonic() - self._looked > LOOK_EVERY:
            try:
                if not self._workers:
                    self.client.wait_for_workers(1, timeout=120)
                there = set(self.client.nthreads()) - set(self.refused)
            except (TimeoutError, OSError) as error:
                raise OutputError(
                    "the Dask cluster does not answer, or has no worker: start them, run again"
                ) from error
            self._workers, self._looked = len(there), time.monotonic()
        return self._workers


@contextmanager
def _locked(folder: PartFolder, out: PathLike) -> Iterator[None]:
    """The folder of parts for this driver alone."""
    with output_errors(folder.path):
        folder.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.path / LOCK_NAME, timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise OutputError(f"{out} is being rendered by another geo2map: wait for it, or choose another") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _connected(cluster: Client | str, order: JobFile) -> Iterator[tuple[Client, int | None]]:
    """A client of the cluster, and the threads that torch gets on its workers; None where the workers say."""
    require_dask()
    from distributed import Client

    if not isinstance(cluster, str):
        yield cluster, None
        return
    device = order.job.device
    local = local_cluster(cluster, device) if cluster.startswith("local") else None
    try:
        with local[0] if local else nullcontext(cluster) as address, Client(address, set_as_default=False) as client:
            yield client, local[1] if local else None
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"no Dask scheduler answers at {cluster} ({error}): check address and network") from error


def require_dask() -> None:
    """
    Raises:
        PlanError: the extra is not installed.
    """
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise PlanError('Dask is not installed: pip install "geo2map[dask]"') from error
