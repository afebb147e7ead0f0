"""Checking and repairing a finished output."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from pathlib import Path

from geo2map.api.jobs import make_job
from geo2map.api.models import ModelLike, open_engine
from geo2map.api.rendering import write_failures
from geo2map.checking import CheckReport, check
from geo2map.errors import ModelFileError, OutputError
from geo2map.ledger import Pending, finish_publishing, open_output
from geo2map.ledger.finished_record import load_journal
from geo2map.ledger.journal import Journal
from geo2map.model import ModelOptions, find_model, load_card, split_identity
from geo2map.pipeline.reading import BlockKey
from geo2map.pipeline.report import Report
from geo2map.pipeline.run import run
from geo2map.plan import Job, Plan
from geo2map.protocols import Progress
from geo2map.scene import open_imagery
from geo2map.types import PathLike, Tile


def repair(
    path: PathLike,
    *,
    engine: ModelLike | None = None,
    progress: Progress | None = None,
) -> CheckReport:
    """Repair a finished output: re-render damaged blocks, rebuild overviews, delete stray tiles.

    Repairs byte for byte; a file is rebuilt. Files other than tiles are left alone.

    Args:
        engine: the model that rendered the output; None is the packaged model of the recorded name.
        progress: see `geo2map.run`.

    Returns:
        The report of a check afterwards.

    Raises:
        OutputError: it has no journal, is on another grid than the tiles', or scenes or model have changed: nothing is
            modified.
    """
    finish_publishing(path)
    before = check(path)
    journal = load_journal(Path(path).resolve())
    if journal is None:
        raise OutputError(f"{path}: has no record, so it cannot be repaired; render it again")
    try:
        job, pending, is_incomplete = journal.job, _damaged_blocks(journal, before), journal.is_incomplete
    finally:
        journal.close()
    if before.ok:
        return before
    if pending.damaged or is_incomplete:
        _render_again(path, job, pending, engine, progress)
    else:
        with open_output(path, job, pending=pending) as output:
            output.finish(progress)
    write_failures(path, Report.of(job))  # whatever could not be read was rendered now
    return check(path)


def _render_again(
    path: PathLike,
    job: Job,
    pending: Pending,
    engine: ModelLike | None,
    progress: Progress | None,
) -> None:
    paths = [scene.path for scene in job.scenes]
    with open_imagery(paths, job.reading) as opened:
        choice = _find_model(job) if engine is None and job.plan.model else engine
        with open_engine(choice) if choice is not None and job.plan.model else nullcontext() as loaded:
            now = make_job(opened, job.plan, loaded, storage=job.storage, reading=job.reading, facts=job.facts)
            if loaded is not None and loaded.card.identity != job.plan.model:
                raise OutputError(
                    f"{path}: rendered with another model, {job.plan.model}; use that one", option="model"
                )
            if differences := job.differences(now):
                raise OutputError(f"{path}: cannot be repaired, since {'; '.join(differences[:3])}; render it again")
            with opened.at(job.plan.view) as source, open_output(path, job, pending=pending) as output:
                run(source, loaded, output, progress=progress)


def _find_model(job: Job) -> ModelOptions:
    """The packaged model of a job, with its precision and device."""
    name, fingerprint = split_identity(job.plan.model)
    with suppress(ModelFileError):
        if load_card(find_model(name)).fingerprint == fingerprint:
            return ModelOptions(model=name, device=job.device, precision=job.precision)  # type: ignore[arg-type]
    raise OutputError(f"model {job.plan.model}: not packaged; give its file", option="model")


def _damaged_blocks(journal: Journal, report: CheckReport) -> Pending:
    """The blocks of a finished output with damaged tiles, and the tiles that belong to no block."""
    records, plan = journal.blocks(), journal.job.plan
    damaged: set[BlockKey] = set()
    orphans: dict[str, list[Tile]] = {}
    for problem in report.problems:
        if problem.tile and problem.kind == "stray":
            orphans.setdefault(problem.layer, []).append(problem.tile)
        elif problem.tile:
            lowest = _descendant(journal, problem.layer, problem.tile)
            damaged |= {key for key in _keys(plan, lowest) if key in records}
    return Pending(finished=True, damaged=sorted(damaged), orphans=orphans)


def _descendant(journal: Journal, layer: str, tile: Tile) -> Tile:
    """The tile itself if a block renders it, else a descendant that a block renders."""
    zoom = journal.job.plan.maxzoom - journal.job.plan.block_levels
    if tile.z >= zoom:
        return tile
    level = zoom - tile.z
    below = (t for t, _ in journal.layer(layer).digests(zoom) if (t.x >> level, t.y >> level) == (tile.x, tile.y))
    return next(below, tile)


def _keys(plan: Plan, tile: Tile) -> list[BlockKey]:
    """The blocks that may render a tile: columns of blocks continue beyond the antimeridian."""
    level, span = plan.maxzoom - tile.z, plan.block_span
    x, y = (tile.x << level) // span, (tile.y << level) // span
    return [(x, y), (x + 2**plan.maxzoom // span, y)]
