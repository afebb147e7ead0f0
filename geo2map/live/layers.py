"""Layers: what can be asked for a tile. One is made on demand, one is stored."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import replace
from functools import partial
from threading import Lock
from typing import Protocol

from geo2map.errors import TileSetError
from geo2map.grid import Block
from geo2map.live.block_queue import BlockQueue, BlockWork, QueuedBlock, Tiles
from geo2map.live.cache import BlockCache
from geo2map.live.keeping import PersistedBlocks
from geo2map.live.places import blocks_of, touches
from geo2map.plan.job import Job
from geo2map.protocols import StoredTiles
from geo2map.tiles.layer import Layer
from geo2map.tiles.pyramid import build_parents
from geo2map.tiles.store import MemoryStore
from geo2map.tiles.tilejson import TileSet
from geo2map.types import Tile

LIVE_LEVELS = 3
"""Zooms below maxzoom that are made on demand: a tile there needs 64 at maxzoom, one farther up 256 and more."""

Answer = Future["bytes | None"]
Getter = Callable[[Tile], "bytes | None"]


class TileLayer(Protocol):
    """Something that has tiles.

    Attributes:
        tileset: what it says of itself; its zooms are those that can be asked for.
    """

    @property
    def tileset(self) -> TileSet: ...

    def covers(self, tile: Tile) -> bool:
        """Whether the tile lies within zooms and bounds."""
        ...

    def tag(self, tile: Tile) -> str | None:
        """A word that changes with the tile's bytes, known without them; None where it must be made of them."""
        ...

    def ask(self, tile: Tile) -> Answer:
        """The tile's bytes, None where it has none; cancelling the future says that they are not wanted any more.

        Raises:
            BusyError: too much to do.
        """
        ...


class StoredLayer:
    """The tiles of a finished set (a `TileLayer`)."""

    def __init__(self, store: StoredTiles, tileset: TileSet, threads: Executor) -> None:
        self.tileset = tileset
        self._store, self._threads = store, threads

    def covers(self, tile: Tile) -> bool:
        return tile.z >= self.tileset.minzoom and touches(self.tileset.window, self.tileset.maxzoom, tile)

    def tag(self, tile: Tile) -> str | None:  # noqa: ARG002
        return None

    def ask(self, tile: Tile) -> Answer:
        return self._threads.submit(self._store.get, tile)


