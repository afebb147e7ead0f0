"""Shards on a Dask cluster: a window of tasks, records instead of results, workers that fail sent home.

The scheduler is believed nothing: what counts are the records in the folder of parts. A driver that is started again
goes on from them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from geo2map.api.options import RenderOptions
from geo2map.api.rendering import Scenes, check_out
from geo2map.cluster.jobfile import JobFile
from geo2map.cluster.local import local_cluster, require_cluster
from geo2map.cluster.merge import merge_parts
from geo2map.cluster.parts import LOCK_NAME, PartFolder, ShardRecord
from geo2map.cluster.planning import plan_job
from geo2map.cluster.window import Window, Work
from geo2map.cluster.work import render_shard
from geo2map.errors import OutputError, PlanError, missing_extra
from geo2map.files.address import is_file_path
from geo2map.files.atomic import hidden_sibling, output_errors
from geo2map.files.place import require_apart
from geo2map.model import ModelOptions
from geo2map.outputs import OutputOptions, check_output, find_complete
from geo2map.pipeline.report import Report
from geo2map.plan import Shard, Storage
from geo2map.protocols import Begin, Progress
from geo2map.types import PathLike

if TYPE_CHECKING:
    from distributed import Client


@dataclass(frozen=True)
class ShardWork:
    """The task: renders a shard where it runs. Picklable, and small however many scenes there are: a worker finds the
    job in the folder of parts, once.

    Attributes:
        parts: the folder, which is not made anew where it is gone.
        fingerprint: of the job.
        threads: CPU threads for the model; None leaves it to the job.
    """

    parts: Path
    fingerprint: str
    threads: int | None = None

    def __call__(self, shard: Shard) -> ShardRecord:
        order = _order_of(self.parts, self.fingerprint)
        order = order.with_model(threads=self.threads) if self.threads else order
        return render_shard(order, shard, self.parts, make=False)


@lru_cache(maxsize=4)
def _order_of(parts: Path, fingerprint: str) -> JobFile:
    """
    Raises:
        OutputError: there is none, or another: the run has ended.
    """
    with suppress(PlanError):
        order = PartFolder(parts).order()
        if order.fingerprint == fingerprint:
            return order
    raise OutputError(f"{parts} is not there any more: the run that these shards are for has ended")


def render_on(
    scenes: Scenes | JobFile,
    out: PathLike,
    *,
    cluster: Client | str = "local:2",
    model: ModelOptions | PathLike | None = "sat2map",
    progress: Progress | None = None,
    begin: Begin | None = None,
    **options: Any,
) -> Report:
    """Renders scenes as one on a Dask cluster; what `geo2map.render` would write.

    Parts are kept beside the output until it is complete: a run that was stopped, or whose driver died, goes on when it
    is started again.

    Args:
        scenes: paths that all workers have, or URLs; see `plan_job`. Or a planned job, or the name of its file: see
            `render_job`.
        out: on a disk that all workers see.
        cluster: a client, the address of a scheduler, or "local:N" for N processes of this machine.
        model: see `plan_job`.
        progress: told "shards" and how many are done, then what merging says.
        begin: told what a user should know before the work begins.
        options: as `geo2map.render` has them; card and shard_zoom as `plan_job` has them.

    Raises:
        Geo2MapError: one of its children, with one plain sentence.
    """
    if (known := _as_job(scenes)) is not None:
        return render_job(known, out, client=cluster, progress=progress, begin=begin, options=OutputOptions(**options))
    planning = {name: options.pop(name) for name in ("card", "shard_zoom") if name in options}
    chosen = RenderOptions.of(options)
    if chosen.on_error != "fail":
        raise PlanError(
            "a cluster leaves no block out: a shard that cannot be read fails the run", option="on_error", usage=True
        )
    require_cluster(cluster)
    assert not isinstance(scenes, JobFile), "a job is known as one"
    check_out(scenes, out, chosen)
    order = plan_job(scenes, model=model, **planning, **options)
    return render_job(order, out, client=cluster, progress=progress, begin=begin, options=chosen.output)


def render_job(
    job: JobFile | PathLike,
    out: PathLike,
    *,
    client: Client | str = "local:2",
    options: OutputOptions | None = None,
    progress: Progress | None = None,
    begin: Begin | None = None,
) -> Report:
    """Renders a planned job on a Dask cluster; see `render_on`.

    Args:
        job: what `plan_job` made, or the name of its file.
        client: of any cluster, the address of a scheduler, or "local:N".

    Raises:
        Geo2MapError: one of its children, with one plain sentence.
    """
    order, options = job if isinstance(job, JobFile) else JobFile.read(job), options or OutputOptions()
    require_cluster(client)
    check_output(out, options, Storage())
    require_apart(out, [scene.path for scene in order.job.scenes if is_file_path(scene.path)])
    if (complete := find_complete(out, order.wanted, options)) is not None:
        return complete
    if begin is not None:
        begin(order.job.plan.name, order.job.plan.notes)
    folder = PartFolder(hidden_sibling(Path(out).resolve(), "parts"))
    with _locked(folder, out):
        if not options.resume:
            folder.remove()
            folder.path.mkdir(exist_ok=True)
        folder.adopt(order)
        with _connected(client, order) as (connected, threads):
            work = ShardWork(folder.path, order.fingerprint, threads)
            spread(connected, work, folder, order, progress)
        report = merge_parts(folder.path, out, options=options, progress=progress, begin=begin)
        folder.remove()
    return replace(report, notes=tuple(dict.fromkeys((*order.job.plan.notes, *report.notes))))


def _as_job(asked: object) -> JobFile | None:
    """A planned job, if that is what is asked; None for scenes, a catalogue too."""
    if isinstance(asked, JobFile):
        return asked
    if isinstance(asked, str | Path) and str(asked).endswith(".job.json"):
        return JobFile.read(asked)
    return None


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
        raise PlanError(missing_extra("rendering on Dask", "dask")) from error
