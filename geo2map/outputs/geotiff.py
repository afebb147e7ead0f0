"""One GeoTIFF out of stored tiles: a block of the file is a tile, pixel for pixel, and its overviews are theirs."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio._err import CPLE_BaseError  # the public error module leaves GDAL's own errors out
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.windows import Window

from geo2map.errors import OutputError, TileSetError
from geo2map.files.atomic import output_errors
from geo2map.grid import TILE_SIZE, PixelWindow, tile_range, window_transform, world_window
from geo2map.protocols import Progress, TileStore
from geo2map.tiles.codec import decode_tile
from geo2map.tiles.tilejson import ATTRIBUTION, TileSet
from geo2map.types import Tile

SUFFIXES = (".tif", ".tiff")
MOST_TILES = 2**24
"""Tiles in the rectangle around the existing ones: beyond that, the file's block index alone takes 256 MiB."""
FREE_LEVELS = 8
"""Overviews for which any corner of a tile is a corner of a pixel; for each further one the corner's step doubles."""

# Measured on GAN-like tiles, ms / KiB a tile: level 1: 1.8 / 125, 5: 4.4 / 121, 6: 7.0 / 120, 9: 17.7 / 114.
_PROFILE: dict[str, Any] = {
    "driver": "GTiff",
    "count": 4,
    "dtype": "uint8",
    "crs": "EPSG:3857",
    "photometric": "RGB",
    "alpha": "YES",
    "interleave": "pixel",
    "tiled": True,
    "blockxsize": TILE_SIZE,
    "blockysize": TILE_SIZE,
    "compress": "DEFLATE",
    "predictor": 2,
    "zlevel": 5,
    "bigtiff": "IF_SAFER",
    "sparse_ok": True,  # while it is made: every block is written, since few readers but GDAL know missing ones
}
_SPARSE = {"GDAL_TIFF_OVR_BLOCKSIZE": TILE_SIZE, "SPARSE_OK_OVERVIEW": "ON", "ZLEVEL_OVERVIEW": 5}

Bands = npt.NDArray[np.uint8]
"""uint8 (4, H, W): red, green, blue, alpha."""


