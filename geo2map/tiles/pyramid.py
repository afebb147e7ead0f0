"""Overviews: each parent is computed from its four stored children.

A parent is a function of its children's decoded pixels, so a resumed pyramid equals one built in one go, even with
lossy formats. Most parents are computed with their block, from pixels in memory; the few above the blocks are computed
at the end, from stored tiles.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from itertools import groupby

import numpy as np
import numpy.typing as npt

from geo2map.errors import TileSetError
from geo2map.grid.window import TILE_SIZE
from geo2map.protocols import Codec, Progress, TileStore
from geo2map.threads import Budget
from geo2map.types import Image, Mask, Tile

_HALF = TILE_SIZE // 2
_MOST_THREADS = 2  # beyond that the disk and the interpreter lock are the limit

Pixels = tuple[Image, Mask]


def parent_of(tile: Tile) -> Tile:
    """The tile one zoom up that contains a tile."""
    return Tile(tile.x // 2, tile.y // 2, tile.z - 1)


def children_of(tile: Tile) -> list[Tile]:
    """The four tiles one zoom down, row by row."""
    return [Tile(2 * tile.x + dx, 2 * tile.y + dy, tile.z + 1) for dy in (0, 1) for dx in (0, 1)]


def make_parent(children: Mapping[tuple[int, int], Pixels], *, majority: bool = False) -> Pixels:
    """The parent of up to four tiles, by a 2 x 2 box average in premultiplied alpha.

    A parent pixel is valid if any of its four is, and is the mean of the valid ones, rounded half up in integers. Thin
    footprints thus persist at all zooms, and invalid pixels never bleed into colours.

    Args:
        children: (pixels uint8 (256, 256, 3), mask bool (256, 256)) by (dx, dy), each 0 or 1, (0, 0) in the
            north-west; missing ones are invalid.
        majority: take the most frequent colour of the valid ones instead, in a tie the first by row and column.

    Returns:
        Pixels, uint8 (256, 256, 3), zero where invalid, and mask, bool (256, 256).
    """
    pixels = np.zeros((TILE_SIZE, TILE_SIZE, 3), dtype=np.uint8)
    mask = np.zeros((TILE_SIZE, TILE_SIZE), dtype=np.bool_)
    for (dx, dy), (child, valid) in children.items():
        quarter = np.s_[dy * _HALF : (dy + 1) * _HALF, dx * _HALF : (dx + 1) * _HALF]
        pixels[quarter], mask[quarter] = (_vote if majority else _halve)(child, valid)
    return pixels, mask


def encode_pyramid(tiles: Mapping[Tile, Pixels], codec: Codec, levels: int) -> dict[Tile, bytes]:
    """Encode tiles of one zoom and their parents over `levels` zooms.

    Args:
        tiles: each with a valid pixel, together with all siblings.

    Returns:
        Encoded tiles, children before parents.
    """
    encoded = fresh = {tile: codec.encode(*pixels) for tile, pixels in tiles.items()}
    for _ in range(levels):
        stored = tiles if codec.lossless else {tile: codec.decode(data) for tile, data in fresh.items()}
        tiles = _parents(stored, codec.majority)
        fresh = {tile: codec.encode(*pixels) for tile, pixels in tiles.items()}
        encoded = encoded | fresh
    return encoded


def _parents(tiles: Mapping[Tile, Pixels], majority: bool) -> dict[Tile, Pixels]:
    families: dict[Tile, dict[tuple[int, int], Pixels]] = {}
    for tile, pixels in tiles.items():
        if tile.z:
            families.setdefault(parent_of(tile), {})[tile.x % 2, tile.y % 2] = pixels
    made = {parent: make_parent(family, majority=majority) for parent, family in families.items()}
    return {parent: pixels for parent, pixels in made.items() if pixels[1].any()}


def build_parents(
    store: TileStore, codec: Codec, children: Iterable[Tile], minzoom: int, *, progress: Progress | None = None
) -> Iterator[tuple[Tile, bytes | None]]:
    """Compute and store the ancestors of some stored tiles down to `minzoom`.

    Streams: holds the names of one zoom's parents and a few decoded tiles. Deterministic; replaces existing parents.

    Args:
        children: all tiles of one zoom that changed, including removed ones.
        progress: called with "overviews" and the number of zooms done.

    Yields:
        Every parent with its bytes, None if it has no child any more.

    Raises:
        TileSetError: a child is broken.
        OutputError: a parent cannot be written.
    """
    wanted = sorted({parent_of(tile) for tile in children if tile.z > minzoom})
    total = max(0, wanted[0].z - minzoom + 1) if wanted else 0
    removed: set[Tile] = set()
    with Budget.make().pool(_MOST_THREADS, "overviews") as pool:
        for done in range(1, total + 1):
            make, removed = partial(_make, store, codec, removed), set()
            for _, column in groupby(wanted, key=lambda tile: tile.x):
                for tile, data in pool.map(lambda parent, make=make: (parent, make(parent)), list(column)):
                    if data is None:
                        removed.add(tile)
                    else:
                        store.put(tile, data)
                    yield tile, data
            if progress:
                progress("overviews", done, total)
            if done < total:
                wanted = sorted({parent_of(tile) for tile in wanted})


def _make(store: TileStore, codec: Codec, removed: Collection[Tile], parent: Tile) -> bytes | None:
    """A parent of the stored children except removed ones, None without any."""
    children: dict[tuple[int, int], Pixels] = {}
    for child in children_of(parent):
        if child not in removed and (data := store.get(child)) is not None:
            try:
                children[child.x % 2, child.y % 2] = codec.decode(data)
            except TileSetError as error:
                raise TileSetError(f"tile {child.z}/{child.x}/{child.y}: {error}") from error
    pixels, mask = make_parent(children, majority=codec.majority)
    return codec.encode(pixels, mask) if mask.any() else None


def _halve(pixels: Image, mask: Mask) -> Pixels:
    """(256, 256) to (128, 128): (2 sum + count) // (2 count) is the mean, rounded half up."""
    if mask.all():
        return ((_sums(pixels) + 2) >> 2).astype(np.uint8), np.ones((_HALF, _HALF), dtype=np.bool_)
    count = _sums(mask[..., None])
    mean = (2 * _sums(pixels * mask[..., None]) + count) // (2 * np.maximum(count, 1))
    return mean.astype(np.uint8), count[..., 0] > 0


