"""An XYZ folder of tiles as a source of pixels, so that cut tiles can be translated with their neighbours."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from geo2map.colour.rendition import Rendition
from geo2map.grid import tile_range, tile_window
from geo2map.grid.block import Block, BlockImage
from geo2map.tiles.folder import XyzFolder
from geo2map.types import Image, Mask, Tile

CACHED_TILES = 512  # 130 MB at most; a row of blocks shares its margin with the next


class TileSource:
    """The tiles of one zoom (a `geo2map.protocols.Source`); missing tiles are invalid pixels."""

    def __init__(self, folder: XyzFolder, zoom: int, rendition: Rendition) -> None:
        self.zoom, self.rendition = zoom, rendition
        self._tile = lru_cache(maxsize=CACHED_TILES)(folder.read)

    def read(self, block: Block) -> BlockImage:
        """Reads a block from the tiles it touches.

        Raises:
            TileSetError: a tile is broken or not 256 px.
        """
        wanted = block.window
        pixels = np.zeros((wanted.height, wanted.width, 3), dtype=np.uint8)
        mask = np.zeros((wanted.height, wanted.width), dtype=np.bool_)
        columns_rows = tile_range(wanted)
        for y in range(columns_rows.top, columns_rows.bottom):
            for x in range(columns_rows.left, columns_rows.right):
                self._paste(Tile(x, y, self.zoom), block, pixels, mask)
        return BlockImage(block, self.rendition(pixels), mask)

    def _paste(self, tile: Tile, block: Block, pixels: Image, mask: Mask) -> None:
        """Pastes one tile; rows end at the poles, columns begin anew beyond the antimeridian."""
        side = 2**self.zoom
        if not 0 <= tile.y < side or (found := self._tile(tile._replace(x=tile.x % side))) is None:
            return
        frame = tile_window(tile)
        part = frame.intersection(block.window)
        into, out_of = part.slices(block.window), part.slices(frame)
        pixels[into], mask[into] = found[0][out_of], found[1][out_of]
