"""Scenes to maps one by one: each an output of its own, and a failed one does not stop the rest."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geo2map.api.options import RenderOptions
from geo2map.api.rendering import Rendering, Scenes, as_choice, as_engine, check_out
from geo2map.errors import Geo2MapError, OutputError
from geo2map.files.address import redact, scene_name
from geo2map.files.place import require_name
from geo2map.model import ModelOptions
from geo2map.outputs import find_container
from geo2map.pipeline.report import Report
from geo2map.protocols import Begin, Progress
from geo2map.scene import find_scenes
from geo2map.scene.discover import find_imagery
from geo2map.types import PathLike

if TYPE_CHECKING:
    from geo2map.engine import Engine


def render_each(
    scenes: Scenes,
    out: PathLike,
    *,
    engine: Engine | ModelOptions | PathLike = "sat2map",
    suffix: str = "",
    progress: Progress | None = None,
    begin: Begin | None = None,
    **options: Any,
) -> Iterator[Report]:
    """Renders scenes one by one into `out/<scene name><suffix>`; a failed one does not stop the rest.

    Args:
        suffix: of the files, e.g. ".tif"; "" makes folders.
        scenes, out, engine, progress, begin, options: as `render` has them.

    Returns:
        A report a scene as soon as it is done; `error` says why it failed.

    Raises:
        SceneError: no scene, see `geo2map.scene.find_scenes`.
        OutputError: two scenes would have one output.
    """
    found, remarks = find_imagery(scenes)
    chosen, targets = RenderOptions.of(options), _name_targets(found, out, suffix)
    for target in islice(targets.values(), 1):  # all are of one kind
        find_container(target).check_storage(chosen.storage)
    if remarks and begin is not None:
        begin("", remarks)
    return _render_each(targets, as_choice(engine), chosen, progress, begin)


def name_targets(scenes: Scenes, out: PathLike, suffix: str = "") -> dict[str, str]:
    """The output of each scene by itself, as `render_each` names it; folders end in a slash, whatever dots they have.

    Raises:
        SceneError: no scene, see `geo2map.scene.find_scenes`.
        OutputError: two scenes would have one output, or `out` is empty.
    """
    return _name_targets(find_scenes(scenes), out, suffix)


def _name_targets(scenes: list[str], out: PathLike, suffix: str) -> dict[str, str]:
    require_name(out)
    targets: dict[str, str] = {}
    scene_of: dict[str, str] = {}
    for scene in scenes:
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


def _render_each(
    targets: Mapping[str, str],
    engine: Engine | ModelOptions,
    options: RenderOptions,
    progress: Progress | None,
    begin: Begin | None,
) -> Iterator[Report]:
    loaded = cache(lambda: as_engine(engine))  # once, when the first scene has proved to be worth it
    for scene, target in targets.items():
        try:
            check_out(scene, target, options)
            yield Rendering(target, options, progress, begin).translate(scene, engine, loaded)
        except Geo2MapError as error:
            yield Report(scene_name(scene), error=str(error), option=error.option)
