"""Parts to one output, the bytes that one process would have written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from itertools import chain
from pathlib import Path

from geo2map.cluster.jobfile import JobFile
from geo2map.cluster.parts import PartFolder, ShardRecord
from geo2map.errors import OutputError, TileSetError
from geo2map.formats import find_container
from geo2map.ledger import Output, OutputOptions, check_output, find_complete, finish_publishing, open_output
from geo2map.ledger.journal import Journal
from geo2map.ledger.overlay import OverlayStore
from geo2map.ledger.part import count_part, part_content, part_doubt
from geo2map.ledger.parts_store import PartsStore
from geo2map.ledger.spool import SpoolStore
from geo2map.pipeline.report import Report
from geo2map.plan import Shard, Storage
from geo2map.plan.shards import shard_levels
from geo2map.protocols import Begin, Progress, TileStore
from geo2map.tiles.doubt import Doubt

_AT_ONCE = 256
"""Tiles of a part that are flushed together."""


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
        return complete.at(out)
    records, total = require_records(folder, order)
    report = Report.of(order.job)
    report.notes = device_notes(records.values())
    if begin is not None:
        begin(report.name, report.notes)
    with open_output(out, order.job, options) as output:
        if not output.complete:
            plan, storage = order.job.plan, order.job.storage
            output.lowest_complete_zoom = max(storage.minzoom or 0, plan.maxzoom - shard_levels(plan, order.shard_zoom))
            if not output.container.is_folder:
                output.journal.clear_blocks()
            for done, (shard, record) in enumerate(records.items(), 1):
                _add(output, folder, shard, record)
                _count(report, folder.part(shard))
                if progress is not None:
                    progress("parts", done, total)
            _finish(output, folder, records, progress)
    report.doubt = Doubt.of(chain.from_iterable(part_doubt(folder.part(shard)) for shard in records))
    report.add_seconds("shards", sum(record.seconds for record in records.values()))
    return report.at(out)


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
    if container.is_vector and not storage.vector:
        raise OutputError(
            f"{out} would be {container.name}, but the parts of this job hold no features: plan it again for vector "
            "tiles or a vector file",
            option="vector",
        )
    if not container.takes_format and not container.is_vector and storage.format != "png":
        raise OutputError(
            f"{out} would be {container.name}, but the tiles of this job are {storage.format}: choose another kind, "
            "or plan with png"
        )
    if container.is_raster and storage.layers and not storage.exact_layers:
        raise OutputError(
            f"{out} would be {container.name}, which holds no layers that were planned for tiles: choose another kind"
        )
    finish_publishing(out, runs=False)
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
    assert output.lowest_complete_zoom is not None, "the merge states what parts hold"
    zooms = range(output.lowest_complete_zoom, output.job.plan.maxzoom + 1)
    with ExitStack() as stack:
        stores: dict[str, TileStore] = {}
        for name in {**output.job.block_layers, **output.job.layers}:
            parts = stack.enter_context(PartsStore(folder.part, held, zooms, name))
            stores[name] = OverlayStore(SpoolStore(output.journal, name), parts)
        output.stores, output.parts = stores, [folder.part(shard) for shard in records]
        output.finish(progress)


def _count(report: Report, path: Path) -> None:
    blocks, full, tiles = count_part(path)
    report.translated += full
    report.empty += blocks - full
    report.tiles += tiles


def _add(output: Output, folder: PartFolder, shard: Shard, record: ShardRecord) -> None:
    """Checks a part, and takes it into a folder of tiles in one transaction; nothing where that was done before."""
    journal, path = output.journal, folder.part(shard)
    if journal.merged_digest(shard.name) == record.digest:
        return
    part = Journal(path, read_only=True)
    try:
        if part.job.fingerprint != output.job.fingerprint or part_content(part).digest != record.digest:
            raise TileSetError(f"{path} is not what its record states: remove both, and render the shard again")
        if output.container.is_folder:
            _put_tiles(output, part)
    finally:
        part.close()
    journal.merge(shard.name, record.digest, path if output.container.is_folder else None)
    output.resumed = True  # what is merged is kept when this is stopped


def _put_tiles(output: Output, part: Journal) -> None:
    """Writes a part's tiles into the folder in the making."""
    for name, store in output.stores.items():
        for number, (tile, data) in enumerate(SpoolStore(part, name).items(), 1):
            store.put(tile, data)
            if number % _AT_ONCE == 0:
                store.sync()
        store.sync()
