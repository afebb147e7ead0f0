"""One Cloud-Optimized GeoTIFF out of stored tiles: a block of the file is a tile, its overviews are the set's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.windows import Window

from geo2map.errors import OutputError, TileSetError
from geo2map.formats.documents.companions import class_legend
from geo2map.formats.geotiff.bands import BandArray, Ink, find_ink
from geo2map.formats.geotiff.cog import copy_as_cog, gdal_errors
from geo2map.formats.geotiff.pixel_digest import PixelDigest, level_digests, open_level, verify
from geo2map.formats.geotiff.warped import warp_plain
from geo2map.grid import TILE_SIZE, PixelWindow, tile_range, window_transform, world_window
from geo2map.grid.raster import RasterGrid
from geo2map.protocols import Progress, StoredTiles
from geo2map.tiles.codec import decode_tile
from geo2map.tiles.tilejson import TileSet
from geo2map.types import Compression, Tile

GEOTIFF_SUFFIXES = (".tif", ".tiff")
MOST_TILES = 2**24
"""Tiles in the rectangle around the existing ones: beyond that, the file's block index alone takes 256 MiB."""
FREE_LEVELS = 8
"""Overviews for which any corner of a tile is a corner of a pixel; for each further one the corner's step doubles."""

# Of the file that the finished one is copied from: it lives for minutes, so it is quick, not small.
_PROFILE: dict[str, Any] = {
    "driver": "GTiff",
    "dtype": "uint8",
    "crs": "EPSG:3857",
    "tiled": True,
    "blockxsize": TILE_SIZE,
    "blockysize": TILE_SIZE,
    "compress": "DEFLATE",
    "zlevel": 1,
    "bigtiff": "IF_SAFER",
    "sparse_ok": True,
}
_CACHE = 64 * 2**20  # bytes; by itself GDAL takes a share of the whole memory
_SPARSE = {"GDAL_TIFF_OVR_BLOCKSIZE": TILE_SIZE, "SPARSE_OK_OVERVIEW": "ON", "ZLEVEL_OVERVIEW": 1}


def write_geotiff(
    store: StoredTiles,
    tileset: TileSet,
    path: Path,
    progress: Progress | None = None,
    *,
    compression: Compression = "deflate",
    grid: RasterGrid | None = None,
) -> None:
    """Writes a set of tiles as a Cloud-Optimized GeoTIFF.

    The file is EPSG:3857, tiled like the set, and covers the rectangle around its tiles; missing tiles are
    transparent. Its overviews are the set's own lower zooms. It has red, green, blue and alpha; or one band and a table
    of colours where all tiles are indexed and share at most 255. The same tiles give the same bytes.

    An ordinary GeoTIFF of about the same size is made beside it first, since GDAL lays a finished file out anew. The
    copy is read back: GDAL passes over a full disk in silence while it closes a file.

    Args:
        store: tiles of any format, at all zooms of the set.
        path: of the file; what is there is replaced.
        compression: all are lossless.
        grid: another one than the tiles': the file is warped to it, and its overviews are means of its own pixels.

    Raises:
        TileSetError: a broken tile, none with a valid pixel, or too wide a scatter of tiles.
        OutputError: the file cannot be written, or a compression that a table of colours cannot have.
    """
    extent, overviews = _extent(store, tileset)
    levels = [_Level(extent, tileset.maxzoom, number) for number in range(overviews + 1)]
    ink = find_ink(store, range(tileset.maxzoom, tileset.maxzoom - overviews - 1, -1), class_legend(tileset))
    require_colours(ink, compression)
    plain, warped = (path.with_name(f"{path.stem}-{name}{path.suffix}") for name in ("plain", "warped"))
    try:
        with gdal_errors(path), rasterio.Env(GDAL_CACHEMAX=_CACHE):
            _create(plain, levels, ink)
            digests = [_write_level(plain, level, ink, store, progress) for level in levels]
            if not digests[0].visible:
                raise TileSetError(f"{tileset.name} has no valid pixel at zoom {tileset.maxzoom}: no map")
            if grid is not None:
                warp_plain(plain, ink, grid, warped, _PROFILE, progress)
                digests = level_digests(warped, ink)
            made = plain if grid is None else warped
            with rasterio.open(made, "r+") as dataset:
                dataset.update_tags(**_tags(tileset, digests[0].hex, own_grid=grid is not None))
            copy_as_cog(made, path, compression)
            verify(path, ink, digests)
    finally:
        plain.unlink(missing_ok=True)
        warped.unlink(missing_ok=True)


def require_colours(ink: Ink, compression: Compression) -> None:
    """
    Raises:
        OutputError: WebP, which has no tables of colours, for a raster with one.
    """
    if ink.table is not None and compression == "webp":
        raise OutputError(
            "a raster with a table of colours cannot be compressed as WebP: choose deflate or zstd", option="compress"
        )


