"""One GeoTIFF out of a folder of XYZ tiles: a block of the file is a tile of the folder, pixel for pixel."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
from geo2map.protocols import Progress
from geo2map.tiles.folder import XyzFolder
from geo2map.tiles.tilejson import ATTRIBUTION, TileSet
from geo2map.types import Tile

SUFFIXES = (".tif", ".tiff")
MOST_TILES = 2**24
"""Tiles in the rectangle around the existing ones: beyond that, the file's block index alone takes 256 MiB."""

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
}
_OVERVIEW_OPTIONS = {"GDAL_TIFF_OVR_BLOCKSIZE": TILE_SIZE, "ZLEVEL_OVERVIEW": 5}
_SURVIVES = 4  # an alpha of 4 in one pixel is still 1 in the average of four

_Index = npt.NDArray[np.int32]
"""int32 (N, 2): row and column of tiles, sorted by row, then column; columns go on over the world's right edge."""


def mosaic(
    tiles: Path, out: Path, *, zoom: int | None = None, overwrite: bool = False, progress: Progress | None = None
) -> None:
    """Writes the tiles of one zoom as an RGBA GeoTIFF with internal overviews.

    The file is EPSG:3857, tiled like the folder, and covers the rectangle around the existing tiles; missing tiles
    are transparent. It is written under a hidden name, read back, and renamed at the very end, so a
    killed run leaves no blank that looks like a map. The same tiles give the same bytes. Memory: 8 bytes a tile.

    Args:
        tiles: XYZ folder, ours or anyone's; formats may be mixed.
        out: a .tif or .tiff; missing folders are created.
        zoom: the folder's largest where None.
        overwrite: replaces an existing file.
        progress: told "mosaic" and how many tiles are written.

    Raises:
        ZoomError: no tiles at the zoom asked for.
        TileSetError: no tiles, a broken tile, tiles of another size than 256 px, or too wide a scatter of tiles.
        OutputError: `out` exists, is no GeoTIFF's name, or cannot be written.
    """
    tiles, out = Path(tiles), Path(out)
    check_raster_path(out, overwrite=overwrite)
    folder = XyzFolder(tiles)
    tileset = TileSet.load(tiles)
    zoom = folder.pick_zoom(zoom)
    index = _index(folder, zoom, _first_column(tileset, zoom))
    extent = _extent(index)
    partial = out.with_name(f".{out.stem}.partial{out.suffix}")
    with _gdal_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            visible = _write_tiles(partial, folder, zoom, index, progress)
            _finish(partial, extent, tileset)
            _verify(partial, visible - (extent.top, extent.left), levels=len(_factors(extent)))
            check_raster_path(out, overwrite=overwrite)
            _put_in_place(partial, out)
        finally:
            partial.unlink(missing_ok=True)


def check_raster_path(out: Path, *, overwrite: bool) -> None:
    """Refuses a path that cannot become the GeoTIFF.

    Raises:
        OutputError: wrong suffix, a folder, or an existing file without `overwrite`.
    """
    if out.suffix.lower() not in SUFFIXES:
        raise OutputError(f"{out} was asked for as a GeoTIFF, but its name does not end in .tif: rename it")
    with output_errors(out):
        if out.is_dir():
            raise OutputError(f"{out} was asked for as a GeoTIFF, but it is a folder: choose another name")
        if out.exists() and not overwrite:
            raise OutputError(f"{out} exists already: choose another name or allow overwriting it (--overwrite)")


def _first_column(tileset: TileSet | None, zoom: int) -> int:
    """Column with which a tile set across the antimeridian begins, so that the file is one piece; else 0."""
    if tileset is None or tileset.window.right <= world_window(tileset.maxzoom).right:
        return 0
    return tile_range(tileset.window).left >> (tileset.maxzoom - zoom)


def _index(folder: XyzFolder, zoom: int, first: int) -> _Index:
    numbers = (number for tile in folder.tiles(zoom) for number in (tile.y, tile.x))
    index = np.fromiter(numbers, dtype=np.int32).reshape(-1, 2)
    index[index[:, 1] < first, 1] += 2**zoom
    index = index[np.lexsort((index[:, 1], index[:, 0]))]
    extent = _extent(index)
    if extent.width * extent.height > MOST_TILES:
        raise TileSetError(
            f"the {len(index)} tiles of {folder.path} at zoom {zoom} lie scattered over "
            f"{extent.width} x {extent.height} tiles, too many for one GeoTIFF: choose a lower zoom or split the folder"
        )
    return index


