"""Blocks from a source, as the network shall see them, in the plan's order, by several threads where it allows."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import groupby, islice
from queue import SimpleQueue
from typing import Literal

import numpy as np

from geo2map.aoi import Aoi
from geo2map.errors import SceneError, TileSetError
from geo2map.grid.block import Block, BlockImage
from geo2map.grid.fill import fill
from geo2map.grid.window import TILE_SIZE
from geo2map.plan.value import Plan
from geo2map.protocols import Source, SplitSource
from geo2map.threads import available_threads

READ_AHEAD = 4
"""Blocks that are read before they are asked for, by one thread and one by one."""
READERS = min(8, available_threads())
"""Threads that read a source which allows it; one strip more than that is under way or waits."""
STRIP_BLOCKS = 4
STRIP_PIXELS = 7_000_000
"""Blocks that are read at once, so that they share what lies around them, and pixels of all: 28 MB with their mask."""

BlockKey = tuple[int, int]
OnError = Literal["fail", "skip"]


@dataclass(frozen=True)
class BlockDone:
    """What became of a block; its tiles come with it.

    Attributes:
        block: as the plan has it.
        key: `Plan.block_key` of it.
        inputs: digest of the prepared pixels that decide its tiles; "" where nothing is to be written.
        tiles: how many it has at maxzoom.
        unchanged: the digest is the one that was known, and nothing was made.
        error: why it could not be read, None if it was.
        seconds: spent on it, by stage; the time of what is done with several at once is shared evenly.
    """

    block: Block
    key: BlockKey
    inputs: str = ""
    tiles: int = 0
    unchanged: bool = False
    error: str | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Prepared:
    """A block on its way; `image` is trimmed to the tiles that will be written, None where there are none."""

    done: BlockDone
    image: BlockImage | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the image."""
        assert self.image is not None
        return self.image.pixels.shape


def prepare(plan: Plan, source: Source, block: Block) -> BlockImage:
    """Reads a block as the network shall see it: with margin, and filled where the scene has no data.

    The fill looks `plan.fill_radius` farther than the margin, so that it is the same in every block. A block
    whose core has no pixel to write is left as it is: nobody will translate it.

    Returns:
        Pixels with their margin; the core's mask is True where there are data and the plan's aoi wants them.
    """
    return _filled(plan, source.read(block.with_margin(plan.margin + plan.fill_radius)))


def _filled(plan: Plan, image: BlockImage) -> BlockImage:
    limited = image if plan.aoi is None else _limit(image, plan.aoi, plan.clip)
    if plan.fill_radius and limited.core().mask.any():
        limited = replace(limited, pixels=fill(image, plan.neutral, plan.fill_radius))
    return limited.with_margin(plan.margin)


def _limit(image: BlockImage, aoi: Aoi, clip: bool) -> BlockImage:
    """The image, its core's mask False wherever the aoi wants nothing."""
    mask = image.mask.copy()
    mask[image.block.core.slices(image.block.window)] &= aoi.mask(image.block, clip)
    return replace(image, mask=mask)


def digest(image: BlockImage) -> str:
    """Sixteen hex digits for the pixels of an image, its mask and its place: all that its tiles are a function of."""
    found = hashlib.blake2b(repr(image.block).encode(), digest_size=8)
    found.update(np.ascontiguousarray(image.pixels).data)
    found.update(np.packbits(image.core().mask).data)
    return found.hexdigest()


