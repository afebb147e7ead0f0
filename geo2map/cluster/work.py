"""Rendering a shard: from a job file to a part and its record, on whatever machine."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from geo2map.cluster.engines import JobEngine
from geo2map.cluster.jobfile import JobFile, Readable
from geo2map.cluster.parts import PartFolder, ShardRecord
from geo2map.errors import ModelFileError, PlanError
from geo2map.pipeline.blocks import render_blocks
from geo2map.pipeline.journal import Journal
from geo2map.pipeline.records import tile_digest
from geo2map.pipeline.spool import SpoolStore
from geo2map.plan import Shard
from geo2map.plan.job import library_versions
from geo2map.plan.shards import shard_levels
from geo2map.protocols import Progress
from geo2map.scene import SceneIdentity
from geo2map.tiles.pyramid import build_parents

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
        draft = parts.draft(shard)
        try:
            tiles, size, digest = _render(order, shard, scene, engine, draft)
            device = _name_of(engine)
            seconds = round(time.perf_counter() - started, 3)
            record = ShardRecord(order.fingerprint, shard.name, tiles, size, digest, device, seconds)
            return parts.publish(shard, draft, record)
        finally:
            for path in (draft, *(draft.with_name(draft.name + tail) for tail in ("-wal", "-shm", "-journal"))):
                with suppress(OSError):
                    path.unlink(missing_ok=True)


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


def _render(order: JobFile, shard: Shard, scene: Readable, engine: Engine | None, draft: Path) -> tuple[int, int, str]:
    """Tiles of a shard with all overviews that it holds whole into a journal of their own."""
    job = order.job
    plan, storage = job.plan, job.storage
    journal = Journal.create(draft, job)
    try:
        with journal.errors():  # flushed once, when it is whole: an unfinished part counts for nothing
            journal.db.execute("PRAGMA synchronous = OFF")
        store = SpoolStore(journal)
        with scene.at(plan.view) as source:
            for done, tiles in render_blocks(plan, source, engine, storage, shard.blocks(plan)):
                for tile, data in tiles.items():
                    store.put(tile, data)
                journal.record(done, tiles)
        bottom = max(storage.minzoom or 0, plan.maxzoom - shard_levels(plan, shard.z))
        children = list(store.tiles(plan.maxzoom - storage.levels(plan)))
        for tile, parent in build_parents(store, storage.codec, children, bottom):
            journal.record_parents({tile: parent})
        with journal.errors():
            journal.db.execute("PRAGMA journal_mode = DELETE")  # one file, whole
        return part_digest(journal)
    finally:
        journal.close()


def part_digest(journal: Journal) -> tuple[int, int, str]:
    """How many tiles a part holds, their bytes, and sixteen hex digits that change with any of them."""
    digest, tiles, size = blake2b(digest_size=8), 0, 0
    with journal.errors():
        for z, x, y, data in journal.db.execute("SELECT z, x, y, data FROM data ORDER BY z, x, y"):
            digest.update(f"{z}/{x}/{y}".encode() + tile_digest(data))
            tiles, size = tiles + 1, size + len(data)
        for row in journal.db.execute("SELECT x, y, inputs, tiles, open FROM blocks ORDER BY y, x"):
            digest.update(repr(row).encode())
    return tiles, size, digest.hexdigest()


def _require_same(order: JobFile, scenes: tuple[SceneIdentity, ...], engine: Engine | None) -> None:
    """
    Raises:
        ModelFileError: the model is another one.
        PlanError: anything else that may change a byte is another one; names it.
    """
    job = order.job
    if engine is not None and f"{engine.card.name} {engine.card.fingerprint}" != job.plan.model:
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
