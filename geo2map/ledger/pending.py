"""Which blocks of an output to render: what distinguishes a render from an update, a repair or a shard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from geo2map.pipeline.reading import BlockKey
from geo2map.plan.shards import Shard
from geo2map.types import Tile


@dataclass(frozen=True, kw_only=True)
class Pending:
    """The blocks of a job to be rendered; by default all unfinished ones.

    Attributes:
        recheck: finished blocks whose pixels may have changed; rendered if they have.
        damaged: finished blocks with damaged tiles; always rendered.
        removed: finished blocks that the job no longer has; their tiles are removed.
        orphans: tiles that belong to no block, by layer; removed.
        finished: whether a finished output is changed; its tiles stay until they are replaced.
        shard: restricts the run to the blocks of one shard; None is all blocks.
    """

    recheck: Sequence[BlockKey] = ()
    damaged: Sequence[BlockKey] = ()
    removed: Sequence[BlockKey] = ()
    orphans: Mapping[str, Sequence[Tile]] = field(default_factory=dict)
    finished: bool = False
    shard: Shard | None = None


UNFINISHED = Pending()
"""All unfinished blocks."""