def _sums(values: npt.NDArray[np.uint8 | np.bool_]) -> npt.NDArray[np.uint16]:
    """Sums of 2 x 2, (256, 256, bands) to uint16 (128, 128, bands); rows first, which are contiguous in memory."""
    rows = values.reshape(_HALF, 2, -1)
    both = np.add(rows[:, 0], rows[:, 1], dtype=np.uint16).reshape(_HALF, _HALF, 2, -1)
    total: npt.NDArray[np.uint16] = both[:, :, 0] + both[:, :, 1]
    return total


def _vote(pixels: Image, mask: Mask) -> Pixels:
    """(256, 256) to (128, 128): the most frequent colour of the valid ones, in a tie the first."""
    codes = pixels.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], dtype=np.int32)
    codes[~mask] = -1
    four = codes.reshape(_HALF, 2, _HALF, 2).transpose(1, 3, 0, 2).reshape(4, _HALF, _HALF)
    votes = (four[:, None] == four).sum(axis=1) * (four >= 0)
    chosen = np.take_along_axis(four, votes.argmax(axis=0)[None], axis=0)[0]
    valid: Mask = chosen >= 0
    colours = np.stack([chosen >> 16 & 255, chosen >> 8 & 255, chosen & 255], axis=-1).astype(np.uint8)
    return colours * valid[..., None], valid
