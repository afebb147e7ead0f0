"""Blocks: rectangles of whole tiles that are read, translated and written at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from geo2map.errors import PlanError
from geo2map.grid.window import TILE_SIZE, PixelWindow, tile_window
from geo2map.types import Image, Mask, Tile


@dataclass(frozen=True)
class Block:
    """Whole tiles of one zoom and a margin of context around them. A value: picklable, comparable.

    Attributes:
        z: zoom.
        x, y: column and row of the north-west tile; columns continue past the world's right edge, the antimeridian.
        columns, rows: number of tiles.
        margin: pixels of context on every side.
    """

    z: int
    x: int
    y: int
    columns: int
    rows: int
    margin: int = 0

    def __post_init__(self) -> None:
        if min(self.columns, self.rows) < 1 or min(self.x, self.y, self.z, self.margin) < 0:
            raise PlanError(f"{self} is not a block: tiles must be at least 1, the rest at least 0")

    @property
    def core(self) -> PixelWindow:
        """The global pixels of the block's tiles."""
        left, top = self.x * TILE_SIZE, self.y * TILE_SIZE
        return PixelWindow(left, top, left + self.columns * TILE_SIZE, top + self.rows * TILE_SIZE)

    @property
    def window(self) -> PixelWindow:
        """The global pixels to read: the core and the margin; may reach beyond the world."""
        return self.core.grow(self.margin)

    @property
    def tiles(self) -> Iterator[Tile]:
        """The block's tiles, row by row; beyond the world's right edge comes column 0."""
        for y in range(self.y, self.y + self.rows):
            for x in range(self.x, self.x + self.columns):
                yield Tile(x % 2**self.z, y, self.z)

    def with_margin(self, margin: int) -> Block:
        return replace(self, margin=margin)


@dataclass(frozen=True, eq=False)
class BlockImage:
    """The pixels of a block's window.

    Attributes:
        block: which pixels these are.
        pixels: uint8 (H, W, 3), of the size of `block.window`.
        mask: bool (H, W), True where valid.
    """

    block: Block
    pixels: Image
    mask: Mask

    def __post_init__(self) -> None:
        shape = (self.block.window.height, self.block.window.width)
        if self.pixels.shape != (*shape, 3) or self.mask.shape != shape:
            raise PlanError(f"{self.block} needs {shape} px, got {self.pixels.shape} and mask {self.mask.shape}")

    def with_margin(self, margin: int) -> BlockImage:
        """The image with a smaller margin (a view)."""
        block = self.block.with_margin(margin)
        rows, columns = block.window.slices(self.block.window)
        return BlockImage(block, self.pixels[rows, columns], self.mask[rows, columns])

    def core(self) -> BlockImage:
        """The image without its margin (a view)."""
        return self.with_margin(0)

    def trimmed(self) -> BlockImage:
        """The image of the fewest tiles around all that have a valid pixel, with the same margin (a view).

        Raises:
            PlanError: no tile has one.
        """
        block = self.block
        parts = self.core().mask.reshape(block.rows, TILE_SIZE, block.columns, TILE_SIZE)
        rows, columns = np.nonzero(parts.any(axis=(1, 3)))
        if not rows.size:
            raise PlanError(f"{block} has no valid pixel")
        part = Block(
            block.z,
            block.x + int(columns.min()),
            block.y + int(rows.min()),
            int(np.ptp(columns)) + 1,
            int(np.ptp(rows)) + 1,
            block.margin,
        )
        inside = part.window.slices(block.window)
        return BlockImage(part, self.pixels[inside], self.mask[inside])

    def tiles(self) -> Iterator[tuple[Tile, Image, Mask]]:
        """Views of the tiles that have a valid pixel, row by row."""
        for tile in self.block.tiles:
            column = self.block.x + (tile.x - self.block.x) % 2**tile.z
            rows, columns = tile_window(tile._replace(x=column)).slices(self.block.window)
            if (mask := self.mask[rows, columns]).any():
                yield tile, self.pixels[rows, columns], mask
