"""Class codes and scores of stored tiles, as features are read from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from geo2map.colour.palette import Palette
from geo2map.colour.quantizer import PaletteQuantizer
from geo2map.features import Box, ClassMap, Reading
from geo2map.formats.vectors.frame import MapFrame
from geo2map.grid import PixelWindow, tile_range
from geo2map.grid.window import tile_window
from geo2map.protocols import StoredTiles
from geo2map.tiles.classes import read_codes
from geo2map.tiles.codec import decode_tile
from geo2map.tiles.layer import read_evidence
from geo2map.types import Tile

_KEPT = 320
"""Decoded tiles in memory: those of two neighbouring cores share a halo. 64 KiB a tile of codes, 192 of scores."""


@dataclass(frozen=True)
class StoredClasses:
    """A map's classes in stored tiles.

    Attributes:
        tiles: of the map, at its largest zoom: class codes, or colours of which each pixel's nearest is taken.
        palette: colours of the classes.
        frame: zoom and window of the map.
        evidence: tiles of the layer "evidence", if it was kept.
    """

    tiles: StoredTiles
    palette: Palette
    frame: MapFrame
    evidence: StoredTiles | None = None
    _quantizer: PaletteQuantizer = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_quantizer", PaletteQuantizer(self.palette.colours))

    def map(self) -> ClassMap:
        """The map to extract features from; reads are cached and may come from several threads."""
        codes = lru_cache(_KEPT)(self._codes)
        scores = lru_cache(_KEPT)(self._scores)

        def read(box: Box) -> Reading:
            """Pixels of a window."""
            window = PixelWindow(*box)
            found = np.full(box.shape, len(self.palette.classes), np.uint8)
            road = building = None
            if self.evidence is not None:
                road, building = np.zeros(box.shape, np.uint8), np.zeros(box.shape, np.uint8)
            for tile in _tiles_of(window, self.frame.zoom):
                part = tile_window(tile).intersection(window)
                inside, of = part.slices(window), part.slices(tile_window(tile))
                if (tile_codes := codes(tile)) is not None:
                    found[inside] = tile_codes[of]
                if road is not None and building is not None and (planes := scores(tile)) is not None:
                    road[inside], building[inside] = planes[0][of], planes[1][of]
            return Reading(found, road, building)

        return ClassMap(read, Box(*self.frame.window), self.palette.classes, self.frame.metres)

    def _codes(self, tile: Tile) -> np.ndarray | None:
        """Class codes of a tile, uint8 (256, 256); one more than the last where nothing is known."""
        if (data := self.tiles.get(_in_world(tile))) is None:
            return None
        if (stored := read_codes(data, self.palette)) is not None:
            return stored
        pixels, mask = decode_tile(data)
        codes = self.palette.class_of_entry.astype(np.uint8)[self._quantizer.indices(pixels)]
        return np.where(mask, codes, np.uint8(len(self.palette.classes)))

    def _scores(self, tile: Tile) -> tuple[np.ndarray, np.ndarray] | None:
        """Probabilities of road and of building, uint8 (256, 256) each."""
        assert self.evidence is not None, "only where it was kept"
        if (data := self.evidence.get(_in_world(tile))) is None:
            return None
        planes, _ = read_evidence(data)
        return np.ascontiguousarray(planes[0]), np.ascontiguousarray(planes[1])


def _tiles_of(window: PixelWindow, zoom: int) -> list[Tile]:
    """Tiles that a window touches, with columns beyond the world's right edge."""
    span = tile_range(window)
    return [Tile(x, y, zoom) for y in range(span.top, span.bottom) for x in range(span.left, span.right)]


def _in_world(tile: Tile) -> Tile:
    return Tile(tile.x % 2**tile.z, tile.y, tile.z)
