"""Whether a finished output still holds the bytes that were written: reads everything, decodes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from hashlib import blake2b, file_digest
from itertools import islice
from pathlib import Path

from geo2map.errors import TileSetError
from geo2map.files.atomic import output_errors
from geo2map.ledger.layer_records import LayerRecords
from geo2map.pipeline.records import tile_digest
from geo2map.protocols import StoredTiles
from geo2map.threads import Budget
from geo2map.tiles.folder import XyzFolder
from geo2map.types import Tile

_READERS = 8
_AT_ONCE = 1024


def content_digest(path: Path) -> str:
    """Thirty-two hex digits over the bytes of a file, or the tiles of a folder.

    Raises:
        OutputError: it cannot be read.
        TileSetError: the folder cannot be listed.
    """
    if path.is_dir():
        return _folder_digest(XyzFolder(path))
    with output_errors(path), path.open("rb") as file:
        return file_digest(file, partial(blake2b, digest_size=16)).hexdigest()


def size_on_disk(path: Path) -> int:
    """Bytes of a file, or number of tiles in a folder."""
    if path.is_file():
        return path.stat().st_size
    folder = XyzFolder(path)
    return sum(1 for zoom in folder.zooms for _ in folder.tiles(zoom))


def first_damaged(store: StoredTiles, records: LayerRecords) -> tuple[Tile, str] | None:
    """The first tile that differs from its record and what is wrong with it; None if all match."""
    listed = (entry for zoom in records.zooms for entry in records.digests(zoom))
    for tile, expected, found in _read(store, listed):
        if found != expected:
            return tile, "missing" if found is None else "not the recorded one"
    return None


def _folder_digest(folder: XyzFolder) -> str:
    """Digest of the tiles and their positions; other files do not count."""
    listed = ((tile, b"") for zoom in folder.zooms for tile in folder.tiles(zoom))
    whole = blake2b(digest_size=16)
    for tile, _, found in _read(folder, listed):
        whole.update(f"{tile.z}/{tile.x}/{tile.y}".encode() + (found or b""))
    return whole.hexdigest()


def _read(store: StoredTiles, listed: Iterable[tuple[Tile, bytes]]) -> Iterator[tuple[Tile, bytes, bytes | None]]:
    """Tiles with their expected and actual digests (None: missing), in order, in batches."""
    rest = iter(listed)
    with Budget.make().pool(_READERS, "check") as pool:
        while some := list(islice(rest, _AT_ONCE)):
            digests = pool.map(partial(_digest, store), [tile for tile, _ in some])
            yield from ((*entry, found) for entry, found in zip(some, digests, strict=True))


def _digest(store: StoredTiles, tile: Tile) -> bytes | None:
    try:
        data = store.get(tile)
    except TileSetError:  # unreadable: differs from any record
        return b""
    return None if data is None else tile_digest(data)
