"""A map that is rendered on demand."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

from geo2map.errors import PlanError
from geo2map.live.block_queue import BlockQueue
from geo2map.live.cache import BlockCache
from geo2map.live.keeping import PersistedBlocks, StoredSink
from geo2map.live.layers import LiveLayer, StoredLayer
from geo2map.live.maker import BlockMaker
from geo2map.live.tally import Tally
from geo2map.plan.job import Job
from geo2map.protocols import Source, StoredTiles, Translator
from geo2map.threads import start_threads
from geo2map.tiles.layer import MAP, viewed_layers
from geo2map.tiles.tilejson import TileSet

FILE_THREADS = 2


@dataclass(frozen=True, kw_only=True)
class LiveOptions:
    """Limits of a live map.

    Attributes:
        queue: blocks that may wait to be rendered; a request for one more is refused for now.
        cache: MiB of finished tiles in memory.
    """

    queue: int = 64
    cache: int = 256

    def __post_init__(self) -> None:
        for name, value in (("queue", self.queue), ("cache", self.cache)):
            if value < 1:
                raise PlanError(f"{name} {value} is too small: give 1 or more", option=name)


class LiveMap:
    """The layers of a job and the threads that make their tiles. A context manager; knows nothing of HTTP.

    Attributes:
        job: what is made.
        layers: those of the job, the map first, and the prepared imagery, by name.
        tally: what was done.
        queue: blocks that clients wait for.
        cache: what is in memory.
        kept: blocks that stay, None where none do.
    """

    def __init__(
        self,
        job: Job,
        sources: Sequence[Source],
        translator: Translator | None,
        options: LiveOptions | None = None,
        *,
        output: StoredSink | None = None,
        under: tuple[StoredTiles, TileSet] | None = None,
    ) -> None:
        """
        Args:
            job: its storage is resolved.
            sources: of the job's scenes at its view, one for each thread that reads.
            translator: None makes a map of the source's own pixels.
            output: of the same job, open: gets what is made, and what it has is not made again. Left open.
            under: a finished set for zooms that are too low to be made on demand.

        Raises:
            TileSetError: `under` has tiles of another format.
        """
        chosen = options or LiveOptions()
        self.job, self.tally = job, Tally()
        self.cache = BlockCache(chosen.cache << 20)
        self.queue = BlockQueue(chosen.queue, self.tally, self.cache.get)
        self._files = start_threads(FILE_THREADS, "files")
        plan, storage = job.plan, job.storage
        self._maker = BlockMaker(plan, storage, sources, translator, self.queue, self.cache, self.tally)
        shown = viewed_layers(job.layers.values())
        self.layers = {
            name: LiveLayer(layer, job, self.queue, self.cache, self._files) for name, layer in shown.items()
        }
        self.kept = None if output is None else PersistedBlocks(output, self.tally)
        self._maker.kept = self.kept
        for name in job.layers:
            self.layers[name].kept = self.kept
        if under is not None:
            self.map.put_over(StoredLayer(*under, self._files))
        self._open = ExitStack()

    @property
    def map(self) -> LiveLayer:
        """The first layer."""
        return self.layers[MAP]

    def __enter__(self) -> Self:
        """Starts the threads."""
        self._open.callback(self._files.shutdown)
        self._open.enter_context(self._maker)
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the threads; blocks that the model is at work on are kept yet."""
        self._open.close()
