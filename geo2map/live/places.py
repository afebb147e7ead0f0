"""Which tiles can exist, and which blocks they come from."""

from __future__ import annotations

from collections.abc import Iterator

from geo2map.grid import Block, PixelWindow, tile_range
from geo2map.plan.value import Plan
from geo2map.types import Tile


def touches(window: PixelWindow, maxzoom: int, tile: Tile) -> bool:
    """Whether a tile at `maxzoom` or below has a pixel of a window; columns are counted modulo the world."""
    return any(True for _ in _parts(tile_range(window), maxzoom, tile))


def blocks_of(plan: Plan, tile: Tile) -> list[Block]:
    """The blocks that hold a tile's pixels, as `plan.blocks` makes them; none outside the area of interest."""
    tiles, span = plan.tiles, plan.block_span
    keys = {
        (column, row)
        for part in _parts(tiles, plan.maxzoom, tile)
        for row in range(part.top // span, -(-part.bottom // span))
        for column in range(part.left // span, -(-part.right // span))
    }
    found: list[Block] = []
    for column, row in sorted(keys):
        whole = PixelWindow(column * span, row * span, (column + 1) * span, (row + 1) * span)
        part = whole.intersection(tiles)
        if plan.aoi is None or plan.aoi.tiles(part, plan.maxzoom).any():
            found.append(Block(plan.maxzoom, part.left, part.top, part.width, part.height, plan.margin))
    return found


def _parts(tiles: PixelWindow, maxzoom: int, tile: Tile) -> Iterator[PixelWindow]:
    """The tiles at `maxzoom` that a tile covers in a range; two parts where the range crosses the antimeridian."""
    depth = maxzoom - tile.z
    if depth < 0:
        return
    left, top = tile.x << depth, tile.y << depth
    own = PixelWindow(left, top, left + (1 << depth), top + (1 << depth))
    for turn in (0, 1 << maxzoom):
        part = own.shift(turn).intersection(tiles)
        if not part.empty:
            yield part
