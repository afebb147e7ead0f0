"""Overviews of a tile folder: each parent is made from its four children as they are stored, zoom by zoom.

A parent is a function of its children's decoded pixels, so a pyramid that was taken up again equals one that was
made in one go, lossy formats included.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from geo2map.errors import ZoomError
from geo2map.grid import TILE_SIZE
from geo2map.protocols import Progress
from geo2map.threads import available_threads
from geo2map.tiles.codec import encode_tile
from geo2map.tiles.folder import XyzFolder
from geo2map.types import Image, Mask, Tile, TileFormat

_HALF = TILE_SIZE // 2
_MOST_THREADS = 2  # beyond that the disk and the interpreter lock are the limit


def make_parent(children: Mapping[tuple[int, int], tuple[Image, Mask]]) -> tuple[Image, Mask]:
    """The parent of up to four tiles, by a 2 x 2 box average in premultiplied alpha.

    A parent pixel is valid where any of its four is, and is the mean of the valid ones, rounded half up in integers.
    So thin footprints do not fray away zoom by zoom, and no invalid pixel ever bleeds into a colour.

    Args:
        children: (pixels uint8 (256, 256, 3), mask bool (256, 256)) by (dx, dy), each 0 or 1, (0, 0) in the
            north-west; what is missing is invalid.

    Returns:
        Pixels, uint8 (256, 256, 3), zero where invalid, and mask, bool (256, 256).
    """
    pixels = np.zeros((TILE_SIZE, TILE_SIZE, 3), dtype=np.uint8)
    mask = np.zeros((TILE_SIZE, TILE_SIZE), dtype=np.bool_)
    for (dx, dy), (child, valid) in children.items():
        quarter = np.s_[dy * _HALF : (dy + 1) * _HALF, dx * _HALF : (dx + 1) * _HALF]
        pixels[quarter], mask[quarter] = _halve(child, valid)
    return pixels, mask


def build_overviews(
    folder: Path, format: TileFormat, minzoom: int, maxzoom: int, *, progress: Progress | None = None
) -> dict[int, int]:
    """Makes the zooms from `maxzoom` - 1 down to `minzoom` out of the tiles of `maxzoom`.

    Parents exist only where a child does, and replace what is there. Streams: holds the names of two columns of
    tiles and a few decoded tiles, whatever the size of the folder. The result does not depend on the threads.

    Args:
        folder: of XYZ tiles.
        format: of the parents; children may be of any.
        minzoom, maxzoom: equal means nothing to do.
        progress: told "overviews" and how many columns of parents of all zooms are done.

    Returns:
        How many tiles were written by zoom, largest zoom first.

    Raises:
        ZoomError: the zooms are not in order.
        TileSetError: there is no such folder, or a child is broken.
        OutputError: a parent cannot be written.
    """
    if not 0 <= minzoom <= maxzoom:
        raise ZoomError(f"overviews from zoom {maxzoom} down to {minzoom} asked: give them in order, from 0")
    tiles = XyzFolder(folder)
    steps = _Steps(tiles.columns(maxzoom), maxzoom - minzoom, progress)
    with ThreadPoolExecutor(min(available_threads(), _MOST_THREADS)) as pool:
        make = partial(_make_and_store, tiles, format)
        written = {}
        for zoom in range(maxzoom - 1, minzoom - 1, -1):
            written[zoom] = 0
            for column in _parent_columns(tiles, zoom):
                written[zoom] += sum(pool.map(make, column))
                steps.advance()
    return written


class _Steps:
    """Counts columns of parents: those of a zoom follow from those of the largest."""

    def __init__(self, columns: list[int], levels: int, progress: Progress | None) -> None:
        self._done, self._progress = 0, progress
        self._total = sum(len({column >> level for column in columns}) for level in range(1, levels + 1))

    def advance(self) -> None:
        self._done = min(self._done + 1, self._total)
        if self._progress:
            self._progress("overviews", self._done, self._total)


def _parent_columns(tiles: XyzFolder, zoom: int) -> Iterator[list[Tile]]:
    """The parents at `zoom` of the tiles at `zoom` + 1, column by column, each sorted by row."""
    for column in sorted({child // 2 for child in tiles.columns(zoom + 1)}):
        children = tiles.rows(zoom + 1, 2 * column) + tiles.rows(zoom + 1, 2 * column + 1)
        yield [Tile(column, row, zoom) for row in sorted({child // 2 for child in children})]


def _make_and_store(tiles: XyzFolder, format: TileFormat, parent: Tile) -> bool:
    """Writes one parent; False where none of its pixels is valid."""
    children = {}
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        child = tiles.read(Tile(2 * parent.x + dx, 2 * parent.y + dy, parent.z + 1))
        if child is not None:
            children[dx, dy] = child
    pixels, mask = make_parent(children)
    if not mask.any():
        return False
    tiles.write(parent, encode_tile(pixels, mask, format), format)
    return True


def _halve(pixels: Image, mask: Mask) -> tuple[Image, Mask]:
    """(256, 256) to (128, 128): (2 sum + count) // (2 count) is the mean, rounded half up."""
    count = mask.reshape(_HALF, 2, _HALF, 2).sum(axis=(1, 3), dtype=np.uint16)[..., None]
    weighted = pixels * mask[..., None]
    total = weighted.reshape(_HALF, 2, _HALF, 2, 3).sum(axis=(1, 3), dtype=np.uint16)
    mean = (2 * total + count) // (2 * np.maximum(count, 1))
    return mean.astype(np.uint8), count[..., 0] > 0
