"""Read, fill, translate, write: the one place where geography and tensors meet."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from geo2map.aoi import Aoi
from geo2map.grid.block import Block, BlockImage
from geo2map.grid.fill import fill
from geo2map.plan import Plan
from geo2map.protocols import Progress, Sink, Source, Translator

READ_AHEAD = 4
WRITERS = 2

T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass
class Report:
    """What a run did.

    Attributes:
        name: of the scene.
        maxzoom, minzoom: of the output.
        translated, empty: blocks with and without a valid pixel (`geo2map.tile` cuts, translating nothing).
        tiles: tiles written at maxzoom.
        seconds: wall-clock of the run ("total"), and the time spent in each stage; stages overlap.
        notes: the plan's sentences.
        error: why the run failed, None if it did not.
    """

    name: str
    maxzoom: int = 0
    minzoom: int = 0
    translated: int = 0
    empty: int = 0
    tiles: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-able values."""
        return asdict(self)

    def __str__(self) -> str:
        if self.error:
            return f"{self.name}: failed: {self.error}"
        return (
            f"{self.name}: {self.tiles} tiles at zoom {self.maxzoom}, overviews down to zoom {self.minzoom}; "
            f"{self.translated} blocks translated, {self.empty} empty, {self.seconds.get('total', 0.0):.1f} s"
        )


def run(
    plan: Plan,
    source: Source,
    translator: Translator | None,
    sink: Sink,
    *,
    blocks: Sequence[Block] | None = None,
    batch: int = 1,
    progress: Progress | None = None,
) -> Report:
    """Renders a plan: reads ahead in one thread, translates in this one, encodes and writes in others.

    Commits the sink at the end; on any error, Ctrl-C included, aborts it and lets the error go on.

    Args:
        translator: None writes the source's own pixels.
        blocks: some of the plan's blocks; default all.
        batch: blocks of equal shape translated at once.
        progress: called with ("blocks", done, total) from this thread.

    Raises:
        Geo2MapError: whatever source, translator or sink raise.
    """
    started = time.perf_counter()
    pipeline = _Pipeline(plan, source, translator, sink)
    total = plan.block_count if blocks is None else len(blocks)
    log.info("running plan %s of %s", plan.fingerprint, plan)
    told = 0
    try:
        for done in pipeline.run(plan.blocks() if blocks is None else blocks, batch):
            log.debug("%s: %d of %d blocks", plan.name, done, total)
            if progress is not None and done > told:
                progress("blocks", told := done, total)
        pipeline.clock("commit", sink.commit)
    except BaseException:
        sink.abort()
        raise
    pipeline.report.seconds["total"] = time.perf_counter() - started
    log.info("%s", pipeline.report)
    return pipeline.report


def prepare(plan: Plan, source: Source, block: Block) -> BlockImage:
    """Reads a block as the network shall see it: with margin, and filled where the scene has no data.

    The fill looks `plan.fill_radius` farther than the margin, so that it is the same in every block. A block
    whose core has no pixel to write is left as it is: nobody will translate it.

    Returns:
        Pixels with their margin; the core's mask is True where there are data and the plan's aoi wants them.
    """
    image = source.read(block.with_margin(plan.margin + plan.fill_radius))
    limited = image if plan.aoi is None else _limit(image, plan.aoi, plan.clip)
    if plan.fill_radius and limited.core().mask.any():
        limited = replace(limited, pixels=fill(image, plan.neutral, plan.fill_radius))
    return limited.with_margin(plan.margin)


def _limit(image: BlockImage, aoi: Aoi, clip: bool) -> BlockImage:
    """The image, its core's mask False wherever the aoi wants nothing."""
    mask = image.mask.copy()
    mask[image.block.core.slices(image.block.window)] &= aoi.mask(image.block, clip)
    return replace(image, mask=mask)


def translate(images: list[BlockImage], translator: Translator) -> list[BlockImage]:
    """Translates block images of equal shape and drops their margins."""
    batch = translator.translate(np.stack([image.pixels for image in images]))
    return [BlockImage(i.block, pixels, i.mask).core() for i, pixels in zip(images, batch, strict=True)]


class _Pipeline:
    """One run's stages and their clocks; every queue between them is bounded."""

    def __init__(self, plan: Plan, source: Source, translator: Translator | None, sink: Sink) -> None:
        self.plan, self.source, self.translator, self.sink = plan, source, translator, sink
        self.report = Report(plan.name, plan.maxzoom, plan.minzoom, notes=plan.notes)

    def clock(self, stage: str, call: Callable[..., T], *args: Any) -> T:
        """Calls and books the time. Each stage is booked from one thread at a time, except writing, whose
        threads may lose a tick between them."""
        started = time.perf_counter()
        try:
            return call(*args)
        finally:
            self.report.seconds[stage] = self.report.seconds.get(stage, 0.0) + time.perf_counter() - started

    def run(self, blocks: Iterable[Block], batch: int) -> Iterator[int]:
        """Everything but the commit; yields the number of blocks done so far."""
        writing: deque[Future[None]] = deque()
        with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(WRITERS) as writers:
            try:
                for images in self._batches(self._read(blocks, reader), batch):
                    for image in self._translated(images):
                        writing.append(writers.submit(self.clock, "write", self.sink.write, image))
                        self.report.tiles += sum(1 for _ in image.tiles())
                    while len(writing) > 2 * WRITERS:
                        writing.popleft().result()
                    yield self.report.translated + self.report.empty
                while writing:
                    writing.popleft().result()
                yield self.report.translated + self.report.empty
            except BaseException:
                reader.shutdown(cancel_futures=True)
                writers.shutdown(cancel_futures=True)
                raise

    def _read(self, blocks: Iterable[Block], reader: ThreadPoolExecutor) -> Iterator[BlockImage]:
        """Block images in order, at most `READ_AHEAD` of them read before they are asked for."""
        submitted = (reader.submit(self.clock, "read", prepare, self.plan, self.source, block) for block in blocks)
        coming = deque(islice(submitted, READ_AHEAD))
        while coming:
            image = coming.popleft().result()
            coming.extend(islice(submitted, 1))
            yield image

    def _batches(self, images: Iterator[BlockImage], size: int) -> Iterator[list[BlockImage]]:
        """Up to `size` consecutive images of equal shape, trimmed to the tiles that will be written; those with an
        empty core are counted and passed over."""
        waiting: list[BlockImage] = []
        for image in images:
            if not image.core().mask.any():
                self.report.empty += 1
                continue
            image = image.trimmed()
            if waiting and image.pixels.shape != waiting[0].pixels.shape:
                yield waiting
                waiting = []
            waiting.append(image)
            if len(waiting) == size:
                yield waiting
                waiting = []
        if waiting:
            yield waiting

    def _translated(self, images: list[BlockImage]) -> list[BlockImage]:
        """What is to be written of a batch: the map, or the source itself where nobody translates."""
        self.report.translated += len(images)
        if self.translator is None:
            return [image.core() for image in images]
        return self.clock("translate", translate, images, self.translator)
