"""Reading blocks as network input, in the order of the plan, by several threads if the source supports it."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from itertools import groupby, islice
from threading import Lock
from typing import Self

import numpy as np

from geo2map.aoi import Aoi
from geo2map.errors import SceneError, TileSetError
from geo2map.grid.block import Block, BlockImage
from geo2map.grid.fill import fill
from geo2map.pipeline.strips import Layout, cut_block, cut_strips
from geo2map.plan.value import Plan
from geo2map.protocols import Source, SplitSource, TranslatorInput
from geo2map.threads import Budget
from geo2map.tiles.doubt import TileDoubt
from geo2map.types import OnError, Tile

READ_AHEAD = 4
"""Blocks read ahead of their use, one by one in a single thread."""
MOST_READERS = 8

BlockKey = tuple[int, int]


@dataclass(frozen=True)
class BlockDone:
    """Outcome of a block, without its tiles.

    Attributes:
        block: the block of the plan.
        key: its `Plan.block_key`.
        inputs: digest of the prepared pixels, which decide its tiles; "" without a pixel to write.
        tiles: number of tiles at maxzoom.
        unchanged: whether it was skipped, since the digest is unchanged.
        error: why it could not be read, else None.
        seconds: by stage; shared evenly among blocks processed together.
        doubt: the confidence of its tiles at maxzoom, where a layer shows it.
    """

    block: Block
    key: BlockKey
    inputs: str = ""
    tiles: int = 0
    unchanged: bool = False
    error: str | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    doubt: Mapping[Tile, TileDoubt] = field(default_factory=dict)


@dataclass(frozen=True)
class Prepared:
    """A block in the pipeline; `input` is trimmed to the tiles to be written, None if there are none."""

    done: BlockDone
    input: TranslatorInput | None = None

    @property
    def image(self) -> BlockImage | None:
        """The prepared pixels with their margin."""
        return None if self.input is None else self.input.image


def prepare(plan: Plan, source: Source, block: Block) -> TranslatorInput:
    """Read a block as network input: with the margin of the plan, filled where the scene has no data.

    The fill reads `plan.fill_radius` beyond the margin, so that it is the same in every block. A block without a core
    pixel to write is not filled, since it is not translated. The mask of the core is True for data inside the plan's
    area of interest.
    """
    return _filled(plan, source.read(block.with_margin(plan.margin + plan.fill_radius)))


def read_block(plan: Plan, source: Source, block: Block, known: str | None = None) -> Prepared:
    """Read one block with its input digest.

    Args:
        known: digest of an earlier run; if it is the same, the block is unchanged.
    """
    return _ready(plan, block, prepare(plan, source, block), known)


def _ready(plan: Plan, block: Block, prepared: TranslatorInput, known: str | None) -> Prepared:
    done = BlockDone(block, plan.block_key(block))
    if prepared.empty:
        return Prepared(replace(done, unchanged=known == ""))
    trimmed = prepared.trimmed()
    done = replace(done, inputs=digest(trimmed.image))
    return Prepared(replace(done, unchanged=True)) if known == done.inputs else Prepared(done, trimmed)


def _filled(plan: Plan, image: BlockImage) -> TranslatorInput:
    limited = image if plan.aoi is None else _limit(image, plan.aoi, plan.clip)
    if plan.fill_radius and limited.core().mask.any():
        limited = replace(limited, pixels=fill(image, plan.neutral, plan.fill_radius))
    return TranslatorInput(limited.with_margin(plan.margin), plan.favours)


def _limit(image: BlockImage, aoi: Aoi, clip: bool) -> BlockImage:
    """The image with the mask of its core restricted to the aoi."""
    mask = image.mask.copy()
    mask[image.block.core.slices(image.block.window)] &= aoi.mask(image.block, clip)
    return replace(image, mask=mask)


def digest(image: BlockImage) -> str:
    """Sixteen hex digits over the pixels, mask and position of an image, which determine its tiles."""
    found = hashlib.blake2b(repr(image.block).encode(), digest_size=8)
    found.update(np.ascontiguousarray(image.pixels).data)
    found.update(np.packbits(image.core().mask).data)
    return found.hexdigest()


@dataclass(frozen=True)
class BlockReader:
    """Reads and prepares the blocks of a plan.

    Results and order do not depend on the number of threads or the grouping into strips.

    Attributes:
        known: digests of previously rendered blocks: those with the same digest are unchanged.
        on_error: whether an unreadable block raises, or is yielded with its `error`.
        budget: number of threads, if the source supports several; one more strip is queued.
    """

    plan: Plan
    source: Source
    known: Mapping[BlockKey, str] = field(default_factory=dict)
    on_error: OnError = "fail"
    budget: Budget = field(default_factory=Budget.make)

    def read(self, blocks: Iterable[Block]) -> Generator[Prepared]:
        """The blocks in order, a bounded number ahead. Closing the generator drops these.

        Raises:
            Geo2MapError: raised by the source.
        """
        split = isinstance(self.source, SplitSource)
        readers = self.budget.share(MOST_READERS) if split else 1
        ahead = readers + 1 if split else READ_AHEAD
        strips = cut_strips(blocks, Layout.of(self.plan, readers) if split else None)
        with _Readers(self.source, readers, self._strip, self.budget.pool(readers, "read")) as crew:
            coming = deque(crew.submit(*strip) for strip in islice(strips, ahead))
            while coming:
                ready = coming.popleft().result()
                coming.extend(crew.submit(*strip) for strip in islice(strips, 1))
                yield from ready

    def _strip(self, source: Source, blocks: list[Block]) -> list[Prepared]:
        started = time.perf_counter()
        empty = [isinstance(source, SplitSource) and source.is_empty(block.core) for block in blocks]
        done = []
        for is_empty, some in groupby(zip(blocks, empty, strict=True), key=lambda pair: pair[1]):
            part = [block for block, _ in some]
            done += [self._nothing(block) for block in part] if is_empty else self._side_by_side(source, part)
        each = {"read": (time.perf_counter() - started) / len(blocks)}
        return [replace(one, done=replace(one.done, seconds=each)) for one in done]

    def _side_by_side(self, source: Source, blocks: list[Block]) -> list[Prepared]:
        """Read adjacent blocks at once, or one by one after an error, to find the faulty one."""
        if len(blocks) > 1:
            first, columns = blocks[0], sum(block.columns for block in blocks)
            around = self.plan.margin + self.plan.fill_radius
            try:
                strip = source.read(replace(first, columns=columns, margin=around))
            except (SceneError, TileSetError):
                return [self._one(source, block) for block in blocks]
            parts = (cut_block(strip, block.with_margin(around)) for block in blocks)
            ready = (_filled(self.plan, part) for part in parts)
            return [self._ready(block, one) for block, one in zip(blocks, ready, strict=True)]
        return [self._one(source, block) for block in blocks]

    def _one(self, source: Source, block: Block) -> Prepared:
        try:
            return self._ready(block, prepare(self.plan, source, block))
        except (SceneError, TileSetError) as error:
            if self.on_error == "fail":
                raise
            return Prepared(BlockDone(block, self.plan.block_key(block), error=str(error)))

    def _nothing(self, block: Block) -> Prepared:
        key = self.plan.block_key(block)
        return Prepared(BlockDone(block, key, unchanged=self.known.get(key) == ""))

    def _ready(self, block: Block, prepared: TranslatorInput) -> Prepared:
        return _ready(self.plan, block, prepared, self.known.get(self.plan.block_key(block)))


class _Readers:
    """Reader threads, each with its own copy of the source.

    Strips of the same columns go to the same copy if possible, whose GDAL cache still has pixels of the rows between.
    An idle reader takes the longest waiting strip.
    """

    def __init__(
        self, source: Source, count: int, read: Callable[[Source, list[Block]], list[Prepared]], pool: Executor
    ) -> None:
        self._more = [source.another() for _ in range(count - 1)] if isinstance(source, SplitSource) else []
        self._sources, self._read = (source, *self._more), read
        self._free, self._lock = set(range(len(self._sources))), Lock()
        self._waiting: list[tuple[int, list[Block], Future[list[Prepared]]]] = []
        self._pool = pool

    def submit(self, number: int, blocks: list[Block]) -> Future[list[Prepared]]:
        """Queue a strip, with its number in its row."""
        found: Future[list[Prepared]] = Future()
        with self._lock:
            self._waiting.append((number % len(self._sources), blocks, found))
        self._pool.submit(self._work)
        return found

    def _work(self) -> None:
        with self._lock:
            at = next((i for i, (own, _, _) in enumerate(self._waiting) if own in self._free), 0)
            own, blocks, found = self._waiting.pop(at)
            chosen = own if own in self._free else min(self._free)
            self._free.remove(chosen)
        error: BaseException | None = None
        try:
            ready = self._read(self._sources[chosen], blocks)
        except BaseException as caught:  # re-raised by the future
            error = caught
        with self._lock:
            self._free.add(chosen)
        if error is not None:
            found.set_exception(error)
        else:
            found.set_result(ready)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        for one in self._more:
            one.close()
