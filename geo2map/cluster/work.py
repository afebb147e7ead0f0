"""Rendering a shard: from a job file to a part and its record, on whatever machine."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from geo2map.cluster.engines import JobEngine
from geo2map.cluster.jobfile import JobFile
from geo2map.cluster.parts import PartFolder, PartTarget, ShardRecord
from geo2map.errors import ModelFileError, PlanError
from geo2map.ledger import Pending, open_output
from geo2map.pipeline.run import run
from geo2map.plan import Shard
from geo2map.plan.job import library_versions
from geo2map.protocols import Progress
from geo2map.scene import SceneIdentity

if TYPE_CHECKING:
    from geo2map.engine import Engine

log = logging.getLogger(__name__)


def render_shard(
    order: JobFile,
    shard: Shard,
    out: str | Path,
    *,
    engine: Engine | None = None,
    engines: JobEngine | None = None,
    make: bool = True,
) -> ShardRecord:
    """Renders a shard into a folder of parts. Harmless when repeated, here or elsewhere: a shard that is recorded is
    not rendered again, and of two at the same time the record of the first counts.

    Args:
        engine: a loaded engine instead of the one the job names.
        engines: loads the job's engine and keeps it for other shards; None loads it for this shard alone.
        make: make the folder where there is none.

    Raises:
        PlanError: this machine would make other tiles; says why.
        Geo2MapError: whatever scenes, model and folder raise.
    """
    parts = PartFolder(out)
    parts.adopt(order, make=make)
    if (record := parts.record(shard)) is not None:
        return _checked(order, record)
    started = time.perf_counter()
    with order.open_scenes() as scene, JobEngine() if engines is None else nullcontext(engines) as loading:
        engine = engine or loading.of(order)
        _require_same(order, scene.identities, engine)
        target = PartTarget(parts, shard, _name_of(engine), started)
        pending = Pending(shard=shard)
        with scene.at(order.job.plan.view) as source, open_output(target, order.job, pending=pending) as output:
            run(source, engine, output)
    return _checked(order, target.record)


def render_slice(
    order: JobFile, number: int, count: int, out: str | Path, progress: Progress | None = None
) -> Iterator[ShardRecord]:
    """Renders every `count`-th shard: what one task of an array of jobs does.

    Args:
        number: of the task, 1 to `count`.
        progress: told "shards" and how many of the slice are done.

    Yields:
        A record a shard, of those done before, too.

    Raises:
        PlanError: no such number.
    """
    if not 1 <= number <= count:
        raise PlanError(f"shard {number}/{count} is none: count from 1 to {count}", option="shard")
    mine = [shard for place, shard in enumerate(order.shards()) if place % count == number - 1]
    with JobEngine() as engines:
        for done, shard in enumerate(mine, 1):
            yield render_shard(order, shard, out, engines=engines)
            if progress is not None:
                progress("shards", done, len(mine))


def _checked(order: JobFile, record: ShardRecord) -> ShardRecord:
    if record.fingerprint != order.fingerprint:
        raise PlanError(f"shard {record.shard} was rendered for another job: choose another folder")
    return record


def _require_same(order: JobFile, scenes: tuple[SceneIdentity, ...], engine: Engine | None) -> None:
    """
    Raises:
        ModelFileError: the model is another one.
        PlanError: anything else that may change a byte is another one; names it.
    """
    job = order.job
    if engine is not None and engine.card.identity != job.plan.model:
        raise ModelFileError(
            f"the model here is not the one of the job ({job.plan.model}): bring that one", option="model"
        )
    here = replace(job, scenes=scenes, versions=library_versions(engine is not None))
    if engine is not None:
        here = replace(here, device=engine.device.type, precision=engine.precision)
    if here.fingerprint != job.fingerprint:
        found = "; ".join(job.differences(here)[:3])
        raise PlanError(
            f"this machine would make other tiles than the job's: {found}. Make it as that was, or plan anew"
        )


def _name_of(engine: Engine | None) -> str:
    if engine is None:
        return ""
    from geo2map.engine.device import device_name

    return device_name(engine.device)
