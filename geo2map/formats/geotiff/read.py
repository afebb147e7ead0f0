"""Tiles of a GeoTIFF on the tile grid: its blocks and overviews."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from geo2map.colour.palette import Palette
from geo2map.errors import Geo2MapError, TileSetError
from geo2map.files.closing import Closing
from geo2map.files.plain_text import plain_text
from geo2map.formats.documents.companions import class_legend
from geo2map.formats.geotiff.bands import BandArray, GreyLayout, layout_of, read_bands
from geo2map.formats.geotiff.files import open_geotiff
from geo2map.formats.subset import rescale
from geo2map.grid import TILE_SIZE, PixelWindow, window_transform
from geo2map.tiles.classes import ClassCodec
from geo2map.tiles.codec import encode_tile
from geo2map.tiles.grey import GreyCodec
from geo2map.tiles.indexed import encode_indexed
from geo2map.tiles.tilejson import ATTRIBUTION, SOURCE_ATTRIBUTION, TileSet, foreign_words
from geo2map.types import Image, Mask, Tile

ON_GRID = 1e-6
"""Tolerance in pixels for a file's corner to be on the grid."""


class GeotiffStore(Closing):
    """Reads the tiles of a GeoTIFF written by `write_geotiff`, or of another one aligned to tiles (a
    `geo2map.protocols.StoredTiles`). Encodes each tile as PNG on demand. Thread-safe.

    A context manager that closes the file.

    Attributes:
        path: the file.
        zooms: zooms of its pixels and overviews, ascending.
        tileset: its description.
    """

    def __init__(self, path: str | Path) -> None:
        """
        Raises:
            TileSetError: it cannot be read, or is not on the tile grid.
        """
        self.path, self._lock, self._stack = Path(path), Lock(), ExitStack()
        try:
            base = self._open()
            self._levels: list[DatasetReader] = [base]
            for level in range(len(base.overviews(1))):
                self._levels.append(self._open(OVERVIEW_LEVEL=level))
            self._layout = layout_of(base)
            self._maxzoom, self._extent = self._place(base)
            self.zooms = tuple(self._maxzoom - level for level in reversed(range(len(self._levels))))
            self.tileset = self._describe(base)
            legend = class_legend(self.tileset)
            self._classes = ClassCodec(Palette(tuple(legend))) if legend else None
        except UnicodeEncodeError as error:
            self._stack.close()
            raise TileSetError(
                f"{plain_text(self.path.name)}: cannot be opened, since its name is not UTF-8; rename it"
            ) from error
        except RasterioError as error:
            self._stack.close()
            raise TileSetError(f"{self.path}: cannot be read ({error}); check the file") from error
        except BaseException:
            self._stack.close()
            raise

    def _open(self, **options: int) -> DatasetReader:
        """Open the file until `close`. Not as a `with` context, which is bound to its thread."""
        dataset = open_geotiff(self.path, **options)
        self._stack.callback(dataset.close)
        return dataset

    def get(self, tile: Tile) -> bytes | None:
        """The tile as PNG, None if it has no valid pixel.

        Raises:
            TileSetError: the file is damaged.
        """
        if (found := self.pixels(tile)) is None:
            return None
        pixels, mask = found
        if self._classes is not None:
            return self._classes.encode(pixels, mask)
        if self._layout.table is None:
            grey = isinstance(self._layout, GreyLayout)
            return GreyCodec().encode(pixels, mask) if grey else encode_tile(pixels, mask, "png")
        return encode_indexed(self._layout.bands(pixels, mask)[0], mask, self._layout.table)

    def pixels(self, tile: Tile) -> tuple[Image, Mask] | None:
        """The tile's pixels, uint8 (256, 256, 3), and mask, bool (256, 256); None if it has no valid pixel.

        Raises:
            TileSetError: the file is damaged.
        """
        if tile.z not in self.zooms:
            return None
        pixels, mask = self._layout.pixels(self._read(tile))
        return (pixels, mask) if mask.any() else None

    def tiles(self, zoom: int) -> Iterator[Tile]:
        """Tiles with a valid pixel, by column, then row; reads every block.

        Raises:
            TileSetError: the file is damaged.
        """
        frame = rescale(self._extent, self._maxzoom, zoom)
        last = self._layout.count - 1
        for x in range(frame.left // TILE_SIZE, -(-frame.right // TILE_SIZE)):
            for y in range(frame.top // TILE_SIZE, -(-frame.bottom // TILE_SIZE)):
                tile = Tile(x, y, zoom)
                if (self._read(tile)[last] != self._layout.blank).any():
                    yield tile._replace(x=x % 2**zoom)

    def close(self) -> None:
        """Close the file; may be repeated."""
        self._stack.close()

    def _read(self, tile: Tile) -> BandArray:
        """A tile's bands, uint8 (bands, 256, 256); columns beyond the antimeridian count either way."""
        level = self._levels[self._maxzoom - tile.z]
        left, top = (edge >> self._maxzoom - tile.z for edge in self._extent[:2])
        bands = np.full((self._layout.count, TILE_SIZE, TILE_SIZE), self._layout.blank, dtype=np.uint8)
        column = tile.x * TILE_SIZE - left
        if column + TILE_SIZE <= 0:
            column += TILE_SIZE * 2**tile.z
        row = tile.y * TILE_SIZE - top
        inside = PixelWindow(column, row, column + TILE_SIZE, row + TILE_SIZE)
        part = inside.intersection(PixelWindow(0, 0, level.width, level.height))
        if part.empty:
            return bands
        window = Window(part.left, part.top, part.width, part.height)
        try:
            with self._lock:
                bands[:, *part.slices(inside)] = read_bands(level, self._layout, window)
        except RasterioError as error:
            raise TileSetError(f"{self.path}: damaged ({error.__cause__ or error}); create it again") from error
        return bands

    def _place(self, base: DatasetReader) -> tuple[int, PixelWindow]:
        if base.dtypes[0] != "uint8":
            raise self._no_tiles(f"its pixels are {base.dtypes[0]}, not 8-bit")
        if (found := frame_of(base)) is None or any(edge % TILE_SIZE for edge in found[1]):
            raise self._no_tiles("its blocks are not on the tile grid")
        steps = [2**level for level in range(1, len(self._levels))]
        if base.overviews(1) != steps:
            raise self._no_tiles("its overviews do not halve from one to the next")
        return found

    def _no_tiles(self, why: str) -> TileSetError:
        return TileSetError(f"{self.path}: not a tile set ({why}); render it, or give a tile set")

    def _describe(self, base: DatasetReader) -> TileSet:
        tags = base.tags()
        name = tags.get("TIFFTAG_DOCUMENTNAME") or self.path.stem
        try:
            facts: dict[str, Any] = json.loads(tags.get("GEO2MAP") or "{}")
            facts.pop("pixels", None)
            asked = facts.pop("window", None)
            window = PixelWindow(*map(int, asked)) if asked else self._extent
            said = {"description": tags.get("TIFFTAG_IMAGEDESCRIPTION"), "attribution": tags.get("TIFFTAG_COPYRIGHT")}
            words = foreign_words(said, facts)
            if words.get("description") in (ATTRIBUTION, SOURCE_ATTRIBUTION):
                del words["description"]
            return TileSet(name, "png", self.zooms[0], self._maxzoom, window, facts, words=words)
        except (TypeError, ValueError, AttributeError, Geo2MapError) as error:
            raise TileSetError(f"{self.path}: invalid metadata ({error}); create it again") from error


def frame_of(dataset: DatasetReader) -> tuple[int, PixelWindow] | None:
    """Zoom and global pixels of a file on the web-mercator grid; None for any other."""
    size = dataset.transform.a
    world = window_transform(PixelWindow(0, 0, 1, 1), 0)
    if not 0 < size <= world.a:
        return None
    zoom = round(np.log2(world.a / size))
    exact = window_transform(PixelWindow(0, 0, 1, 1), zoom)
    left, top = (dataset.transform.c - exact.c) / exact.a, (dataset.transform.f - exact.f) / exact.e
    off = max(abs(left - round(left)), abs(top - round(top)), abs(size / exact.a - 1) * dataset.width)
    if str(dataset.crs) != "EPSG:3857" or off > ON_GRID * max(1.0, abs(left)):
        return None
    return zoom, PixelWindow(round(left), round(top), round(left) + dataset.width, round(top) + dataset.height)
