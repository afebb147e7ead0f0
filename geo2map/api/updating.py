"""Updating a finished output: add or replace scenes, and re-render only affected tiles."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from geo2map.api.jobs import make_job, on_engine
from geo2map.api.models import ModelLike, as_choice, open_engine
from geo2map.api.rendering import write_failures
from geo2map.errors import OutputError, PlanError
from geo2map.files.place import require_apart, resolve_place
from geo2map.formats import find_container
from geo2map.grid import TILE_SIZE, PixelWindow, world_window
from geo2map.ledger import Pending, find_complete, finish_publishing, open_output
from geo2map.ledger.checks import occupied
from geo2map.ledger.finished import require_tiles
from geo2map.ledger.finished_record import journal_path, load_journal, load_origin
from geo2map.model import ModelOptions
from geo2map.pipeline.reading import BlockKey
from geo2map.pipeline.records import BlockRecord
from geo2map.pipeline.report import Report
from geo2map.pipeline.run import run
from geo2map.plan import Job, Plan
from geo2map.plan.make import sample_digest
from geo2map.protocols import Begin, Progress
from geo2map.scene import Imagery, Scenes, SceneSelection, open_imagery, select_scenes
from geo2map.types import OnError, PathLike

if TYPE_CHECKING:
    from geo2map.engine import Engine


def update(
    scenes: Scenes | SceneSelection,
    out: PathLike,
    *,
    engine: ModelLike = "sat2map",
    on_error: OnError = "fail",
    progress: Progress | None = None,
    begin: Begin | None = None,
) -> Report:
    """Add scenes to a finished output, or re-render those that changed.

    A folder is changed in place; a file is rebuilt from its old tiles and the changed ones.

    Colours, zooms, area of interest and format are those of the record. A scene that the output already has keeps its
    position, others are appended; the recorded `order` decides which is on top. Only blocks whose pixels changed are
    translated, and only their ancestors are rebuilt. The tiles equal those of a render of all scenes with the same
    colours. If no scene is new or changed, nothing is touched.

    Args:
        scenes: see `geo2map.render`.
        out: written by `geo2map.render`; not a raster on another grid than the tiles'.
        engine: the model that rendered the output.
        on_error, progress, begin: see `geo2map.render`.

    Raises:
        OutputError: there is no such output, or it cannot be written.
        PlanError: another model, precision or device than recorded.
    """
    finish_publishing(out)
    before, records = _load(out)
    fresh = select_scenes(scenes)
    for place in occupied(out, find_container(out), before.storage.layers):
        require_apart(place, fresh.files)
    paths = dict.fromkeys([*(scene.path for scene in before.scenes), *fresh.full_paths])
    choice = as_choice(engine)
    if before.plan.model:
        _require_model(before, choice, out)
    together = SceneSelection(tuple(paths), before.plan.name, fresh.remarks, fresh.is_tiles and len(paths) == 1)
    with open_imagery(together, before.reading, on_error=on_error) as opened:
        job = _extended(before, opened, choice if before.plan.model else None)
        if not before.refusals(job) and (complete := find_complete(out, job)) is not None:
            return complete.at(out)
        with open_engine(choice) if before.plan.model else nullcontext() as loaded:
            job = on_engine(job, loaded)
            _require_alike(before, job)
            pending = _affected_blocks(before, job, records)
            with opened.at(job.plan.view) as source, open_output(out, job, pending=pending) as output:
                report = run(source, loaded, output, on_error=on_error, progress=progress, begin=begin)
    write_failures(out, report)
    return report.at(out)


def _load(out: PathLike) -> tuple[Job, dict[BlockKey, BlockRecord]]:
    journal = load_journal(resolve_place(out))
    if journal is None:
        raise OutputError(_no_journal(Path(out)))
    try:
        require_tiles(Path(out), find_container(out), journal.job.storage)
        return journal.job, journal.blocks()
    finally:
        journal.close()


def _no_journal(out: Path) -> str:
    if load_origin(out.resolve()) is not None:
        return f"{out}: converted from other tiles, so it cannot be updated; update those and convert again"
    if out.is_file():
        return (
            f"{out}: has no record ({journal_path(out.resolve()).name} beside it), so it cannot be updated; render it "
            "again"
        )
    return f"{out}: not a finished output of geo2map; check the path"


def _require_model(before: Job, choice: Engine | ModelOptions, out: PathLike) -> None:
    card = choice.load_card() if isinstance(choice, ModelOptions) else choice.card
    if card.identity != before.plan.model:
        raise PlanError(f"{out}: rendered with another model, {before.plan.model}; use that one", option="model")


def _require_alike(before: Job, now: Job) -> None:
    same = replace(before, scenes=now.scenes, plan=now.plan, facts=now.facts)
    if differences := same.differences(now):
        raise PlanError(f"the output was rendered with different settings ({', '.join(differences)}); render it again")


def _extended(before: Job, opened: Imagery, engine: Engine | ModelOptions | None) -> Job:
    """The job of an output with more scenes."""
    plan, facts = _extend(before.plan, opened), {key: fact for key, fact in before.facts.items() if key != "scenes"}
    return make_job(opened, plan, engine, storage=before.storage, reading=before.reading, facts=facts)


def _extend(plan: Plan, opened: Imagery) -> Plan:
    """The same plan for more scenes: changes only the area covered."""
    window = opened.window(plan.maxzoom)
    if plan.aoi is not None:
        window = plan.aoi.cut(window, plan.maxzoom, plan.clip, plan.name)
    return replace(plan, window=window, content=sample_digest(opened.sample(), opened), notes=opened.notes)


def _affected_blocks(before: Job, now: Job, records: dict[BlockKey, BlockRecord]) -> Pending:
    """The blocks of a finished output that another job may change."""
    removed = set(records) - {now.plan.block_key(block) for block in now.plan.blocks()}
    return Pending(finished=True, recheck=_may_change(before, now, records), removed=sorted(removed))


def _may_change(before: Job, now: Job, records: dict[BlockKey, BlockRecord]) -> list[BlockKey]:
    """Blocks that may change: all if a scene of the output changed, else those near the new scenes."""
    known = {scene.path: scene for scene in before.scenes}
    if any(known[scene.path].difference(scene) for scene in now.scenes if scene.path in known):
        return list(records)
    plan, reach = now.plan, now.plan.margin + now.plan.fill_radius + now.reading.feather
    side, world = plan.block_span * TILE_SIZE, world_window(plan.maxzoom).width
    windows = []
    for scene in now.scenes:
        if scene.path not in known:
            with open_imagery(scene.path, now.reading) as fresh:
                windows.append(fresh.window(plan.maxzoom).grow(reach))
    keys = np.array(list(records), dtype=np.int64).reshape(-1, 2)
    changing = np.zeros(len(keys), dtype=np.bool_)
    for window in windows:
        for frame in (window.shift(-world), window, window.shift(world)):
            changing |= _overlaps(keys * side, side, frame)
    return [(int(x), int(y)) for x, y in keys[changing]]


def _overlaps(corners: npt.NDArray[np.int64], side: int, frame: PixelWindow) -> npt.NDArray[np.bool_]:
    """Which squares of `side` px, by their north-west corners, (N, 2), intersect a window; (N,)."""
    x, y = corners.T
    across = (x < frame.right) & (x + side > frame.left)
    found: npt.NDArray[np.bool_] = across & (y < frame.bottom) & (y + side > frame.top)
    return found
