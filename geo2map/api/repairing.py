"""A finished set of tiles checked and mended."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from geo2map.api.rendering import PathLike, as_choice, make_job, open_engine
from geo2map.errors import ModelFileError, OutputError
from geo2map.model import ModelOptions, find_model, load_card
from geo2map.outputs import end_publishing, open_update
from geo2map.outputs.check import CheckReport, check
from geo2map.outputs.folder import load_journal
from geo2map.pipeline.blocks import BlockKey
from geo2map.pipeline.journal import Journal
from geo2map.pipeline.records import Changes
from geo2map.pipeline.run import run
from geo2map.plan import Job, Plan
from geo2map.protocols import Progress
from geo2map.scene import open_scenes
from geo2map.types import Tile

if TYPE_CHECKING:
    from geo2map.engine import Engine


def repair(
    path: PathLike,
    *,
    engine: Engine | ModelOptions | PathLike | None = None,
    progress: Progress | None = None,
) -> CheckReport:
    """Mends an output that geo2map made: renders broken blocks again, makes overviews anew, removes strays.

    What is mended is byte for byte what it was; a file is made anew with it. Files that are no tiles are left where
    they are.

    Args:
        engine: the model that the set was made with; None finds the packaged one of its name.
        progress: see `geo2map.run`.

    Returns:
        What a check finds afterwards.

    Raises:
        OutputError: it keeps no journal or lies on another grid than the tiles', or scenes or model are not what they
            were: nothing is changed.
    """
    end_publishing(path)
    before = check(path)
    journal = load_journal(Path(path).resolve())
    if journal is None:
        raise OutputError(f"{path} keeps no record of how it was made and cannot be mended: render it anew")
    try:
        job, changes = journal.job, _changes(journal, before)
        is_open = any(record.open for record in journal.blocks().values())
    finally:
        journal.close()
    if before.ok:
        return before
    if changes.spoilt or is_open:
        _render_again(path, job, changes, engine, progress)
    else:
        with open_update(path, job, changes) as output:
            output.finish(progress)
    return check(path)


def _render_again(
    path: PathLike,
    job: Job,
    changes: Changes,
    engine: Engine | ModelOptions | PathLike | None,
    progress: Progress | None,
) -> None:
    paths = [scene.path for scene in job.scenes]
    with open_scenes(paths, **asdict(job.reading)) as opened, ExitStack() as stack:
        loaded = None
        if job.plan.model:
            choice = as_choice(engine) if engine is not None else _find_model(job)
            loaded = stack.enter_context(open_engine(choice))
        now = make_job(opened, job.plan, loaded, storage=job.storage, reading=job.reading, facts=job.facts)
        if loaded is not None and f"{loaded.card.name} {loaded.card.fingerprint}" != job.plan.model:
            raise OutputError(f"{path} was made with another model, {job.plan.model}: use that one", option="model")
        if differences := job.differences(now):
            raise OutputError(f"{path} cannot be mended, since {'; '.join(differences[:3])}: render it anew")
        with opened.at(job.plan.view) as source, open_update(path, job, changes) as output:
            run(source, loaded, output, progress=progress)


def _find_model(job: Job) -> ModelOptions:
    """The packaged model that a job names, with the job's precision and device."""
    name = job.plan.model.split()[0]
    with suppress(ModelFileError):
        if load_card(find_model(name)).fingerprint == job.plan.model.split()[-1]:
            return ModelOptions(model=name, device=job.device, precision=job.precision)  # type: ignore[arg-type]
    raise OutputError(f"the model {job.plan.model} is not packaged here: name its file", option="model")


def _changes(journal: Journal, report: CheckReport) -> Changes:
    tiles = [p.tile for p in report.problems if p.tile and p.kind != "stray"]
    strays = [
        [p.tile for p in report.problems if p.tile and p.kind == "stray" and p.of_source == of] for of in (False, True)
    ]
    records, plan = journal.blocks(), journal.job.plan
    spoilt: set[BlockKey] = set()
    for tile in tiles:
        lowest = _descendant(journal, tile)
        spoilt |= {key for key in _keys(plan, lowest) if key in records}
    return Changes(spoilt=sorted(spoilt), strays=strays[0], source_strays=strays[1])


def _descendant(journal: Journal, tile: Tile) -> Tile:
    """The tile itself where a block makes it, else one below it that a block makes."""
    zoom = journal.job.plan.maxzoom - journal.job.plan.block_levels
    if tile.z >= zoom:
        return tile
    level = zoom - tile.z
    below = (t for t, _ in journal.digests(zoom) if (t.x >> level, t.y >> level) == (tile.x, tile.y))
    return next(below, tile)


def _keys(plan: Plan, tile: Tile) -> list[BlockKey]:
    """The blocks that may make a tile: columns of blocks go on beyond the antimeridian."""
    level, span = plan.maxzoom - tile.z, plan.block_span
    x, y = (tile.x << level) // span, (tile.y << level) // span
    return [(x, y), (x + 2**plan.maxzoom // span, y)]
