"""The state of a block in the record of a run, as values."""

from __future__ import annotations

import hashlib
from typing import NamedTuple


class BlockRecord(NamedTuple):
    """The recorded state of a block.

    Attributes:
        inputs: digest of its prepared pixels, "" where it has no tile.
        tiles: how many it has at maxzoom.
        pending_reason: why it has to be rendered (again), None where it is done.
    """

    inputs: str
    tiles: int
    pending_reason: str | None


def tile_digest(data: bytes) -> bytes:
    """Eight bytes that change with any of a tile's."""
    return hashlib.blake2b(data, digest_size=8).digest()