def write_geotiff(store: TileStore, tileset: TileSet, path: Path, progress: Progress | None = None) -> None:
    """Writes a set of tiles as an RGBA GeoTIFF with internal overviews.

    The file is EPSG:3857, tiled like the set, and covers the rectangle around its tiles; missing tiles are
    transparent. Its overviews are the set's own lower zooms. The same tiles give the same bytes.
    It is read back in the end, since GDAL passes over a full disk in silence while it closes a file.

    Args:
        store: tiles of any format, at all zooms of the set.
        path: of the file; what is there is replaced.
        progress: told "writing" and how many blocks are written.

    Raises:
        TileSetError: a broken tile, none with a valid pixel, or too wide a scatter of tiles.
        OutputError: the file cannot be written.
    """
    extent, overviews = _extent(store, tileset)
    levels = [_Level(extent, tileset.maxzoom, number) for number in range(overviews + 1)]
    with _gdal_errors(path):
        _create(path, levels)
        digest = PixelDigest()
        total = sum(level.rows * level.columns for level in levels)
        done = 0
        for level in levels:
            with _open_level(path, level.number, "r+") as dataset:
                visible = []
                for window in level.windows():
                    bands = level.read(store, window)
                    dataset.write(bands, window=window)
                    if not level.number:
                        digest.add(window.col_off // TILE_SIZE, window.row_off // TILE_SIZE, bands)
                    visible.append(bool(bands[3].any()))
                    done += 1
                    if progress:
                        progress("writing", done, total)
            if not level.number and not any(visible):
                raise TileSetError(f"the tiles of {tileset.name} have no valid pixel at zoom {tileset.maxzoom}: no map")
            _verify(path, level, visible)
        with rasterio.open(path, "r+") as dataset:
            dataset.update_tags(**_tags(tileset, digest.hex))


class PixelDigest:
    """A digest of the blocks of a raster that does not depend on the order in which they come."""

    def __init__(self) -> None:
        self._sum = 0

    def add(self, column: int, row: int, bands: Bands) -> None:
        """Takes a block, uint8 (bands, H, W)."""
        data = np.ascontiguousarray(bands)
        found = hashlib.blake2b(f"{column} {row}".encode(), digest_size=8)
        found.update(data.data)
        self._sum ^= int.from_bytes(found.digest(), "big")

    @property
    def hex(self) -> str:
        """Sixteen hex digits."""
        return f"{self._sum:016x}"


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

    def read(self, store: TileStore, window: Window) -> Bands:
        """The pixels of a window out of the one to four tiles that it touches, uint8 (4, H, W)."""
        frame = self.frame
        wanted = PixelWindow(
            frame.left + window.col_off,
            frame.top + window.row_off,
            frame.left + window.col_off + window.width,
            frame.top + window.row_off + window.height,
        )
        bands = np.zeros((4, wanted.height, wanted.width), dtype=np.uint8)
        tiles = tile_range(wanted)
        for y in range(tiles.top, tiles.bottom):
            for x in range(tiles.left, tiles.right):
                tile = Tile(x % 2**self.zoom, y, self.zoom)
                if (data := store.get(tile)) is not None:
                    there = PixelWindow(x * TILE_SIZE, y * TILE_SIZE, (x + 1) * TILE_SIZE, (y + 1) * TILE_SIZE)
                    part = there.intersection(wanted)
                    bands[:, *part.slices(wanted)] = _bands(tile, data)[:, *part.slices(there)]
        return bands


def _bands(tile: Tile, data: bytes) -> Bands:
    try:
        pixels, mask = decode_tile(data)
    except TileSetError as error:
        raise TileSetError(f"tile {tile.z}/{tile.x}/{tile.y}: {error}") from error
    return np.concatenate([np.moveaxis(pixels, -1, 0), (mask * np.uint8(255))[None]])


def _extent(store: TileStore, tileset: TileSet) -> tuple[PixelWindow, int]:
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


def _create(path: Path, levels: list[_Level]) -> None:
    """Makes the file and its overviews without a pixel in them."""
    base = levels[0]
    size = {"width": base.frame.width, "height": base.frame.height}
    path.unlink(missing_ok=True)
    with rasterio.open(path, "w", **_PROFILE, **size, transform=window_transform(base.extent, base.zoom)):
        pass
    if len(levels) > 1:
        with rasterio.Env(**_SPARSE), rasterio.open(path, "r+") as dataset:
            dataset.build_overviews([2**level.number for level in levels[1:]], Resampling.nearest)


@contextmanager
def _open_level(path: Path, number: int, mode: str = "r") -> Iterator[Any]:
    options = {"OVERVIEW_LEVEL": number - 1} if number else {}
    with rasterio.open(path, mode, **options) as dataset:
        yield dataset


def _verify(path: Path, level: _Level, visible: list[bool]) -> None:
    """Reads every block back: one that must hold a valid pixel and does not was lost.

    Raises:
        OutputError: something was lost.
    """
    with _open_level(path, level.number) as dataset:
        lost = sum(_is_empty(dataset, window) for window, seen in zip(level.windows(), visible, strict=True) if seen)
    if lost:
        raise OutputError(f"{path} lacks {lost} of its blocks after writing: the disk may be full; free some space")


def _is_empty(dataset: DatasetReader, window: Window) -> bool:
    return not dataset.read(4, window=window).any()


def _tags(tileset: TileSet, pixels: str) -> dict[str, str]:
    """What the file says of itself; nothing of how it came about where that is not known."""
    if not tileset.extra:
        return {"TIFFTAG_SOFTWARE": "geo2map", "TIFFTAG_DOCUMENTNAME": tileset.name}
    facts = {**tileset.to_dict()["geo2map"], "pixels": pixels}
    return {
        "TIFFTAG_SOFTWARE": "geo2map",
        "TIFFTAG_DOCUMENTNAME": tileset.name,
        "TIFFTAG_IMAGEDESCRIPTION": ATTRIBUTION,
        "GEO2MAP": json.dumps(facts, ensure_ascii=False),
    }


@contextmanager
def _gdal_errors(path: Path) -> Iterator[None]:
    """Turns GDAL's and the operating system's errors into one sentence."""
    try:
        with output_errors(path):
            yield
    except CPLE_BaseError as error:
        free = shutil.disk_usage(path.parent).free
        advice = "the disk is full; free some space and run again" if free < 2**20 else "check the path and the disk"
        raise OutputError(f"{path} cannot be written: GDAL says {error}; {advice}") from error
