"""Raster tiles drawn from features, at any zoom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from geo2map.features import WIDTHS, Style
from geo2map.features.draw import BUFFER, Drawing
from geo2map.formats.subset import rescale
from geo2map.formats.vectors.read import FeatureFile
from geo2map.grid import TILE_SIZE, PixelWindow, tile_range
from geo2map.grid.window import tile_window
from geo2map.types import Image, Tile

_AT_ONCE = 8
"""Tiles along a side of a square whose features are read at once."""


def drawn_tiles(features: FeatureFile, style: Style, tiles: Iterable[Tile]) -> Iterator[tuple[Tile, Image]]:
    """Tiles of one zoom drawn from features; a tile's pixels depend on no other.

    Args:
        tiles: at any zoom, by column, then row.

    Yields:
        Tiles and their pixels, uint8 (256, 256, 3).

    Raises:
        TileSetError: the file is damaged.
    """
    for _, strip in groupby(tiles, key=lambda tile: tile.x // _AT_ONCE):
        squares: dict[int, list[Tile]] = {}
        for tile in strip:
            squares.setdefault(tile.y // _AT_ONCE, []).append(tile)
        for square in squares.values():
            yield from _drawn(features, style, square)


def tiles_touched(features: FeatureFile, zoom: int) -> Iterator[Tile]:
    """The tiles of a zoom that a map's window touches, by column, then row."""
    span = tile_range(rescale(features.frame.window, features.frame.zoom, zoom))
    columns = sorted({x % 2**zoom for x in range(span.left, span.right)})
    return (Tile(x, y, zoom) for x in columns for y in range(span.top, span.bottom))


def _drawn(features: FeatureFile, style: Style, tiles: list[Tile]) -> Iterator[tuple[Tile, Image]]:
    frame, zoom = features.frame, tiles[0].z
    scale = 2.0 ** (zoom - frame.zoom)
    spans = [_unwrapped(tile, rescale(frame.window, frame.zoom, zoom)) for tile in tiles]
    around = rescale(
        PixelWindow(
            min(span.left for span in spans),
            min(span.top for span in spans),
            max(span.right for span in spans),
            max(span.bottom for span in spans),
        ),
        zoom,
        frame.zoom,
    )
    reach = max(WIDTHS) / frame.metres / 2 + BUFFER / scale
    drawing = Drawing(features.near(around, int(reach) + 2), style, frame.metres)
    for tile, span in zip(tiles, spans, strict=True):
        yield tile, drawing.draw(span.left, span.top, TILE_SIZE, scale, zoom)


def _unwrapped(tile: Tile, window: PixelWindow) -> PixelWindow:
    """The pixels of a tile, beyond the world's right edge where the map is there."""
    span = tile_window(tile)
    beyond = span.shift(TILE_SIZE << tile.z)
    return beyond if span.intersection(window).empty and not beyond.intersection(window).empty else span
