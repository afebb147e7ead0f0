"""Strips: adjacent blocks of a row that are read at once, so that they share margins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from geo2map.grid.block import Block, BlockImage
from geo2map.grid.window import TILE_SIZE
from geo2map.plan.value import Plan

STRIP_BLOCKS = 4
STRIP_PIXELS = 7_000_000
"""Largest number of blocks, and of pixels, of a strip: 28 MB with the mask."""


@dataclass(frozen=True)
class Layout:
    """Divides rows of blocks into strips, an equal number for each reader, at the same columns in every row.

    Attributes:
        plan: the plan of the blocks.
        columns: blocks in a row.
        strips: strips in a row.
    """

    plan: Plan
    columns: int
    strips: int

    @classmethod
    def of(cls, plan: Plan, readers: int) -> Layout:
        """The longest strips that fit into memory."""
        tiles, span = plan.tiles, plan.block_span
        columns = -(-tiles.right // span) - tiles.left // span
        around = 2 * (plan.margin + plan.fill_radius)
        side = span * TILE_SIZE
        most = max(1, min(STRIP_BLOCKS, (STRIP_PIXELS // (side + around) - around) // side))
        return cls(plan, columns, min(columns, readers * -(-columns // (readers * most))))

    def strip(self, block: Block) -> int:
        """The number of the block's strip in its row."""
        first = self.plan.tiles.left // self.plan.block_span
        return (self.plan.block_key(block)[0] - first) * self.strips // self.columns


def cut_strips(blocks: Iterable[Block], layout: Layout | None) -> Iterator[tuple[int, list[Block]]]:
    """Strips of adjacent blocks, with their number in the row; without a layout, single blocks."""
    if layout is None:
        yield from ((0, [block]) for block in blocks)
        return
    strip: list[Block] = []
    for block in blocks:
        if strip and not (_beside(strip[-1], block) and layout.strip(block) == layout.strip(strip[0])):
            yield layout.strip(strip[0]), strip
            strip = []
        strip.append(block)
    if strip:
        yield layout.strip(strip[0]), strip


def _beside(left: Block, right: Block) -> bool:
    return (right.y, right.rows, right.x) == (left.y, left.rows, left.x + left.columns)


def cut_block(strip: BlockImage, block: Block) -> BlockImage:
    """A block of a strip (a view)."""
    rows, columns = block.window.slices(strip.block.window)
    return BlockImage(block, strip.pixels[rows, columns], strip.mask[rows, columns])