@dataclass(frozen=True)
class BlockReader:
    """Reads blocks of a plan.

    What comes, and in which order, does not depend on the number of threads, nor on which blocks are read at once.

    Attributes:
        known: digests of blocks that were rendered before: where a block's is the same, nothing is to be made of it.
        on_error: whether a block that cannot be read is an error, or comes with its `error`.
    """

    plan: Plan
    source: Source
    known: Mapping[BlockKey, str] = field(default_factory=dict)
    on_error: OnError = "fail"

    def read(self, blocks: Iterable[Block]) -> Generator[Prepared]:
        """The blocks in order, a bounded number of them before they are asked for. Closing it drops those.

        Raises:
            Geo2MapError: whatever the source raises.
        """
        split = isinstance(self.source, SplitSource)
        readers, ahead = (READERS, READERS + 1) if split else (1, READ_AHEAD)
        strips = _strips(blocks, self.plan, STRIP_BLOCKS if split else 1)
        with _Handles(self.source, readers) as handles, ThreadPoolExecutor(readers, "read") as pool:
            submitted = (pool.submit(self._strip, handles, strip) for strip in strips)
            coming: deque[Future[list[Prepared]]] = deque()
            try:
                coming.extend(islice(submitted, ahead))
                while coming:
                    ready = coming.popleft().result()
                    coming.extend(islice(submitted, 1))
                    yield from ready
            finally:
                pool.shutdown(cancel_futures=True)

    def _strip(self, handles: _Handles, blocks: list[Block]) -> list[Prepared]:
        source = handles.take()
        try:
            started = time.perf_counter()
            empty = [isinstance(source, SplitSource) and source.is_empty(block.core) for block in blocks]
            done = []
            for is_empty, some in groupby(zip(blocks, empty, strict=True), key=lambda pair: pair[1]):
                part = [block for block, _ in some]
                done += [self._nothing(block) for block in part] if is_empty else self._side_by_side(source, part)
            each = {"read": (time.perf_counter() - started) / len(blocks)}
            return [replace(one, done=replace(one.done, seconds=each)) for one in done]
        finally:
            handles.give_back(source)

    def _side_by_side(self, source: Source, blocks: list[Block]) -> list[Prepared]:
        """Reads blocks at once; where that fails, one by one, to see whose fault it is."""
        if len(blocks) > 1:
            first, columns = blocks[0], sum(block.columns for block in blocks)
            around = self.plan.margin + self.plan.fill_radius
            try:
                strip = source.read(replace(first, columns=columns, margin=around))
            except (SceneError, TileSetError):
                return [self._one(source, block) for block in blocks]
            parts = (_cut(strip, block.with_margin(around)) for block in blocks)
            return [self._prepared(block, _filled(self.plan, part)) for block, part in zip(blocks, parts, strict=True)]
        return [self._one(source, block) for block in blocks]

    def _one(self, source: Source, block: Block) -> Prepared:
        try:
            return self._prepared(block, prepare(self.plan, source, block))
        except (SceneError, TileSetError) as error:
            if self.on_error == "fail":
                raise
            return Prepared(BlockDone(block, self.plan.block_key(block), error=str(error)))

    def _nothing(self, block: Block) -> Prepared:
        key = self.plan.block_key(block)
        return Prepared(BlockDone(block, key, unchanged=self.known.get(key) == ""))

    def _prepared(self, block: Block, image: BlockImage) -> Prepared:
        if not image.core().mask.any():
            return self._nothing(block)
        key, image = self.plan.block_key(block), image.trimmed()
        inputs = digest(image)
        if self.known.get(key) == inputs:
            return Prepared(BlockDone(block, key, inputs, unchanged=True))
        return Prepared(BlockDone(block, key, inputs), image)


class _Handles:
    """A source for each thread that reads: the one that is there, and more of its kind as they are wanted."""

    def __init__(self, source: Source, count: int) -> None:
        self._free: SimpleQueue[Source] = SimpleQueue()
        self._more: list[SplitSource] = []
        self._free.put(source)
        if isinstance(source, SplitSource):
            self._more = [source.another() for _ in range(count - 1)]
        for one in self._more:
            self._free.put(one)

    def take(self) -> Source:
        return self._free.get()

    def give_back(self, source: Source) -> None:
        self._free.put(source)

    def __enter__(self) -> _Handles:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._more:
            one.close()


def _cut(strip: BlockImage, block: Block) -> BlockImage:
    """A block of a strip (a view)."""
    rows, columns = block.window.slices(strip.block.window)
    return BlockImage(block, strip.pixels[rows, columns], strip.mask[rows, columns])


def _strips(blocks: Iterable[Block], plan: Plan, most: int) -> Iterator[list[Block]]:
    """Blocks that lie side by side in one row, together as far as `STRIP_PIXELS` allow; the rest one by one."""
    strip: list[Block] = []
    around = 2 * (plan.margin + plan.fill_radius)
    for block in blocks:
        if strip:
            last, columns = strip[-1], block.x + block.columns - strip[0].x
            beside = (block.y, block.rows, block.x) == (last.y, last.rows, last.x + last.columns)
            pixels = (columns * TILE_SIZE + around) * (block.rows * TILE_SIZE + around)
            if not beside or len(strip) >= most or pixels > STRIP_PIXELS:
                yield strip
                strip = []
        strip.append(block)
        if most == 1:
            yield strip
            strip = []
    if strip:
        yield strip