class LiveLayer:
    """The tiles of one layer of a job, made on demand (a `TileLayer`).

    Zooms that blocks do not hold whole are made of several blocks; below them come those of a finished set.
    """

    def __init__(self, layer: Layer, job: Job, queue: BlockQueue, cache: BlockCache, threads: Executor) -> None:
        """
        Args:
            threads: read files and make parents.
        """
        self.name, self.job, self._codec = layer.name, job, layer.codec
        self._work: BlockWork = "imagery" if layer.is_imagery else "map"
        self._version = job.fingerprint  # takes a millisecond
        self.kept: PersistedBlocks | None = None
        self._under: StoredLayer | None = None
        self._queue, self._cache, self._threads = queue, cache, threads
        plan = job.plan
        self.minzoom = max(job.storage.minzoom or 0, plan.maxzoom - LIVE_LEVELS)
        self._block_zoom = plan.maxzoom - job.storage.levels(plan)
        self.tileset = replace(job.tileset_of(layer), minzoom=self.minzoom)

    def put_over(self, under: StoredLayer) -> None:
        """Takes lower zooms from a finished set.

        Raises:
            TileSetError: it has another format.
        """
        if under.tileset.format != self.tileset.format:
            raise TileSetError(
                f"the tiles below are {under.tileset.format}, those of the map {self.tileset.format}: render both in "
                "one format",
                option="under",
            )
        self._under = under
        credits = dict.fromkeys(text for text in (self.tileset.attribution, under.tileset.attribution) if text)
        words = {**self.tileset.words, "attribution": " | ".join(credits)}
        lowest = min(self.minzoom, under.tileset.minzoom)
        self.tileset = replace(self.tileset, minzoom=lowest, words=words if len(credits) > 1 else self.tileset.words)

    def covers(self, tile: Tile) -> bool:
        if tile.z < self.minzoom and self._under is None:
            return False
        return tile.z >= self.tileset.minzoom and touches(self.tileset.window, self.tileset.maxzoom, tile)

    def tag(self, tile: Tile) -> str | None:
        if tile.z < self.minzoom:
            return None
        return f"{self._version}-{self.name}-{tile.z}-{tile.x}-{tile.y}"

    def ask(self, tile: Tile) -> Answer:
        if tile.z < self.minzoom:
            return self._under.ask(tile) if self._under else _known(None)
        if (made := self._cache.get((self.name, tile))) is not None:
            return _known(made[self.name].get(tile))
        blocks = blocks_of(self.job.plan, tile)
        if self.kept and all(map(self._is_kept, blocks)):
            return self._threads.submit(self._find, tile, dict.fromkeys(blocks, partial(self.kept.get, self.name)))
        return self._ask_for_blocks(tile, blocks)

    def _is_kept(self, block: Block) -> bool:
        return self.kept is not None and self.kept.has(self.job.plan.block_key(block))

    def _ask_for_blocks(self, tile: Tile, blocks: list[Block]) -> Answer:
        getters: dict[Block, Getter] = {}
        if self.kept:
            getters = {block: partial(self.kept.get, self.name) for block in blocks if self._is_kept(block)}
        missing = [block for block in blocks if block not in getters]
        parts = self._queue.ask([QueuedBlock(self._work, block) for block in missing])

        def find() -> bytes | None:
            found = zip(missing, parts, strict=True)
            made = {block: part.result().get(self.name, {}).get for block, part in found}
            return self._find(tile, {**getters, **made})

        if tile.z >= self._block_zoom:
            return _joined(parts, find)
        return _joined(parts, find, self._threads)

    def _find(self, tile: Tile, getters: dict[Block, Getter]) -> bytes | None:
        """A tile out of blocks: one of theirs, or the parent of some."""
        if tile.z >= self._block_zoom:
            return next((data for get in getters.values() if (data := get(tile)) is not None), None)
        store, steps = MemoryStore(), self._block_zoom - tile.z
        side = 1 << steps
        children = [
            Tile((tile.x << steps) + column, (tile.y << steps) + row, self._block_zoom)
            for column in range(side)
            for row in range(side)
        ]
        for child in children:
            for block in blocks_of(self.job.plan, child):
                if block in getters and (data := getters[block](child)) is not None:
                    store.put(child, data)
        for _ in build_parents(store, self._codec, children, tile.z):
            pass
        data = store.get(tile)
        self._cache.put((self.name, tile), {self.name: {} if data is None else {tile: data}})
        return data


def _known(data: bytes | None) -> Answer:
    answer: Answer = Future()
    answer.set_result(data)
    return answer


def _joined(parts: list[Future[Tiles]], find: Callable[[], bytes | None], threads: Executor | None = None) -> Answer:
    """What `find` says when all parts are there; cancelling it cancels them."""
    whole: Answer = Future()
    lock, left = Lock(), [len(parts)]

    def end() -> None:
        if not whole.set_running_or_notify_cancel():
            return
        try:
            whole.set_result(find())
        except BaseException as error:
            whole.set_exception(error)

    def arrive(_: Future[Tiles]) -> None:
        with lock:
            left[0] -= 1
            if left[0] or whole.cancelled():
                return
        if threads is None:
            end()
        else:
            threads.submit(end)

    def leave(answer: Answer) -> None:
        if answer.cancelled():
            for part in parts:
                part.cancel()

    whole.add_done_callback(leave)
    for part in parts:
        part.add_done_callback(arrive)
    if not parts:
        end()
    return whole
