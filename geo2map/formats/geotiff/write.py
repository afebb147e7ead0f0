"""Cloud-Optimized GeoTIFF from stored tiles: blocks are tiles, overviews are the lower zooms."""

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
from geo2map.formats.geotiff.bands import BandArray, BandLayout, choose_layout
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
"""Largest bounding rectangle in tiles: beyond it, the block index alone would take 256 MiB."""
FREE_LEVELS = 8
"""Overviews for which any tile corner is a pixel corner; each further one doubles the corner's step."""

# Temporary file that the finished one is copied from: optimized for speed, not size.
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
_CACHE = 64 * 2**20  # bytes; the default is a share of the main memory
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
    """Write a tile set as a Cloud-Optimized GeoTIFF.

    The file is EPSG:3857, blocked like the tiles, and covers their bounding rectangle; missing tiles are transparent.
    Its overviews are the lower zooms. It is RGBA, or has one band with a colour table if all tiles are indexed and
    share at most 255 colours. Deterministic.

    An ordinary GeoTIFF of about the same size is written beside it first, which GDAL copies to the final layout. The
    copy is read back, since GDAL ignores a full disk on closing a file.

    Args:
        store: tiles of any format, at all zooms of `tileset`.
        path: replaced if it exists.
        compression: lossless in any case.
        grid: warps the file to another grid than the tiles'; its overviews then average its own pixels.

    Raises:
        TileSetError: a tile is broken, none has a valid pixel, or the tiles are too scattered.
        OutputError: the file cannot be written, or the compression does not support colour tables.
    """
    extent, overviews = _extent(store, tileset)
    levels = [_Level(extent, tileset.maxzoom, number) for number in range(overviews + 1)]
    layout = choose_layout(store, [level.zoom for level in levels], class_legend(tileset), tileset.unit)
    require_colours(layout, compression)
    plain, warped = (path.with_name(f"{path.stem}-{name}{path.suffix}") for name in ("plain", "warped"))
    try:
        with gdal_errors(path), rasterio.Env(GDAL_CACHEMAX=_CACHE):
            _create(plain, levels, layout)
            digests = [_write_level(plain, level, layout, store, progress) for level in levels]
            if not digests[0].visible:
                raise TileSetError(f"{tileset.name}: no valid pixel at zoom {tileset.maxzoom}; check the scene")
            if grid is not None:
                warp_plain(plain, layout, grid, warped, _PROFILE, progress)
                digests = level_digests(warped, layout)
            made = plain if grid is None else warped
            with rasterio.open(made, "r+") as dataset:
                dataset.update_tags(**_tags(tileset, digests[0].hex, own_grid=grid is not None))
            copy_as_cog(made, path, compression)
            verify(path, layout, digests)
    finally:
        plain.unlink(missing_ok=True)
        warped.unlink(missing_ok=True)


def require_colours(layout: BandLayout, compression: Compression) -> None:
    """Refuse WebP compression for a raster with a colour table."""
    if layout.table is not None and compression == "webp":
        raise OutputError(
            "compress webp: not available for a raster with a colour table; choose deflate or zstd", option="compress"
        )


def _write_level(
    path: Path, level: _Level, layout: BandLayout, store: StoredTiles, progress: Progress | None
) -> PixelDigest:
    digest, total = PixelDigest(layout.blank), level.rows * level.columns
    with open_level(path, level.number, "r+") as dataset:
        for done, window in enumerate(level.windows(), start=1):
            bands = level.read(store, window, layout)
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
        """Global pixels at the level's zoom."""
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

    def read(self, store: StoredTiles, window: Window, layout: BandLayout) -> BandArray:
        """The pixels of a window, from the one to four tiles that it touches, uint8 (bands, H, W)."""
        frame = self.frame
        wanted = PixelWindow(
            frame.left + window.col_off,
            frame.top + window.row_off,
            frame.left + window.col_off + window.width,
            frame.top + window.row_off + window.height,
        )
        bands = np.full((layout.count, wanted.height, wanted.width), layout.blank, dtype=np.uint8)
        tiles = tile_range(wanted)
        for y in range(tiles.top, tiles.bottom):
            for x in range(tiles.left, tiles.right):
                tile = Tile(x % 2**self.zoom, y, self.zoom)
                if (data := store.get(tile)) is not None:
                    there = PixelWindow(x * TILE_SIZE, y * TILE_SIZE, (x + 1) * TILE_SIZE, (y + 1) * TILE_SIZE)
                    part = there.intersection(wanted)
                    bands[:, *part.slices(wanted)] = _bands(tile, data, layout)[:, *part.slices(there)]
        return bands


def _bands(tile: Tile, data: bytes, layout: BandLayout) -> BandArray:
    try:
        return layout.bands(*decode_tile(data))
    except TileSetError as error:
        raise TileSetError(f"tile {tile.z}/{tile.x}/{tile.y}: {error}") from error


def _extent(store: StoredTiles, tileset: TileSet) -> tuple[PixelWindow, int]:
    """The global pixels of the file, and its number of overviews: down to one block.

    The file is the bounding rectangle of the tiles, with its corner on a pixel of every overview.
    """
    zoom, first = tileset.maxzoom, 0
    if tileset.window.right > world_window(zoom).right:  # starts west of the antimeridian, to stay contiguous
        first = tile_range(tileset.window).left
    found = np.fromiter((n for tile in store.tiles(zoom) for n in (tile.x, tile.y)), dtype=np.int64).reshape(-1, 2)
    if not len(found):
        raise TileSetError(f"{tileset.name}: no tiles at zoom {zoom}; choose another zoom")
    found[found[:, 0] < first, 0] += 2**zoom
    (left, top), (right, bottom) = found.min(axis=0).tolist(), (found.max(axis=0) + 1).tolist()
    overviews = min(zoom - tileset.minzoom, (max(right - left, bottom - top) - 1).bit_length())
    step = 2 ** max(0, overviews - FREE_LEVELS)
    left, top = left // step * step, top // step * step
    if (right - left) * (bottom - top) > MOST_TILES:
        raise TileSetError(
            f"{tileset.name}: its {len(found)} tiles at zoom {zoom} are scattered over {right - left} x "
            f"{bottom - top} tiles, too many for one GeoTIFF; choose a lower zoom or split it"
        )
    return PixelWindow(*(TILE_SIZE * edge for edge in (left, top, right, bottom))), overviews


def _create(path: Path, levels: list[_Level], layout: BandLayout) -> None:
    """Create the file and its overviews without pixels."""
    base = levels[0]
    size = {"width": base.frame.width, "height": base.frame.height, "count": layout.count}
    path.unlink(missing_ok=True)
    transform = window_transform(base.extent, base.zoom)
    with rasterio.open(path, "w", **_PROFILE, **layout.profile, **size, transform=transform) as dataset:
        layout.describe(dataset)
    if len(levels) > 1:
        with rasterio.Env(**_SPARSE), rasterio.open(path, "r+") as dataset:
            dataset.build_overviews([2**level.number for level in levels[1:]], Resampling.nearest)


def _tags(tileset: TileSet, pixels: str, *, own_grid: bool) -> dict[str, str]:
    """Metadata of the file; no provenance if that is unknown."""
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