def _extent(index: _Index) -> PixelWindow:
    """Columns and rows of tiles, right and bottom excluded."""
    (top, left), (bottom, right) = index.min(axis=0).tolist(), index.max(axis=0).tolist()
    return PixelWindow(left, top, right + 1, bottom + 1)


def _profile(extent: PixelWindow, zoom: int) -> dict[str, Any]:
    pixels = PixelWindow(*(TILE_SIZE * edge for edge in extent))
    return _PROFILE | {"width": pixels.width, "height": pixels.height, "transform": window_transform(pixels, zoom)}


def _write_tiles(partial: Path, folder: XyzFolder, zoom: int, index: _Index, progress: Progress | None) -> _Index:
    """Writes the tiles in order; returns those that have a valid pixel."""
    extent, visible = _extent(index), np.zeros(len(index), dtype=np.bool_)
    with rasterio.open(partial, "w", **_profile(extent, zoom)) as dataset:
        for number, (row, column) in enumerate(index.tolist()):
            tile = folder.read(Tile(column % 2**zoom, row, zoom))
            if tile is not None and tile[1].any():
                bands = np.stack([*np.moveaxis(tile[0], -1, 0), tile[1] * np.uint8(255)])
                dataset.write(bands, window=_block(column - extent.left, row - extent.top))
                visible[number] = True
            if progress:
                progress("mosaic", number + 1, len(index))
    if not visible.any():
        raise TileSetError(f"none of the {len(index)} tiles of {folder.path} at zoom {zoom} has a valid pixel: no map")
    return index[visible]


def _block(column: int, row: int) -> Window:
    return Window(column * TILE_SIZE, row * TILE_SIZE, TILE_SIZE, TILE_SIZE)


def _finish(partial: Path, extent: PixelWindow, tileset: TileSet | None) -> None:
    """Adds facts and averaged overviews, halving until the larger side is at most a tile."""
    factors = _factors(extent)
    with rasterio.Env(**_OVERVIEW_OPTIONS), rasterio.open(partial, "r+") as dataset:
        dataset.update_tags(**_tags(tileset))
        if factors:
            dataset.build_overviews(factors, Resampling.average)


def _factors(extent: PixelWindow) -> list[int]:
    levels = (max(extent.width, extent.height) - 1).bit_length()
    return [2**level for level in range(1, levels + 1)]


def _tags(tileset: TileSet | None) -> dict[str, str]:
    tags = {"TIFFTAG_SOFTWARE": "geo2map"}
    if tileset is None:
        return tags
    facts = tileset.to_dict()["geo2map"]
    return tags | {
        "TIFFTAG_DOCUMENTNAME": tileset.name,
        "TIFFTAG_IMAGEDESCRIPTION": ATTRIBUTION,
        "GEO2MAP": json.dumps(facts, ensure_ascii=False),
    }


def _verify(partial: Path, blocks: _Index, levels: int) -> None:
    """Reads every block back, because GDAL passes over a full disk in silence while it closes a file.

    A block that must hold a valid pixel and does not was lost; a damaged one does not decode.

    Args:
        blocks: int32 (N, 2), row and column of the blocks with a valid pixel.
        levels: number of overviews.

    Raises:
        OutputError: something was lost.
    """
    for level in range(levels + 1):
        options = {"OVERVIEW_LEVEL": level - 1} if level else {}
        with rasterio.open(partial, **options) as dataset:
            peaks = np.array([_peak_alpha(dataset, row, column) for row, column in blocks.tolist()])
        if not peaks.all():
            raise OutputError(f"{partial} lacks {(peaks == 0).sum()} of its blocks after writing: free some disk space")
        blocks = np.unique(blocks[peaks >= _SURVIVES] // 2, axis=0)


def _peak_alpha(dataset: DatasetReader, row: int, column: int) -> int:
    whole = Window(0, 0, dataset.width, dataset.height)
    return int(dataset.read(4, window=_block(column, row).intersection(whole)).max())


def _put_in_place(partial: Path, out: Path) -> None:
    """Renames; what other programs noted beside an older file of the name is no longer true and goes."""
    partial.replace(out)
    for suffix in (".aux.xml", ".ovr"):
        out.with_name(out.name + suffix).unlink(missing_ok=True)


@contextmanager
def _gdal_errors(out: Path) -> Iterator[None]:
    """Turns GDAL's and the operating system's errors into one sentence."""
    try:
        with output_errors(out):
            yield
    except CPLE_BaseError as error:
        raise OutputError(f"{out} cannot be written: GDAL says {error}; check the path and the disk") from error
