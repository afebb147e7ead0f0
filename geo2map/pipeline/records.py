"""What a journal knows, as values."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from geo2map.pipeline.blocks import BlockKey
from geo2map.types import Tile


class BlockRecord(NamedTuple):
    """What a journal knows of a block.

    Attributes:
        inputs: digest of its prepared pixels, "" where it has no tile.
        tiles: how many it has at maxzoom.
        open: why it has to be rendered (again), None where it is done.
    """

    inputs: str
    tiles: int
    open: str | None


@dataclass(frozen=True)
class Changes:
    """What of a finished set is in doubt; whatever it has stays until something better is there.

    Attributes:
        revisit: blocks whose pixels may have changed: they are rendered where that is so.
        spoilt: blocks whose tiles are damaged: they are rendered in any case.
        gone: blocks that are no part of the job any more: their tiles are removed.
        strays: tiles that nobody made, to be removed.
        source_strays: the same among the imagery's own tiles.
    """

    revisit: Sequence[BlockKey] = ()
    spoilt: Sequence[BlockKey] = ()
    gone: Sequence[BlockKey] = ()
    strays: Sequence[Tile] = ()
    source_strays: Sequence[Tile] = ()


def tile_digest(data: bytes) -> bytes:
    """Eight bytes that change with any of a tile's."""
    return hashlib.blake2b(data, digest_size=8).digest()
