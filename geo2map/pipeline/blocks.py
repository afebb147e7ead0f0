"""Blocks from pixels to encoded tiles: read, fill, translate, encode. No files here, nothing is kept."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Literal

import numpy as np

from geo2map.aoi import Aoi
from geo2map.errors import SceneError, TileSetError
from geo2map.grid.block import Block, BlockImage
from geo2map.grid.fill import fill
from geo2map.plan.storage import Storage
from geo2map.plan.value import Plan
from geo2map.protocols import Source, Translator
from geo2map.tiles.pyramid import encode_pyramid
from geo2map.types import Tile

READ_AHEAD = 4
ENCODERS = 2

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
        seconds: spent on it, by stage; a batch's time is shared evenly.
    """

    block: Block
    key: BlockKey
    inputs: str = ""
    tiles: int = 0
    unchanged: bool = False
    error: str | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)


Rendered = tuple[BlockDone, dict[Tile, bytes]]


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


def translate(images: list[BlockImage], translator: Translator | None) -> list[BlockImage]:
    """Translates block images of equal shape and drops their margins; without translator only the latter."""
    if translator is None:
        return [image.core() for image in images]
    batch = translator.translate(np.stack([image.pixels for image in images]), images[0].block.margin)
    cores = (image.core() for image in images)
    return [replace(core, pixels=pixels) for core, pixels in zip(cores, batch, strict=True)]


def digest(image: BlockImage) -> str:
    """Sixteen hex digits for the pixels of an image, its mask and its place: all that its tiles are a function of."""
    found = hashlib.blake2b(repr(image.block).encode(), digest_size=8)
    found.update(np.ascontiguousarray(image.pixels).data)
    found.update(np.packbits(image.core().mask).data)
    return found.hexdigest()


def render_blocks(
    plan: Plan,
    source: Source,
    translator: Translator | None,
    storage: Storage,
    blocks: Iterable[Block],
    *,
    known: Mapping[BlockKey, str] | None = None,
    on_error: OnError = "fail",
) -> Iterator[Rendered]:
    """Renders blocks: reads ahead in one thread, translates in this one, encodes in others.

    A block's tiles are those at maxzoom and their overviews as far up as the block holds them whole. Every block
    comes out once, not always in order; memory depends on block and batch. Closing the iterator drops what is in hand.

    Args:
        translator: None makes tiles of the source's own pixels.
        storage: of the tiles, resolved.
        known: digests of blocks that were rendered before: where a block's is the same, nothing is made of it.
        on_error: whether a block that cannot be read is an error, or comes out with its `error`.

    Raises:
        Geo2MapError: whatever source and translator raise.
    """
    pipeline = _Pipeline(plan, source, translator, storage, known or {}, on_error)
    with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(ENCODERS, "encode") as encoders:
        try:
            yield from pipeline.run(blocks, reader, encoders)
        finally:
            reader.shutdown(cancel_futures=True)
            encoders.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class _Prepared:
    """A block on its way; `image` is trimmed to the tiles that will be written, None where there are none."""

    done: BlockDone
    image: BlockImage | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        assert self.image is not None
        return self.image.pixels.shape


@dataclass(frozen=True)
class _Pipeline:
    """The stages of one run; every queue between them is bounded."""

    plan: Plan
    source: Source
    translator: Translator | None
    storage: Storage
    known: Mapping[BlockKey, str]
    on_error: OnError

    def run(
        self, blocks: Iterable[Block], reader: ThreadPoolExecutor, encoders: ThreadPoolExecutor
    ) -> Iterator[Rendered]:
        encoding: deque[Future[Rendered]] = deque()
        waiting: list[_Prepared] = []
        for prepared in self._read(blocks, reader):
            if prepared.image is None:
                yield prepared.done, {}
                continue
            if waiting and prepared.shape != waiting[0].shape:
                encoding.extend(self._translated(waiting, encoders))
                waiting = []
            waiting.append(prepared)
            if len(waiting) >= (self.translator.batch if self.translator else 1):
                encoding.extend(self._translated(waiting, encoders))
                waiting = []
            while len(encoding) > 2 * ENCODERS or (encoding and encoding[0].done()):
                yield encoding.popleft().result()
        if waiting:
            encoding.extend(self._translated(waiting, encoders))
        while encoding:
            yield encoding.popleft().result()

    def _read(self, blocks: Iterable[Block], reader: ThreadPoolExecutor) -> Iterator[_Prepared]:
        """Blocks in order, at most `READ_AHEAD` of them read before they are asked for."""
        submitted = (reader.submit(self._prepare, block) for block in blocks)
        coming = deque(islice(submitted, READ_AHEAD))
        while coming:
            prepared = coming.popleft().result()
            coming.extend(islice(submitted, 1))
            yield prepared

    def _prepare(self, block: Block) -> _Prepared:
        started = time.perf_counter()
        key = self.plan.block_key(block)
        try:
            image = prepare(self.plan, self.source, block)
        except (SceneError, TileSetError) as error:
            if self.on_error == "fail":
                raise
            return _Prepared(BlockDone(block, key, error=str(error)))
        if not image.core().mask.any():
            seconds = {"read": time.perf_counter() - started}
            return _Prepared(BlockDone(block, key, unchanged=self.known.get(key) == "", seconds=seconds))
        image = image.trimmed()
        inputs = digest(image)
        done = BlockDone(block, key, inputs, seconds={"read": time.perf_counter() - started})
        if self.known.get(key) == inputs:
            return _Prepared(replace(done, unchanged=True))
        return _Prepared(done, image)

    def _translated(self, waiting: list[_Prepared], encoders: ThreadPoolExecutor) -> list[Future[Rendered]]:
        """Translates a batch and hands each of its blocks to the encoders."""
        started = time.perf_counter()
        images = translate([prepared.image for prepared in waiting if prepared.image], self.translator)
        each = (time.perf_counter() - started) / len(waiting) if self.translator else 0.0
        return [
            encoders.submit(self._encode, prepared.done, image, each)
            for prepared, image in zip(waiting, images, strict=True)
        ]

    def _encode(self, done: BlockDone, image: BlockImage, translating: float) -> Rendered:
        started = time.perf_counter()
        tiles = {tile: (pixels, mask) for tile, pixels, mask in image.tiles()}
        encoded = encode_pyramid(tiles, self.storage.codec, self.storage.levels(self.plan))
        seconds = {**done.seconds, "translate": translating, "encode": time.perf_counter() - started}
        return replace(done, tiles=len(tiles), seconds=seconds), encoded
