"""A part of an output: the blocks of one shard with the overviews they determine, in a journal of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from geo2map.grid.block import Block
from geo2map.ledger.journal import Journal
from geo2map.ledger.overviews import build_overviews
from geo2map.ledger.schema import connect, journal_errors
from geo2map.ledger.spool import SpoolStore
from geo2map.pipeline.blocks import LayerTiles
from geo2map.pipeline.reading import BlockDone, BlockKey
from geo2map.pipeline.records import BlockRecord, tile_digest
from geo2map.plan.job import Job
from geo2map.plan.shards import Shard, shard_levels
from geo2map.protocols import Progress
from geo2map.tiles.doubt import Doubt, TileDoubt
from geo2map.types import Tile


class PartContent(NamedTuple):
    """Size and digest of a part.

    Attributes:
        tiles, bytes: totals over all layers and zooms.
        digest: sixteen hex digits over all tiles.
    """

    tiles: int
    bytes: int
    digest: str


class PartOutput:
    """A part being written (a `geo2map.pipeline.run.BlockSink`). A draft cannot be resumed."""

    doubt: Doubt | None = None

    def __init__(self, draft: Path, job: Job, shard: Shard, publish: Callable[[Path, PartContent], None]) -> None:
        """
        Args:
            draft: unused path for the journal.
            publish: gives the finished draft its final name.
        """
        self.job, self.shard, self._draft, self._publish = job, shard, draft, publish
        self.records: dict[BlockKey, BlockRecord] = {}
        self.resumed, self.complete = False, False
        self._journal = Journal.create(draft, job)
        self._journal.skip_flushing()
        self._stores = {name: SpoolStore(self._journal, name) for name in job.block_layers}

    @property
    def block_count(self) -> int:
        return sum(1 for _ in self.blocks())

    def blocks(self) -> Iterator[Block]:
        return self.shard.blocks(self.job.plan)

    def keep(self, done: BlockDone, tiles: LayerTiles) -> None:
        """Store a block.

        Raises:
            OutputError: it cannot be written.
        """
        for name, some in tiles.items():
            for tile, data in some.items():
                self._stores[name].put(tile, data)
        self._journal.record(done, tiles)

    def finish(self, progress: Progress | None = None) -> None:
        """Build the overviews within the shard and publish the part.

        Raises:
            OutputError: it cannot be written.
        """
        plan, storage = self.job.plan, self.job.storage
        bottom = max(storage.minzoom or 0, plan.maxzoom - shard_levels(plan, self.shard.z))
        for name, layer in self.job.block_layers.items():
            if layer.is_working:
                continue
            records = self._journal.layer(name)
            build_overviews(self.job, layer, self._stores[name], records, down_to=bottom, progress=progress)
        self._journal.make_single_file()
        content, self.doubt = part_content(self._journal), Doubt.of(self._journal.doubt.counts())
        self._journal.close()
        self._publish(self._draft, content)
        self.complete = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._journal.close()
        for end in ("", "-wal", "-shm", "-journal"):
            with suppress(OSError):
                self._draft.with_name(self._draft.name + end).unlink(missing_ok=True)


def part_content(journal: Journal) -> PartContent:
    """Read and digest a whole part."""
    digest, tiles, size = blake2b(digest_size=8), 0, 0
    for name in journal.job.block_layers:
        for tile, data in SpoolStore(journal, name).items():
            digest.update(f"{name}/{tile.z}/{tile.x}/{tile.y}".encode() + tile_digest(data))
            tiles, size = tiles + 1, size + len(data)
    for key, record in sorted(journal.blocks().items()):
        digest.update(repr((key, tuple(record))).encode())
    return PartContent(tiles, size, digest.hexdigest())


def count_part(path: Path) -> tuple[int, int, int]:
    """Number of blocks of a part, of blocks with tiles, and of tiles at maxzoom."""
    with journal_errors(path), closing(connect(path, read_only=True)) as db:
        blocks, full, tiles = db.execute("SELECT count(*), sum(tiles > 0), sum(tiles) FROM blocks").fetchone()
    return blocks, full or 0, tiles or 0


def part_doubt(path: Path) -> Iterator[tuple[Tile, TileDoubt]]:
    """The tiles of a part that have a confidence, and what is counted in them."""
    with closing(Journal(path, read_only=True)) as journal:
        yield from journal.doubt.counts()
