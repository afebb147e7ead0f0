"""Maps into buckets, by one process or by many: tiles are streamed, files are made on this machine's disk and sent."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from typing import Unpack

from geo2map.aoi import make_aoi
from geo2map.api.keywords import RenderKeywords
from geo2map.api.models import ModelLike, ResolvedModel
from geo2map.api.rendering import render_request
from geo2map.api.requests import RenderRequest, resolve
from geo2map.buckets.objects import open_bucket
from geo2map.buckets.stream import can_stream, stream_to_bucket
from geo2map.buckets.uploads import is_uploaded, job_key, spool_for, stage_and_upload
from geo2map.cluster.merge import merge_parts
from geo2map.cluster.parts import PartFolder
from geo2map.errors import OutputError
from geo2map.files.address import is_file_path, redact
from geo2map.formats.containers import container_of_name
from geo2map.ledger import OutputOptions
from geo2map.ledger.output import Sink
from geo2map.pipeline.report import Report
from geo2map.plan import Job
from geo2map.protocols import Begin, Progress
from geo2map.scene import Scenes, SceneSelection
from geo2map.types import PathLike

Make = Callable[..., Report]
"""Makes an output at a path, with its tiles in a sink where a second argument gives one."""


def render_to_bucket(
    scenes: Scenes,
    out: str,
    *,
    cluster: str | None = None,
    model: ModelLike = "sat2map",
    progress: Progress | None = None,
    begin: Begin | None = None,
    **options: Unpack[RenderKeywords],
) -> Report:
    """Renders scenes as one into a bucket. The same call resumes where it was stopped, rendering or sending.

    Args:
        out: e.g. "s3://bucket/map/", a folder of tiles, or "gs://bucket/map.pmtiles".
        cluster: see `geo2map.cluster.dask.render_on`; None renders in this process.
        model: see `geo2map.render`'s engine.
        begin, options: see `geo2map.render`; `tmp` is the folder to make it in, None the system's.

    Returns:
        The report; of a run that has nothing to do where nothing was left to render.

    Raises:
        Geo2MapError: one of its children, with one plain sentence.
    """
    request = RenderRequest.of(scenes, out, model, options)
    return send_request(request, cluster=cluster, progress=progress, begin=begin)


def send_request(
    request: RenderRequest,
    *,
    cluster: str | None = None,
    progress: Progress | None = None,
    begin: Begin | None = None,
) -> Report:
    """Carries out a request whose output is in a bucket; see `render_to_bucket`."""
    request.require_whole("an output in a bucket")
    resolved = resolve(replace(request, out=None))  # a bucket is not a place on a disk
    here = replace(request, scenes=resolved.scenes, model=resolved.model)

    def make(path: Path, sink: Sink | None = None) -> Report:
        local = replace(here, out=path, output=OutputOptions(sink=sink))
        if cluster is None:
            return render_request(local, progress=progress, begin=begin)
        from geo2map.cluster.dask import dispatch_request

        return dispatch_request(local, cluster, progress=progress, begin=begin)

    key = job_key(_scenes_key(resolved.scenes), _model_key(resolved.model), _options_key(request))
    delivery = _Delivery(str(request.out), make, key, request.output, progress)
    if not request.output.resume:
        delivery.forget()
    if (report := delivery.send()) is not None:
        return report.at(str(request.out))
    with resolved.open() as imagery, resolved.closing():
        return _of_complete(resolved.job(imagery, resolved.plan(imagery))).at(str(request.out))


def merge_to_bucket(
    parts: PathLike,
    out: str,
    *,
    options: OutputOptions | None = None,
    progress: Progress | None = None,
    begin: Begin | None = None,
) -> Report:
    """Merges parts into a bucket; see `merge_parts` and `render_to_bucket`."""

    def make(path: Path, sink: Sink | None = None) -> Report:
        return merge_parts(parts, path, options=OutputOptions(sink=sink), progress=progress, begin=begin)

    job_file = PartFolder(parts).order()
    delivery = _Delivery(out, make, job_key(job_file.job.digest), options or OutputOptions(), progress)
    return (delivery.send() or _of_complete(job_file.wanted)).at(out)


def _of_complete(job: Job) -> Report:
    return Report.of_complete(job, job.plan.block_count)


class _Delivery:
    """One output on its way to a bucket."""

    def __init__(self, out: str, make: Make, key: str, output: OutputOptions, progress: Progress | None) -> None:
        _require_folder_or_file(out)
        self.out, self.make, self.key = out, make, key
        self.tmp, self.overwrite, self.progress = output.tmp, output.overwrite, progress

    def forget(self) -> None:
        """Deletes what an interrupted run of the same job left on this machine's disk."""
        with suppress(OSError):
            rmtree(spool_for(self.out, self.key, self.tmp))

    def send(self) -> Report | None:
        """Makes and sends the output; None where it was made before: does neither where the bucket holds it."""
        if not self.overwrite and is_uploaded(self.out, self.key):
            return None
        if can_stream(self.out):
            return stream_to_bucket(self.out, self.make, self.key, tmp=self.tmp)
        return stage_and_upload(
            self.out, self.make, self.key, tmp=self.tmp, overwrite=self.overwrite, progress=self.progress
        )


def _require_folder_or_file(out: str) -> None:
    """
    Raises:
        OutputError: the name in the bucket belongs to no kind of output.
    """
    open_bucket(out)
    if not out.endswith("/") and container_of_name(redact(out)).is_folder:
        raise OutputError(f"{redact(out)}: a folder of tiles ends in a slash; give {redact(out)}/", option="out")


def _model_key(model: ResolvedModel) -> tuple[str, ...]:
    """The weights, and what of a model's options may change a pixel."""
    if (how := model.options or model.engine) is None:
        return model.card.name, model.card.fingerprint
    return model.card.name, model.card.fingerprint, str(how.device), str(how.precision)


def _options_key(request: RenderRequest) -> tuple[object, ...]:
    """The options that decide bytes: by the content of the files that they name, not by their names."""
    area = request.planning.aoi
    shape = None if area is None else make_aoi(area).geometry.wkb_hex
    clipped = ("clip",) if request.planning.clip else ()
    return request.reading, replace(request.planning, aoi=None, clip=False), shape, request.storage, *clipped


def _scenes_key(scenes: SceneSelection) -> list[tuple[str, int, int]]:
    """Paths, sizes and times of scenes: an output of others is not sent for these."""
    found = []
    for scene in scenes.full_paths:
        known = Path(scene).stat() if is_file_path(scene) and Path(scene).exists() else None
        found.append((scene, known.st_size if known else 0, known.st_mtime_ns if known else 0))
    return found
