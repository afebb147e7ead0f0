"""The split into train, val and test by whole neighbourhoods, so that no test image resembles a neighbour in training.

Pictures next to each other share streets, roofs and light. So the unit of the split is a block of N x N pictures of the
global grid, and a block goes to one split as a whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from geo2map.errors import DataError
from geo2map.types import SPLITS, SplitName

WIDEST_BLOCK = 4
"""Default images along a side of a block."""
ENOUGH_BLOCKS = 20
"""Blocks that a scene should have, so that the shares come near the requested ones; else blocks are smaller."""


class Cell(NamedTuple):
    """A picture's or a block's column and row on the global grid of its size, row 0 in the north."""

    column: int
    row: int

    def block(self, side: int) -> Cell:
        """The block of `side` x `side` pictures that this picture is in."""
        return Cell(self.column // side, self.row // side)


def block_side(columns: int, rows: int) -> int:
    """Pictures along a side of a block for an area of so many pictures: `WIDEST_BLOCK` or fewer, at least 1."""
    fitting = (n for n in range(WIDEST_BLOCK, 1, -1) if columns * rows >= ENOUGH_BLOCKS * n * n)
    return next(fitting, 1)


def draw_number(seed: int, cell: Cell) -> float:
    """A pseudorandom number in [0, 1), a function of the cell, the same on every machine."""
    digest = hashlib.blake2b(f"{seed} {cell.column} {cell.row}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def assign_blocks(pictures: Mapping[Cell, int], shares: tuple[float, float, float], seed: int) -> dict[Cell, SplitName]:
    """Assigns every block to one split.

    In an order drawn from the seed, each block goes to the split that has the fewest pictures for its share. So no
    split gets more than its share and one block, and no requested one stays empty.

    Args:
        pictures: how many pictures each block has, at least one.
        shares: of train, val and test, in any unit; 0 leaves a split out.

    Raises:
        DataError: fewer blocks than splits.
    """
    wanted = {name: share for name, share in zip(SPLITS, shares, strict=True) if share > 0}
    if len(pictures) < len(wanted):
        raise DataError(
            f"too few images for {', '.join(wanted)}: they are in {len(pictures)} block"
            f"{'' if len(pictures) == 1 else 's'}, which cannot be divided; lower block or size, or leave out splits "
            "(shares 100,0,0)",
            option="shares",
        )
    filled = dict.fromkeys(wanted, 0)
    assigned: dict[Cell, SplitName] = {}
    for cell in sorted(pictures, key=lambda cell: (draw_number(seed, cell), cell)):
        name = min(wanted, key=lambda split: filled[split] / wanted[split])
        assigned[cell] = name
        filled[name] += pictures[cell]
    return assigned
