"""Which blocks of an output are to be rendered: all that tells a render from an update, a repair or a shard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from geo2map.pipeline.reading import BlockKey
from geo2map.plan.shards import Shard
from geo2map.types import Tile


@dataclass(frozen=True, kw_only=True)
class Pending:
    """The blocks of a job that are to be rendered. The default is all that no earlier run has done.

    Attributes:
        recheck: blocks of a finished output whose pixels may have changed: they are rendered where that is so.
        damaged: blocks of a finished output whose tiles are damaged: they are rendered in any case.
        removed: blocks of a finished output that the job no longer has: their tiles are removed.
        orphans: tiles of a finished output, by layer, that no block has: they are removed.
        finished: whether a finished output is changed; what it has stays until something better is there.
        shard: the only blocks of the job that are rendered here; None is all.
    """

    recheck: Sequence[BlockKey] = ()
    damaged: Sequence[BlockKey] = ()
    removed: Sequence[BlockKey] = ()
    orphans: Mapping[str, Sequence[Tile]] = field(default_factory=dict)
    finished: bool = False
    shard: Shard | None = None


UNFINISHED = Pending()
"""All blocks that no earlier run has done."""
