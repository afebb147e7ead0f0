"""Maps into buckets, by one process or by many: tiles straight there, files made on this machine's disk and sent."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from shutil import rmtree
from typing import Any

from geo2map.aoi import make_aoi
from geo2map.api.options import RenderOptions
from geo2map.api.rendering import Scenes, as_choice, make_job, render
from geo2map.cluster.buckets import open_bucket
from geo2map.cluster.direct import Away, is_fresh, straight_into_bucket
from geo2map.cluster.merge import merge_parts
from geo2map.cluster.parts import PartFolder
from geo2map.cluster.planning import list_scenes
from geo2map.cluster.uploads import holds, job_key, spool_for, through_bucket
from geo2map.errors import OutputError, PlanError
from geo2map.files.address import is_file_path, redact
from geo2map.model import ModelOptions
from geo2map.outputs import OutputOptions
from geo2map.outputs.containers import container_of_name
from geo2map.pipeline.report import Report
from geo2map.plan import Job, make_plan
from geo2map.protocols import Begin, Progress
from geo2map.scene import open_scenes
from geo2map.types import PathLike

Make = Callable[..., Report]
"""Makes an output at a path, with its tiles away where a second argument gives the place."""


def render_to_bucket(
    scenes: Scenes,
    out: str,
    *,
    cluster: str | None = None,
    model: ModelOptions | PathLike = "sat2map",
    tmp: PathLike | None = None,
    progress: Progress | None = None,
    begin: Begin | None = None,
    **options: Any,
) -> Report:
    """Renders scenes as one into a bucket. The same call goes on where it was stopped, rendering or sending.

    Args:
        out: e.g. "s3://bucket/map/", a folder of tiles, or "gs://bucket/map.pmtiles".
        cluster: as `geo2map.cluster.dask.render_on` has it; None renders in this process.
        tmp: folder to make it in; None is the system's.
        begin, options: as `geo2map.render` has them.

    Returns:
        The report; of a run that has nothing to do where nothing was left to render.

    Raises:
        Geo2MapError: one of its children, with one plain sentence.
    """
    if options.get("on_error", "fail") != "fail":
        raise PlanError(
            "an output for a bucket leaves no block out: make it here, then send it", option="on_error", usage=True
        )
    overwrite, resume, choice = bool(options.pop("overwrite", False)), options.pop("resume", True), as_choice(model)

    def make(path: Path, away: Away | None = None) -> Report:
        if cluster is None:
            return render(scenes, path, engine=choice, progress=progress, begin=begin, away=away, **options)
        from geo2map.cluster.dask import render_on

        assert isinstance(choice, ModelOptions), "an engine cannot be sent to another machine"
        spread: dict[str, Any] = {"cluster": cluster, "model": choice, "progress": progress, "begin": begin}
        return render_on(scenes, path, away=away, **spread, **options)

    chosen = RenderOptions.of(options)
    key = job_key(_scenes_key(scenes), _model_key(choice), _options_key(chosen))
    delivery = _Delivery(out, make, key, tmp, overwrite, progress)
    if not resume:
        delivery.forget()
    return delivery.send() or _of_complete(_job(scenes, choice, chosen))


def merge_to_bucket(
    parts: PathLike,
    out: str,
    *,
    tmp: PathLike | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    begin: Begin | None = None,
) -> Report:
    """Merges parts into a bucket; see `merge_parts` and `render_to_bucket`."""

    def make(path: Path, away: Away | None = None) -> Report:
        return merge_parts(parts, path, options=OutputOptions(away=away), progress=progress, begin=begin)

    order = PartFolder(parts).order()
    delivery = _Delivery(out, make, job_key(order.fingerprint), tmp, overwrite, progress)
    return delivery.send() or _of_complete(order.wanted)


def _job(scenes: Scenes, choice: Any, options: RenderOptions) -> Job:
    """The job that made an output which the bucket holds."""
    card = choice.load_card() if isinstance(choice, ModelOptions) else choice.card
    with open_scenes(scenes, on_error=options.on_error, **asdict(options.reading)) as opened:
        plan = make_plan(opened, card, options.planning)
        return make_job(opened, plan, choice, storage=options.storage, reading=options.reading)


def _of_complete(job: Job) -> Report:
    return Report.of_complete(job, job.plan.block_count)


class _Delivery:
    """One output on its way to a bucket."""

    def __init__(
        self, out: str, make: Make, key: str, tmp: PathLike | None, overwrite: bool, progress: Progress | None
    ) -> None:
        _require_folder_or_file(out)
        self.out, self.make, self.key = out, make, key
        self.tmp, self.overwrite, self.progress = tmp, overwrite, progress

    def forget(self) -> None:
        """Deletes what an interrupted run of the same job left on this machine's disk."""
        with suppress(OSError):
            rmtree(spool_for(self.out, self.key, self.tmp))

    def send(self) -> Report | None:
        """Makes and sends the output; None where it was made before: does neither where the bucket holds it."""
        if not self.overwrite and holds(self.out, self.key):
            return None
        if is_fresh(self.out):
            return straight_into_bucket(self.out, self.make, self.key, tmp=self.tmp)
        return through_bucket(
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


def _model_key(choice: Any) -> tuple[str, ...]:
    """The weights, and what of a model's options may change a pixel."""
    card = choice.load_card() if isinstance(choice, ModelOptions) else choice.card
    return card.name, card.fingerprint, str(choice.device), str(choice.precision)


def _options_key(options: RenderOptions) -> tuple[object, ...]:
    """What of the options decides bytes: the content of the files that they name, not their names."""
    area = options.planning.aoi
    shape = None if area is None else make_aoi(area).geometry.wkb_hex
    return options.reading, replace(options.planning, aoi=None), shape, options.storage


def _scenes_key(scenes: Scenes) -> list[tuple[str, int, int]]:
    """Paths, sizes and times of scenes: what was made of others is not sent for these."""
    found = []
    for scene in list_scenes(scenes):
        known = Path(scene).stat() if is_file_path(scene) and Path(scene).exists() else None
        found.append((scene, known.st_size if known else 0, known.st_mtime_ns if known else 0))
    return found
