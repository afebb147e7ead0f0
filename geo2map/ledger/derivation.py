"""What an output is made into after its last block: features, and the tiles that are made from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
import shapely

from geo2map.colour.palette import Palette
from geo2map.errors import ZoomError
from geo2map.features import UNITS, Style
from geo2map.features.style import palette_style
from geo2map.formats.vectors.classes import StoredClasses
from geo2map.formats.vectors.drawing import drawn_tiles, tiles_touched
from geo2map.formats.vectors.extraction import extract_features
from geo2map.formats.vectors.frame import MapFrame
from geo2map.formats.vectors.read import FeatureFile
from geo2map.formats.vectors.tiles import vector_tiles
from geo2map.grid import TILE_SIZE, PixelWindow
from geo2map.grid.window import tile_window
from geo2map.plan.storage import Storage
from geo2map.protocols import Codec, Progress, StoredTiles, TileStore
from geo2map.threads import Budget
from geo2map.tiles.codec import decode_tile
from geo2map.tiles.pyramid import build_parents
from geo2map.tiles.tilejson import TileSet
from geo2map.types import Mask, Tile

DRAFT = "result.features.gpkg"
"""Name of the features in an output's working folder."""
_AT_ONCE = 256
Record = Callable[[Mapping[Tile, bytes | None]], None]
"""Told which tiles were stored."""


@dataclass(frozen=True)
class ClassTiles:
    """Stored tiles that features are read from.

    Attributes:
        classes: class codes or colours, at the largest zoom.
        evidence: scores of roads and buildings; None where they were not kept.
        palette: names of the classes, and colours that stand for them in the tiles.
    """

    classes: StoredTiles
    evidence: StoredTiles | None
    palette: Palette

    def extract(self, tileset: TileSet, style: Style | None, folder: Path, progress: Progress | None) -> FeatureFile:
        """Read the features of a map, into a file in a folder.

        Args:
            tileset: describes the map.
            style: the one that QGIS shows; None takes the map's own colours.

        Raises:
            OutputError: it cannot be written.
            TileSetError: a stored tile is damaged.
        """
        source = StoredClasses(self.classes, self.palette, MapFrame(tileset.maxzoom, tileset.window), self.evidence)
        shown = style or palette_style(self.palette.entries)
        path, budget = folder / DRAFT, Budget.make()
        return extract_features(source, path, tileset, shown, budget=budget, progress=progress)

    def tiles(self, zoom: int) -> Iterator[Tile]:
        """Where there is a map."""
        return self.classes.tiles(zoom)

    def mask(self, tile: Tile) -> Mask:
        """Which pixels of a tile belong to the map."""
        data = self.classes.get(tile)
        assert data is not None, "only listed tiles are drawn"
        return decode_tile(data)[1]


@dataclass(frozen=True)
class CoveredArea:
    """The coverage of a map whose features are in a file, at any zoom."""

    features: FeatureFile

    @cached_property
    def _tree(self) -> shapely.STRtree:
        polygons = self.features.coverage()
        shapely.prepare(polygons)
        return shapely.STRtree(polygons)

    def tiles(self, zoom: int) -> Iterator[Tile]:
        """Tiles that the map may reach."""
        return (tile for tile in tiles_touched(self.features, zoom) if any(self._near(tile)))

    def mask(self, tile: Tile) -> Mask:
        """Which pixels of a tile belong to the map: those whose middle does."""
        mask = np.zeros((TILE_SIZE, TILE_SIZE), bool)
        for window, polygons in zip(_spans(tile), self._near(tile), strict=True):
            x, y = ((start + np.arange(TILE_SIZE) + 0.5) * self._unit(tile.z) for start in (window.left, window.top))
            for polygon in polygons:
                if shapely.contains_properly(polygon, self._box(window, tile.z)):  # as of most tiles
                    mask[:] = True
                else:
                    mask |= shapely.contains_xy(polygon, x[None], y[:, None])
        return mask

    def _near(self, tile: Tile) -> list[list[shapely.Polygon]]:
        """The polygons that come near a tile, where it is and once around the world."""
        boxes = [self._box(window, tile.z) for window in _spans(tile)]
        return [
            [self._tree.geometries[index] for index in sorted(self._tree.query(box, "intersects"))] for box in boxes
        ]

    def _box(self, window: PixelWindow, zoom: int) -> shapely.Polygon:
        return shapely.box(*(edge * self._unit(zoom) for edge in window))

    def _unit(self, zoom: int) -> float:
        """Units of a pixel's side."""
        return UNITS * 2.0 ** (self.features.frame.zoom - zoom)


def _spans(tile: Tile) -> tuple[PixelWindow, PixelWindow]:
    """Pixels of a tile, and those beyond the world's right edge, as maps across the antimeridian have them."""
    return tile_window(tile), tile_window(tile).shift(TILE_SIZE << tile.z)


class DrawnArea(Protocol):
    """Where there is a map."""

    def tiles(self, zoom: int) -> Iterator[Tile]: ...

    def mask(self, tile: Tile) -> Mask: ...


def fill_tiles(
    store: TileStore,
    features: FeatureFile,
    area: DrawnArea,
    tileset: TileSet,
    storage: Storage,
    *,
    record: Record | None = None,
    progress: Progress | None = None,
) -> None:
    """Store the tiles that are made from features: vector tiles, or pictures with their overviews.

    Args:
        area: where pictures are drawn, and which of their pixels are valid.
        tileset: describes them: zooms.
        storage: how they are stored.

    Raises:
        OutputError: a tile cannot be stored.
        TileSetError: the features are damaged.
        ZoomError: no pixel of a drawing has its middle in the map.
    """
    if storage.vector:
        _store(store, vector_tiles(features, tileset.minzoom), record)
        return
    style, codec = storage.feature_style or features.style, storage.codec
    _store(store, _drawn(features, style, area, tileset.maxzoom, codec), record)
    if next(iter(store.tiles(tileset.maxzoom)), None) is None:
        raise ZoomError(f"no pixel of {tileset.name} at zoom {tileset.maxzoom}; choose a higher one", option="zoom")
    parents = build_parents(store, codec, store.tiles(tileset.maxzoom), tileset.minzoom, progress=progress)
    while some := dict(islice(parents, _AT_ONCE)):
        store.sync()
        if record is not None:
            record(some)


def _store(store: TileStore, tiles: Iterable[tuple[Tile, bytes]], record: Record | None) -> None:
    left = iter(tiles)
    while some := dict(islice(left, _AT_ONCE)):
        for tile, data in some.items():
            store.put(tile, data)
        store.sync()
        if record is not None:
            record(some)


def _drawn(
    features: FeatureFile, style: Style, area: DrawnArea, zoom: int, codec: Codec
) -> Iterator[tuple[Tile, bytes]]:
    for tile, pixels in drawn_tiles(features, style, area.tiles(zoom)):
        mask = area.mask(tile)
        if mask.any():
            yield tile, codec.encode(pixels, mask)
