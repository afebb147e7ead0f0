"""Blocks from a source, as the network shall see them, in the plan's order, by several threads where it allows."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import groupby, islice
from threading import Lock
from typing import Self

import numpy as np

from geo2map.aoi import Aoi
from geo2map.errors import SceneError, TileSetError
from geo2map.grid.block import Block, BlockImage
from geo2map.grid.fill import fill
from geo2map.grid.window import TILE_SIZE
from geo2map.plan.value import Plan
from geo2map.protocols import Source, SplitSource
from geo2map.threads import available_threads
from geo2map.types import OnError, Tile

READ_AHEAD = 4
"""Blocks that are read before they are asked for, by one thread and one by one."""
MOST_READERS = 8
STRIP_BLOCKS = 4
_STRIP_PIXELS = 7_000_000
"""Blocks that are read at once, so that they share what lies around them, and pixels of all: 28 MB with their mask."""

BlockKey = tuple[int, int]


def reader_threads() -> int:
    """Threads that read a source which allows it; one strip more than that is under way or waits."""
    return min(MOST_READERS, available_threads())


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
        source: the imagery's own tiles, of the same names as the block's; none unless they are wanted.
    """

    block: Block
    key: BlockKey
    inputs: str = ""
    tiles: int = 0
    unchanged: bool = False
    error: str | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    source: Mapping[Tile, bytes] = field(default_factory=dict, repr=False)


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
        readers = reader_threads() if split else 1
        ahead = readers + 1 if split else READ_AHEAD
        strips = _strips(blocks, _Layout.of(self.plan, readers) if split else None)
        with _Readers(self.source, readers, self._strip) as crew:
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


class _Readers:
    """Threads that read, each with a source of its own: the one that is there, and more of its kind.

    A source is given, as far as may be, the strips of the same columns in every row: it still has in GDAL's cache
    what it read there of the rows between. One that has nothing of its own to do takes what waits longest.
    """

    def __init__(self, source: Source, count: int, read: Callable[[Source, list[Block]], list[Prepared]]) -> None:
        self._more = [source.another() for _ in range(count - 1)] if isinstance(source, SplitSource) else []
        self._sources, self._read = (source, *self._more), read
        self._free, self._lock = set(range(len(self._sources))), Lock()
        self._waiting: list[tuple[int, list[Block], Future[list[Prepared]]]] = []
        self._pool = ThreadPoolExecutor(len(self._sources), "read")

    def submit(self, number: int, blocks: list[Block]) -> Future[list[Prepared]]:
        """Has a strip read, of this number in its row."""
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
        except BaseException as caught:  # it belongs to whoever waits for the strip
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


@dataclass(frozen=True)
class _Layout:
    """Rows of a plan's blocks cut into strips, as many for each reader, the same columns in every row.

    Attributes:
        plan: whose rows.
        columns: blocks in a row.
        strips: that a row is cut into.
    """

    plan: Plan
    columns: int
    strips: int

    @classmethod
    def of(cls, plan: Plan, readers: int) -> _Layout:
        """Strips as long as memory allows."""
        tiles, span = plan.tiles, plan.block_span
        columns = -(-tiles.right // span) - tiles.left // span
        around = 2 * (plan.margin + plan.fill_radius)
        side = span * TILE_SIZE
        most = max(1, min(STRIP_BLOCKS, (_STRIP_PIXELS // (side + around) - around) // side))
        return cls(plan, columns, min(columns, readers * -(-columns // (readers * most))))

    def strip(self, block: Block) -> int:
        """The number of the block's strip in its row."""
        first = self.plan.tiles.left // self.plan.block_span
        return (self.plan.block_key(block)[0] - first) * self.strips // self.columns


def _strips(blocks: Iterable[Block], layout: _Layout | None) -> Iterator[tuple[int, list[Block]]]:
    """Blocks that lie side by side in one strip together, with its number; without layout each by itself."""
    if layout is None:
        yield from ((0, [block]) for block in blocks)
        return
    strip: list[Block] = []
    for block in blocks:
        if strip and not (_beside(strip[-1], block) and layout.strip(block) == layout.strip(strip[0])):
            yield layout.strip(strip[0]), strip
            strip = []
        strip.append(block)
    if strip:
        yield layout.strip(strip[0]), strip


def _beside(left: Block, right: Block) -> bool:
    return (right.y, right.rows, right.x) == (left.y, left.rows, left.x + left.columns)


def _cut(strip: BlockImage, block: Block) -> BlockImage:
    """A block of a strip (a view)."""
    rows, columns = block.window.slices(strip.block.window)
    return BlockImage(block, strip.pixels[rows, columns], strip.mask[rows, columns])
