"""Parts to one output, the bytes that one process would have written."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

from geo2map.cluster.jobfile import JobFile
from geo2map.cluster.joined import JoinedParts
from geo2map.cluster.parts import PartFolder, ShardRecord
from geo2map.cluster.work import part_digest
from geo2map.errors import OutputError, TileSetError
from geo2map.outputs import (
    Output,
    OutputOptions,
    check_output,
    end_publishing,
    find_complete,
    find_container,
    open_output,
)
from geo2map.pipeline.journal import Journal
from geo2map.pipeline.report import Report
from geo2map.pipeline.schema import copy_records, journal_errors
from geo2map.pipeline.spool import SpoolStore
from geo2map.plan import Shard, Storage
from geo2map.plan.shards import shard_levels
from geo2map.protocols import Begin, Progress
from geo2map.types import Tile

_AT_ONCE = 256
"""Tiles that are read from a part at once."""


def merge_parts(
    parts: str | Path,
    out: str | Path,
    *,
    options: OutputOptions | None = None,
    progress: Progress | None = None,
    begin: Begin | None = None,
) -> Report:
    """Makes the output of a job of the parts of all its shards, and the zooms above them. The parts stay; a finished
    output of the job is left as it is.

    One file is made of the parts where they lie; into a folder they are copied. Memory does not grow with tiles, but
    for what the writers say. A merge that was stopped goes on: parts that were checked are not checked again.

    Args:
        parts: a folder that `render_shard` filled.
        out: as `geo2map.render` has it.
        progress: told "parts" and how many are merged, then what finishing says.
        begin: told what a user should know before the work begins.

    Raises:
        OutputError: shards are missing (says how many), of another job, or damaged; or the output cannot be written.
        PlanError: no folder of parts.
    """
    folder = PartFolder(parts)
    order = folder.order()
    options = options or OutputOptions()
    check_merge(order, out, options)
    if (complete := find_complete(out, order.wanted, options)) is not None:
        return complete
    records, total = require_records(folder, order)
    report = Report.of(order.job)
    report.notes = device_notes(records.values())
    if begin is not None:
        begin(report.name, report.notes)
    with open_output(out, order.job, options) as output:
        if not output.complete:
            plan, storage = order.job.plan, order.job.storage
            output.made_down_to = max(storage.minzoom or 0, plan.maxzoom - shard_levels(plan, order.shard_zoom))
            if not output.container.is_folder:
                _forget_blocks(output.journal)
            for done, (shard, record) in enumerate(records.items(), 1):
                _add(output, folder, shard, record)
                _count(report, folder.part(shard))
                if progress is not None:
                    progress("parts", done, total)
            _finish(output, folder, records, progress)
    report.add_seconds("shards", sum(record.seconds for record in records.values()))
    return report


def require_records(folder: PartFolder, order: JobFile) -> tuple[dict[Shard, ShardRecord], int]:
    """The records of all shards, and how many.

    Raises:
        OutputError: some are missing, or of another job.
    """
    found: dict[Shard, ShardRecord] = {}
    missing: list[Shard] = []
    for shard in order.shards():
        record = folder.record(shard)
        if record is None or not folder.part(shard).is_file():
            missing.append(shard)
        elif record.fingerprint != order.fingerprint:
            raise OutputError(
                f"shard {shard.name} in {folder.path} is of job {record.fingerprint}, the others of "
                f"{order.fingerprint}: remove its part and its record, and render it again"
            )
        else:
            found[shard] = record
    if missing:
        names = ", ".join(shard.name for shard in missing[:3])
        raise OutputError(
            f"{len(missing)} of {len(missing) + len(found)} shards are missing in {folder.path} ({names}"
            f"{', ...' if len(missing) > 3 else ''}): render them first, by the same commands"
        )
    return found, len(found)


def device_notes(records: Iterable[ShardRecord]) -> tuple[str, ...]:
    """What to say where not all shards came from one kind of device; nothing otherwise."""
    devices: dict[str, int] = {}
    for record in records:
        devices[record.device] = devices.get(record.device, 0) + 1
    if len(devices) < 2:
        return ()
    said = ", ".join(f"{count} on {name or 'no device'}" for name, count in sorted(devices.items()))
    return (f"shards were rendered on different devices ({said}): their tiles may differ by a grey level",)


def check_merge(order: JobFile, out: str | Path, options: OutputOptions) -> None:
    """Refuses at once an output that cannot be made of the parts of a job. Writes nothing.

    Raises:
        OutputError: tiles of another format than the output's, or what `check_output` refuses.
    """
    container, storage = find_container(out), order.job.storage
    if not container.takes_format and storage.format != "png":
        raise OutputError(
            f"{out} would be {container.name}, but the tiles of this job are {storage.format}: choose another kind, "
            "or plan with png"
        )
    end_publishing(out, runs=False)
    check_output(out, options, Storage())


def _finish(
    output: Output, folder: PartFolder, records: Mapping[Shard, ShardRecord], progress: Progress | None
) -> None:
    """Makes the zooms above the parts, and the container."""
    output.records = output.journal.blocks()
    held = [shard for shard, record in records.items() if record.tiles]
    if output.container.is_folder or not held:
        output.finish(progress)
        return
    assert output.made_down_to is not None, "the merge says what parts hold"
    zooms = range(output.made_down_to, output.job.plan.maxzoom + 1)
    with JoinedParts(folder, held, zooms, SpoolStore(output.journal)) as joined:
        output.elsewhere, output.parts = joined, [folder.part(shard) for shard in records]
        output.finish(progress)


def _forget_blocks(journal: Journal) -> None:
    """Empties a journal that a run of its own began: all tiles are in the parts, none of them in there."""
    with journal.errors():
        for name in ("blocks", "tiles", "data"):
            journal.db.execute(f"DELETE FROM {name}")


def _count(report: Report, path: Path) -> None:
    with journal_errors(path), closing(sqlite3.connect(f"{path.resolve().as_uri()}?immutable=1", uri=True)) as db:
        blocks, full, tiles = db.execute("SELECT count(*), sum(tiles > 0), sum(tiles) FROM blocks").fetchone()
    report.translated += full or 0
    report.empty += blocks - (full or 0)
    report.tiles += tiles or 0


def _add(output: Output, folder: PartFolder, shard: Shard, record: ShardRecord) -> None:
    """Checks a part, and takes it into a folder of tiles in one transaction; nothing where that was done before."""
    key = f"shard {shard.name}"
    if output.journal.get(key) == record.digest:
        return
    path = folder.part(shard)
    part = Journal(path, read_only=True)
    try:
        if part.job.fingerprint != output.job.fingerprint or part_digest(part)[2] != record.digest:
            raise TileSetError(f"{path} is not what its record says: remove both, and render the shard again")
        if output.container.is_folder:
            _put_tiles(output, part)
    finally:
        part.close()
    if output.container.is_folder:
        with output.journal.errors():
            copy_records(output.journal.db, path, "main")
    output.journal.set(key, record.digest)
    output.resumed = True  # what is merged is kept when this is stopped


def _put_tiles(output: Output, part: Journal) -> None:
    """Writes a part's tiles into the folder in the making."""
    with part.errors():
        rows = part.db.execute("SELECT x, y, z, data FROM data ORDER BY z, x, y")
        while some := rows.fetchmany(_AT_ONCE):
            for x, y, z, data in some:
                output.store.put(Tile(x, y, z), bytes(data))
            output.store.sync()
