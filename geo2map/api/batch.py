"""Scenes to maps one by one: each an output of its own, and a failed one does not stop the rest."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Protocol, Unpack

from geo2map.api.keywords import RenderKeywords
from geo2map.api.models import ModelLike, ResolvedModel, resolve_model
from geo2map.api.rendering import render_request
from geo2map.api.requests import RenderRequest
from geo2map.errors import Geo2MapError, OutputError
from geo2map.files.address import redact, scene_name
from geo2map.files.place import require_name
from geo2map.formats import CONTAINERS, find_container
from geo2map.pipeline.report import Report
from geo2map.protocols import Begin, Progress
from geo2map.scene import Scenes, SceneSelection, select_scenes
from geo2map.types import PathLike


class Renderer(Protocol):
    """Carries out one request."""

    def __call__(
        self, request: RenderRequest, /, *, progress: Progress | None = None, begin: Begin | None = None
    ) -> Report: ...


def render_each(
    scenes: Scenes,
    out: PathLike,
    *,
    engine: ModelLike = "sat2map",
    suffix: str = "",
    progress: Progress | None = None,
    begin: Begin | None = None,
    **options: Unpack[RenderKeywords],
) -> Iterator[Report]:
    """Renders scenes one by one into `out/<scene name><suffix>`; a failed one does not stop the rest.

    Args:
        suffix: of each output, a key of `geo2map.formats.CONTAINERS`, e.g. ".tif"; "" makes folders.
        scenes, out, engine, progress, begin, options: see `render`.

    Returns:
        A report a scene as soon as it is done; `error` holds the reason of a failure.

    Raises:
        SceneError: no scene, see `geo2map.scene.find_scenes`.
        OutputError: two scenes would have one output.
    """
    selection = select_scenes(scenes)
    requests = split_request(RenderRequest.of(selection, out, engine, options), suffix)
    if selection.remarks and begin is not None:
        begin("", selection.remarks)
    return render_requests(requests, progress=progress, begin=begin)


def split_request(request: RenderRequest, suffix: str = "") -> list[RenderRequest]:
    """A request for each scene by itself, into `out/<scene name><suffix>`; they share one model, loaded once.

    Raises:
        SceneError: no scene, see `geo2map.scene.find_scenes`.
        OutputError: two scenes would have one output, or the kind of output cannot store the tiles.
    """
    assert request.out is not None, "the request has an output"
    if suffix not in CONTAINERS:
        known = ", ".join(sorted(filter(None, CONTAINERS)))
        raise OutputError(f"suffix {suffix!r}: not a kind of output; give one of {known}", option="suffix", usage=True)
    selection = select_scenes(request.scenes)
    targets = name_targets(selection, request.out, suffix)
    find_container(next(iter(targets.values()))).check_storage(request.storage)  # all are of one kind
    model, is_tiles = resolve_model(request.model), selection.is_tiles
    singles = {out: SceneSelection((scene,), scene_name(scene), is_tiles=is_tiles) for scene, out in targets.items()}
    return [replace(request, scenes=single, out=out, model=model) for out, single in singles.items()]


def render_requests(
    requests: Sequence[RenderRequest],
    *,
    render: Renderer = render_request,
    progress: Progress | None = None,
    begin: Begin | None = None,
) -> Iterator[Report]:
    """Carries out split requests one by one; a failed one is reported and does not stop the rest.

    Args:
        render: how one is carried out; also `geo2map.cluster.dask.dispatch_request` with its cluster.
        progress: told "scenes" and how many are done, and the stages of each.
        begin: called with the notes of each.
    """
    with ExitStack() as stack:
        for model in {id(request.model): request.model for request in requests}.values():
            if isinstance(model, ResolvedModel):
                stack.push(model)
        for done, request in enumerate(requests, 1):
            try:
                yield render(request, progress=progress, begin=begin)
            except Geo2MapError as error:
                assert isinstance(request.scenes, SceneSelection), "split requests have a selection"
                assert request.out is not None, "so has every request that was split"
                failed = Report(request.scenes.name, error=str(error), option=error.option)
                yield failed.at(request.out)
            if progress is not None:
                progress("scenes", done, len(requests))


def name_targets(scenes: Scenes | SceneSelection, out: PathLike, suffix: str = "") -> dict[str, str]:
    """The output of each scene by itself; folders end in a slash, whatever dots they have.

    Raises:
        SceneError: no scene, see `geo2map.scene.find_scenes`.
        OutputError: two scenes would have one output, or `out` is empty.
    """
    require_name(out)
    targets: dict[str, str] = {}
    scene_of: dict[str, str] = {}
    for scene in select_scenes(scenes).paths:
        name = f"{scene_name(scene)}{suffix}"
        if name in ("", ".", ".."):
            raise OutputError(f"{redact(scene)} leaves no name for its output: rename it")
        target = str(Path(out) / name)
        first = scene_of.setdefault(os.path.normcase(target), scene)
        if first != scene and Path(first).resolve() == Path(scene).resolve():
            continue  # one scene, spelled in two ways
        if first != scene:
            raise OutputError(f"{redact(first)} and {redact(scene)} would both become {target}: rename one of them")
        targets[scene] = target if suffix else f"{target}/"
    return targets