def _write_level(path: Path, level: _Level, ink: Ink, store: StoredTiles, progress: Progress | None) -> PixelDigest:
    digest, total = PixelDigest(ink.blank), level.rows * level.columns
    with open_level(path, level.number, "r+") as dataset:
        for done, window in enumerate(level.windows(), start=1):
            bands = level.read(store, window, ink)
            if digest.add(window.col_off // TILE_SIZE, window.row_off // TILE_SIZE, bands):
                dataset.write(bands, window=window)
            if progress:
                progress(f"writing zoom {level.zoom}", done, total)
    return digest


class _Level(NamedTuple):
    """One resolution of the file: the base, or an overview.

    Attributes:
        extent: global pixels of the file at the base's zoom.
        maxzoom: that zoom.
        number: 0 for the base, 1 for the overview of half its resolution ...
    """

    extent: PixelWindow
    maxzoom: int
    number: int

    @property
    def zoom(self) -> int:
        return self.maxzoom - self.number

    @property
    def frame(self) -> PixelWindow:
        """Global pixels at the level's own zoom."""
        step = 2**self.number
        left, top = self.extent.left // step, self.extent.top // step
        return PixelWindow(left, top, left - -self.extent.width // step, top - -self.extent.height // step)

    @property
    def columns(self) -> int:
        return -(-self.frame.width // TILE_SIZE)

    @property
    def rows(self) -> int:
        return -(-self.frame.height // TILE_SIZE)

    def windows(self) -> Iterator[Window]:
        """The blocks of the level, row by row."""
        whole = Window(0, 0, self.frame.width, self.frame.height)
        for row in range(self.rows):
            for column in range(self.columns):
                yield Window(column * TILE_SIZE, row * TILE_SIZE, TILE_SIZE, TILE_SIZE).intersection(whole)

    def read(self, store: StoredTiles, window: Window, ink: Ink) -> BandArray:
        """The pixels of a window out of the one to four tiles that it touches, uint8 (bands, H, W)."""
        frame = self.frame
        wanted = PixelWindow(
            frame.left + window.col_off,
            frame.top + window.row_off,
            frame.left + window.col_off + window.width,
            frame.top + window.row_off + window.height,
        )
        bands = np.full((ink.count, wanted.height, wanted.width), ink.blank, dtype=np.uint8)
        tiles = tile_range(wanted)
        for y in range(tiles.top, tiles.bottom):
            for x in range(tiles.left, tiles.right):
                tile = Tile(x % 2**self.zoom, y, self.zoom)
                if (data := store.get(tile)) is not None:
                    there = PixelWindow(x * TILE_SIZE, y * TILE_SIZE, (x + 1) * TILE_SIZE, (y + 1) * TILE_SIZE)
                    part = there.intersection(wanted)
                    bands[:, *part.slices(wanted)] = _bands(tile, data, ink)[:, *part.slices(there)]
        return bands


def _bands(tile: Tile, data: bytes, ink: Ink) -> BandArray:
    try:
        return ink.bands(*decode_tile(data))
    except TileSetError as error:
        raise TileSetError(f"tile {tile.z}/{tile.x}/{tile.y}: {error}") from error


def _extent(store: StoredTiles, tileset: TileSet) -> tuple[PixelWindow, int]:
    """The global pixels of the file, and how many overviews it has: those of the set until it fits one block.

    The file is the rectangle around the tiles, its corner on a pixel of every overview.
    """
    zoom, first = tileset.maxzoom, 0
    if tileset.window.right > world_window(zoom).right:  # begins before the antimeridian, so that it is one piece
        first = tile_range(tileset.window).left
    found = np.fromiter((n for tile in store.tiles(zoom) for n in (tile.x, tile.y)), dtype=np.int64).reshape(-1, 2)
    if not len(found):
        raise TileSetError(f"{tileset.name} has no tiles at zoom {zoom}: there is nothing to write")
    found[found[:, 0] < first, 0] += 2**zoom
    (left, top), (right, bottom) = found.min(axis=0).tolist(), (found.max(axis=0) + 1).tolist()
    overviews = min(zoom - tileset.minzoom, (max(right - left, bottom - top) - 1).bit_length())
    step = 2 ** max(0, overviews - FREE_LEVELS)
    left, top = left // step * step, top // step * step
    if (right - left) * (bottom - top) > MOST_TILES:
        raise TileSetError(
            f"the {len(found)} tiles of {tileset.name} at zoom {zoom} lie scattered over {right - left} x "
            f"{bottom - top} tiles, too many for one GeoTIFF: choose a lower zoom or split the set"
        )
    return PixelWindow(*(TILE_SIZE * edge for edge in (left, top, right, bottom))), overviews


def _create(path: Path, levels: list[_Level], ink: Ink) -> None:
    """Makes the file and its overviews without a pixel in them."""
    base = levels[0]
    size = {"width": base.frame.width, "height": base.frame.height, "count": ink.count}
    path.unlink(missing_ok=True)
    transform = window_transform(base.extent, base.zoom)
    with rasterio.open(path, "w", **_PROFILE, **ink.profile, **size, transform=transform) as dataset:
        ink.describe(dataset)
    if len(levels) > 1:
        with rasterio.Env(**_SPARSE), rasterio.open(path, "r+") as dataset:
            dataset.build_overviews([2**level.number for level in levels[1:]], Resampling.nearest)


def _tags(tileset: TileSet, pixels: str, *, own_grid: bool) -> dict[str, str]:
    """What the file says of itself; nothing of how it came about where that is not known."""
    tags = {"TIFFTAG_SOFTWARE": "geo2map", "TIFFTAG_DOCUMENTNAME": tileset.name}
    words = {"TIFFTAG_IMAGEDESCRIPTION": "description", "TIFFTAG_COPYRIGHT": "attribution"}
    tags |= {tag: tileset.words[word] for tag, word in words.items() if word in tileset.words}
    if not tileset.extra:
        return tags
    facts = {**tileset.to_dict()["geo2map"], "pixels": pixels}
    if own_grid:
        facts = {key: value for key, value in facts.items() if key != "window"} | {"grid": "own"}
    own = {"TIFFTAG_IMAGEDESCRIPTION": tileset.attribution} if tileset.attribution else {}
    return own | tags | {"GEO2MAP": json.dumps(facts, ensure_ascii=False)}
