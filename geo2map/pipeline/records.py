"""Records of blocks and tiles in a journal."""

from __future__ import annotations

import hashlib
from typing import NamedTuple


class BlockRecord(NamedTuple):
    """The record of a block.

    Attributes:
        inputs: digest of its prepared pixels, "" without a tile.
        tiles: number of tiles at maxzoom.
        pending_reason: why it has to be rendered (again), None if it is finished.
    """

    inputs: str
    tiles: int
    pending_reason: str | None


def tile_digest(data: bytes) -> bytes:
    """Eight bytes over a tile's data."""
    return hashlib.blake2b(data, digest_size=8).digest()
