"""A run: renders the pending blocks of a job into its output."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import replace
from types import TracebackType
from typing import Protocol, Self

from geo2map.grid.block import Block
from geo2map.pipeline.blocks import LayerTiles, Rendered, render_blocks
from geo2map.pipeline.reading import BlockDone, BlockKey
from geo2map.pipeline.records import BlockRecord
from geo2map.pipeline.report import Report
from geo2map.plan.job import Job
from geo2map.protocols import Begin, Progress, Source, Translator
from geo2map.threads import start_threads
from geo2map.tiles.doubt import Doubt
from geo2map.types import OnError

WAITING = 4
"""Blocks that may queue to be written."""

log = logging.getLogger(__name__)


class BlockSink(Protocol):
    """Receives the blocks of a run: `geo2map.ledger.Output`, or a part of one. A context manager.

    Attributes:
        job: the job of the run.
        records: the record of each block when it was opened.
        complete: whether nothing is left to do.
        resumed: whether an interrupted run is resumed.
        doubt: where the whole map is doubtful, once it is complete; None without a layer of confidence.
    """

    job: Job
    records: dict[BlockKey, BlockRecord]
    complete: bool
    resumed: bool
    doubt: Doubt | None

    @property
    def block_count(self) -> int:
        """Total number of blocks."""

    def blocks(self) -> Iterator[Block]:
        """The blocks still to be rendered."""

    def keep(self, done: BlockDone, tiles: LayerTiles) -> None:
        """Store a block."""

    def finish(self, progress: Progress | None = None) -> None:
        """Complete and publish it."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def pending_blocks(job: Job, records: Mapping[BlockKey, BlockRecord]) -> Iterator[Block]:
    """The blocks of a job that are not recorded as finished."""
    done = {key for key, record in records.items() if record.pending_reason is None}
    return (block for block in job.plan.blocks() if job.plan.block_key(block) not in done)


def run(
    source: Source,
    translator: Translator | None,
    output: BlockSink,
    *,
    on_error: OnError = "fail",
    progress: Progress | None = None,
    begin: Begin | None = None,
) -> Report:
    """Render the pending blocks of the output's job and finish the output.

    After any interruption, including Ctrl-C, finished blocks persist, and another run resumes.

    Args:
        translator: None writes the source's pixels.
        on_error: "skip" leaves unreadable blocks pending, and finishes without them.
        progress: called with ("resumed", done, total) if an earlier run is resumed, then with ("blocks", done, total)
            and the stages of `finish`, from this thread.
        begin: called with the plan's notes before the first block.

    Raises:
        Geo2MapError: raised by source, translator or output.
    """
    job, started = output.job, time.perf_counter()
    report, total = Report.of(job), output.block_count
    done = {key for key, record in output.records.items() if record.pending_reason is None}
    report.resumed = len(done)
    log.info("running job %s of %s; %d of %d blocks are done", job.fingerprint, job.plan, len(done), total)
    if begin is not None and not output.complete:
        begin(job.plan.name, job.plan.notes)
    if progress is not None and output.resumed:
        progress("resumed", len(done), total)
    if not output.complete:
        known = {key: record.inputs for key, record in output.records.items() if record.pending_reason is not None}
        todo = output.blocks()
        blocks = render_blocks(job.plan, source, translator, job.storage, todo, known=known, on_error=on_error)
        for number, block_done in enumerate(_kept(blocks, output), start=1 + len(done)):
            report.add(block_done)
            log.debug("%s: %d of %d blocks", job.plan.name, number, total)
            if progress is not None:
                progress("blocks", number, total)
        finishing = time.perf_counter()
        output.finish(progress)
        report.add_seconds("finish", time.perf_counter() - finishing)
    else:
        report.complete = True
    report.doubt = output.doubt
    report.seconds["total"] = time.perf_counter() - started
    log.info("%s", report)
    return report


def _kept(blocks: Iterator[Rendered], output: BlockSink) -> Iterator[BlockDone]:
    """Store blocks in a writer thread, one after the other; yields those stored.

    Blocks rendered before an error are still stored; after a write error no other is started.
    """
    writing: deque[Future[BlockDone]] = deque()
    with start_threads(1, "write") as writer:
        try:
            for done, tiles in blocks:
                writing.append(writer.submit(_keep, output, done, tiles))
                while len(writing) > WAITING or (writing and writing[0].done()):
                    yield _oldest(writing)
            while writing:
                yield _oldest(writing)
        finally:
            blocks.close()  # type: ignore[attr-defined]  # a generator: drops unfinished blocks


def _oldest(writing: deque[Future[BlockDone]]) -> BlockDone:
    """The block submitted first, once it is stored."""
    try:
        return writing.popleft().result()
    except Exception:
        for future in writing:
            future.cancel()
        raise


def _keep(output: BlockSink, done: BlockDone, tiles: LayerTiles) -> BlockDone:
    started = time.perf_counter()
    output.keep(done, tiles)
    return replace(done, seconds={**done.seconds, "write": time.perf_counter() - started})
