"""Shards on a Dask cluster: a bounded number of tasks in flight, records instead of results, failing workers excluded.

The records in the folder of parts are the truth, not the scheduler. A driver that is started again resumes from them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from filelock import FileLock, Timeout

from geo2map.api.keywords import RenderKeywords, ShardKeywords, pick_options
from geo2map.api.requests import RenderRequest, resolve
from geo2map.cluster.jobfile import JobFile
from geo2map.cluster.local import local_cluster, require_cluster
from geo2map.cluster.merge import merge_parts
from geo2map.cluster.parts import LOCK_NAME, PartFolder, ShardRecord
from geo2map.cluster.planning import choose_model, plan_request, without_shards
from geo2map.cluster.window import InFlightTasks, Work, WorkerState
from geo2map.cluster.work import render_shard
from geo2map.errors import OutputError, PlanError, missing_extra
from geo2map.files.address import is_file_path
from geo2map.files.atomic import hidden_sibling, output_errors
from geo2map.files.place import require_apart
from geo2map.formats import find_container
from geo2map.ledger import OutputOptions, check_output, find_complete
from geo2map.ledger.checks import occupied
from geo2map.model import ModelCard, ModelOptions
from geo2map.pipeline.report import Report
from geo2map.plan import Shard, Storage
from geo2map.protocols import Begin, Progress
from geo2map.scene import Scenes
from geo2map.types import PathLike

if TYPE_CHECKING:
    from distributed import Client


@dataclass(frozen=True)
class ShardWork:
    """A task that renders a shard where it runs. Picklable, and small for any number of scenes: a worker reads the job
    from the folder of parts, once.

    Attributes:
        parts: the folder; not created where it is missing.
        fingerprint: of the job.
        threads: CPU threads for the model; None takes the job's.
    """

    parts: Path
    fingerprint: str
    threads: int | None = None

    def __call__(self, shard: Shard) -> ShardRecord:
        state = WorkerState.here()
        key = self.parts, self.fingerprint
        if key not in state.job_files:
            state.job_files = {key: _read_job(*key)}
        job_file = state.job_files[key]
        job_file = job_file.with_threads(self.threads) if self.threads else job_file
        return render_shard(job_file, shard, self.parts, engines=state.engines, make=False)


def _read_job(parts: Path, fingerprint: str) -> JobFile:
    """
    Raises:
        OutputError: it is missing, or of another job: the run has ended.
    """
    with suppress(PlanError):
        job_file = PartFolder(parts).order()
        if job_file.fingerprint == fingerprint:
            return job_file
    raise OutputError(f"{parts} was removed: the run that these shards belong to has ended")


def render_on(
    scenes: Scenes | JobFile,
    out: PathLike,
    *,
    cluster: Client | str = "local:2",
    model: ModelOptions | PathLike | None = "sat2map",
    card: ModelCard | None = None,
    progress: Progress | None = None,
    begin: Begin | None = None,
    **options: Unpack[ShardKeywords],
) -> Report:
    """Renders scenes as one on a Dask cluster; writes what `geo2map.render` would.

    Parts are stored beside the output until it is complete: a run that was stopped, or whose driver died, resumes when
    it is started again.

    Args:
        scenes: paths that all workers have, or URLs; see `plan_job`. Or a planned job, or the name of its file: see
            `render_job`.
        out: on a disk that all workers share.
        cluster: a client, the address of a scheduler, or "local:N" for N processes of this machine.
        model, card: see `plan_job`.
        progress: told "shards" and how many are done, then the stages of merging.
        begin: called with the plan's notes before the work begins.
        options: see `geo2map.api.keywords.ShardKeywords`.

    Raises:
        Geo2MapError: one of its children, with one plain sentence.
    """
    plain = without_shards(options)
    if (planned := _as_job(scenes)) is not None:
        output = _output_alone(plain)
        return render_job(planned, out, client=cluster, progress=progress, begin=begin, options=output)
    assert not isinstance(scenes, JobFile), "a job was recognised as one"
    request, zoom = RenderRequest.of(scenes, out, choose_model(model, card), plain), options.get("shard_zoom")
    return dispatch_request(request, cluster, shard_zoom=zoom, progress=progress, begin=begin)


def dispatch_request(
    request: RenderRequest,
    cluster: Client | str,
    *,
    shard_zoom: int | None = None,
    progress: Progress | None = None,
    begin: Begin | None = None,
) -> Report:
    """Carries out a request on a Dask cluster; see `render_on`."""
    request.require_whole("a cluster")
    require_cluster(cluster)
    resolved = resolve(request)
    job_file = plan_request(resolved, shard_zoom)
    return render_job(job_file, resolved.out, client=cluster, progress=progress, begin=begin, options=request.output)


def _output_alone(options: RenderKeywords) -> OutputOptions:
    """
    Raises:
        PlanError: an option that a planned job has fixed.
    """
    if fixed := sorted(options.keys() - {field.name for field in fields(OutputOptions)}):
        raise PlanError(f"a planned job has its {fixed[0]}: leave it out", option=fixed[0], usage=True)
    return pick_options(OutputOptions, options)


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
    job_file, options = job if isinstance(job, JobFile) else JobFile.read(job), options or OutputOptions()
    require_cluster(client)
    check_output(out, options, Storage())
    for place in occupied(out, find_container(out), job_file.job.storage.layers):
        require_apart(place, [scene.path for scene in job_file.job.scenes if is_file_path(scene.path)])
    if (complete := find_complete(out, job_file.wanted, options)) is not None:
        return complete.at(out)
    if begin is not None:
        begin(job_file.job.plan.name, job_file.job.plan.notes)
    folder = PartFolder(hidden_sibling(Path(out).resolve(), "parts"))
    with _locked(folder, out):
        if not options.resume:
            folder.remove()
            folder.path.mkdir(exist_ok=True)
        folder.adopt(job_file)
        with _connected(client, job_file) as (connected, threads):
            work = ShardWork(folder.path, job_file.fingerprint, threads)
            render_missing(connected, work, folder, job_file, progress)
        report = merge_parts(folder.path, out, options=options, progress=progress, begin=begin)
        folder.remove()
    return replace(report, notes=tuple(dict.fromkeys((*job_file.job.plan.notes, *report.notes))))


def _as_job(asked: object) -> JobFile | None:
    """A planned job or its file; None for scenes, also for a catalogue of them."""
    if isinstance(asked, JobFile):
        return asked
    if isinstance(asked, str | Path) and str(asked).endswith(".job.json"):
        return JobFile.read(asked)
    return None


def render_missing(
    client: Client, work: Work, folder: PartFolder, job_file: JobFile, progress: Progress | None = None
) -> None:
    """Renders the remaining shards on a cluster's workers.

    Raises:
        Geo2MapError: whatever a shard raises; no worker is left; a shard kills every worker. Finished shards are kept.
    """
    total = sum(1 for _ in job_file.shards())
    done = total - sum(1 for _ in folder.missing(job_file))
    if progress is not None and done:
        progress("resumed", done, total)
    tasks = InFlightTasks(client, work)
    try:
        for count, _ in enumerate(tasks.run(folder.missing(job_file)), done + 1):
            if progress is not None:
                progress("shards", count, total)
    except BaseException as error:
        kept = total - sum(1 for _ in folder.missing(job_file))
        error.add_note(f"{kept}/{total} shards are stored in {folder.path}; run the same command again to resume")
        raise


@contextmanager
def _locked(folder: PartFolder, out: PathLike) -> Iterator[None]:
    """Locks the folder of parts for this driver."""
    with output_errors(folder.path):
        folder.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.path / LOCK_NAME, timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise OutputError(f"{out} is being rendered by another process: wait for it, or change out") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _connected(cluster: Client | str, job_file: JobFile) -> Iterator[tuple[Client, int | None]]:
    """A client of the cluster, and the threads of torch on its workers; None leaves them to the workers."""
    require_dask()
    from distributed import Client

    if not isinstance(cluster, str):
        yield cluster, None
        return
    device = job_file.job.device
    local = local_cluster(cluster, device) if cluster.startswith("local") else None
    try:
        with local[0] if local else nullcontext(cluster) as address, Client(address, set_as_default=False) as client:
            yield client, local[1] if local else None
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"{cluster}: no Dask scheduler answers ({error}); check address and network") from error


def require_dask() -> None:
    """
    Raises:
        PlanError: the extra is not installed.
    """
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise PlanError(missing_extra("rendering on Dask", "dask")) from error
