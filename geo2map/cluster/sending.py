"""Maps into buckets, by one process or by many: tiles straight there, files made on this machine's disk and sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from geo2map.api.rendering import PathLike, Scenes, as_choice, render
from geo2map.cluster.direct import Away, is_fresh, straight_into_bucket
from geo2map.cluster.merge import merge_parts
from geo2map.cluster.parts import PartFolder
from geo2map.cluster.planning import list_scenes
from geo2map.cluster.uploads import through_bucket
from geo2map.errors import PlanError
from geo2map.files.address import is_file_path
from geo2map.model import ModelOptions
from geo2map.outputs import OutputOptions
from geo2map.pipeline.report import Report
from geo2map.protocols import Begin, Progress


def render_to_bucket(
    scenes: Scenes,
    address: str,
    *,
    cluster: str | None = None,
    model: ModelOptions | PathLike = "sat2map",
    tmp: PathLike | None = None,
    progress: Progress | None = None,
    begin: Begin | None = None,
    **options: Any,
) -> Report | None:
    """Renders scenes as one into a bucket. The same call goes on where it was stopped, rendering or sending.

    Args:
        address: e.g. "s3://bucket/map/", a folder of tiles, or "gs://bucket/map.pmtiles".
        cluster: as `geo2map.cluster.dask.render_on` has it; None renders in this process.
        tmp: folder to make it in; None is the system's.
        begin, options: as `geo2map.render` has them.

    Returns:
        The report; None where only sending was left.

    Raises:
        Geo2MapError: one of its children, with one plain sentence.
    """
    if options.get("on_error", "fail") != "fail":
        raise PlanError(
            "an output for a bucket leaves no block out: make it here, then send it", option="on_error", usage=True
        )
    overwrite, choice = bool(options.pop("overwrite", False)), as_choice(model)

    def make(path: Path, away: Away | None = None) -> Report:
        if cluster is None:
            return render(scenes, path, engine=choice, progress=progress, begin=begin, away=away, **options)
        from geo2map.cluster.dask import render_on

        assert isinstance(choice, ModelOptions), "an engine cannot be sent to another machine"
        spread: dict[str, Any] = {"cluster": cluster, "model": choice, "progress": progress, "begin": begin}
        return render_on(scenes, path, away=away, **spread, **options)

    key = repr((_scenes_key(scenes), choice, sorted(options.items(), key=lambda item: item[0])))
    if is_fresh(address):
        return straight_into_bucket(address, make, key, tmp=tmp)
    return through_bucket(address, make, key, tmp=tmp, overwrite=overwrite, progress=progress)


def merge_to_bucket(
    parts: PathLike,
    address: str,
    *,
    tmp: PathLike | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    begin: Begin | None = None,
) -> Report | None:
    """Merges parts into a bucket; see `merge_parts` and `render_to_bucket`."""
    order = PartFolder(parts).order()

    def make(path: Path, away: Away | None = None) -> Report:
        return merge_parts(parts, path, options=OutputOptions(away=away), progress=progress, begin=begin)

    if is_fresh(address):
        return straight_into_bucket(address, make, order.fingerprint, tmp=tmp)
    return through_bucket(address, make, order.fingerprint, tmp=tmp, overwrite=overwrite, progress=progress)


def _scenes_key(scenes: Scenes) -> list[tuple[str, int, int]]:
    """Paths, sizes and times of scenes: what was made of others is not sent for these."""
    found = []
    for scene in list_scenes(scenes):
        known = Path(scene).stat() if is_file_path(scene) and Path(scene).exists() else None
        found.append((scene, known.st_size if known else 0, known.st_mtime_ns if known else 0))
    return found
