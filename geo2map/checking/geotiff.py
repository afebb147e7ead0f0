"""Checks that a GeoTIFF decodes and matches its metadata."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from geo2map.checking.findings import CheckReport, Problem
from geo2map.checking.kernels import join_children, may_follow
from geo2map.checking.seams import SeamScan
from geo2map.colour.quantizer import PaletteQuantizer
from geo2map.errors import TileSetError
from geo2map.files.plain_text import plain_text
from geo2map.formats.geotiff.bands import BandArray, BandLayout, layout_of, read_bands
from geo2map.formats.geotiff.files import open_geotiff
from geo2map.formats.geotiff.pixel_digest import PixelDigest
from geo2map.formats.geotiff.read import frame_of
from geo2map.grid import TILE_SIZE, PixelWindow
from geo2map.tiles.pyramid import Pixels, make_parent
from geo2map.types import Tile


def check_geotiff(path: Path) -> CheckReport:
    """Check a GeoTIFF; see `geo2map.check`.

    Raises:
        TileSetError: it cannot be opened.
    """
    report = CheckReport(path.name)
    try:
        with open_geotiff(path) as dataset:
            own_grid = '"grid": "own"' in dataset.tags().get("GEO2MAP", "")
            if (kind := dataset.dtypes[0]) != "uint8":
                raise TileSetError(f"{path}: pixels are {kind}, not 8-bit; render it, or give a map")
            if (frame := frame_of(dataset)) is None and not own_grid:
                report.problems.append(Problem("metadata", dataset.name, "not on the web-mercator grid"))
            digest = _check_pixels(dataset, frame, report)
            _check_facts(dataset, digest, report)
            levels = len(dataset.overviews(1))
        for level in range(0 if own_grid else levels):  # overviews on other grids are not those of tiles
            _check_overview(path, level, report)
    except RasterioError as error:
        raise TileSetError(f"{path}: cannot be read ({error}); render it again") from error
    except UnicodeEncodeError as error:
        raise TileSetError(
            f"{plain_text(path.name)}: cannot be opened, since its name is not UTF-8; rename it"
        ) from error
    return report


def _check_pixels(dataset: DatasetReader, frame: tuple[int, PixelWindow] | None, report: CheckReport) -> str:
    """Read every block, column by column; returns the digest of all."""
    layout = layout_of(dataset)
    digest, scan = PixelDigest(layout.blank), SeamScan()
    columns, rows = -(-dataset.width // TILE_SIZE), -(-dataset.height // TILE_SIZE)
    for column in range(columns):
        for row in range(rows):
            try:
                bands = read_bands(dataset, layout, _block(dataset, column, row))
            except RasterioError as error:
                report.problems.append(Problem("broken", f"block {column}/{row}", str(error.__cause__ or error)))
                continue
            seen = digest.add(column, row, bands)
            if bands.shape[1:] == (TILE_SIZE, TILE_SIZE) and seen:
                report.tiles += 1
                if frame is not None:
                    zoom, window = frame
                    tile = Tile(window.left // TILE_SIZE + column, window.top // TILE_SIZE + row, zoom)
                    scan.add(tile, layout.pixels(bands))
    scan.write_to(report)
    return digest.hex


def _check_facts(dataset: DatasetReader, digest: str, report: CheckReport) -> None:
    """Compare the recorded digest with the pixels."""
    try:
        facts = json.loads(dataset.tags().get("GEO2MAP", "{}"))
    except ValueError as error:
        report.problems.append(Problem("metadata", "GEO2MAP", str(error)))
        return
    if "pixels" in facts and facts["pixels"] != digest and not report.problems:
        report.problems.append(Problem("changed", dataset.name, "its pixels differ from those written"))


def _check_overview(path: Path, level: int, report: CheckReport) -> None:
    """Check that every block of an overview matches the level below it."""
    below = {"OVERVIEW_LEVEL": level - 1} if level else {}
    with open_geotiff(path, **below) as finer, open_geotiff(path, OVERVIEW_LEVEL=level) as coarser:
        if (coarser.width, coarser.height) != (-(-finer.width // 2), -(-finer.height // 2)):
            return  # other programs may skip levels
        layout, own = layout_of(finer), "GEO2MAP" in finer.tags()
        for row in range(-(-coarser.height // TILE_SIZE)):
            for column in range(-(-coarser.width // TILE_SIZE)):
                try:
                    found = layout.pixels(_padded(coarser, column, row, layout))
                    children = {
                        (dx, dy): layout.pixels(_padded(finer, 2 * column + dx, 2 * row + dy, layout))
                        for dx in (0, 1)
                        for dy in (0, 1)
                    }
                except RasterioError as error:
                    what = f"overview {level + 1}, block {column}/{row}"
                    report.problems.append(Problem("broken", what, str(error.__cause__ or error)))
                    continue
                expected = make_parent(children, majority=layout.majority)
                if not (
                    _matches(found, expected, layout) if own else may_follow(found, expected, join_children(children))
                ):
                    report.problems.append(Problem("stale", f"overview {level + 1}, block {column}/{row}"))


def _block(dataset: DatasetReader, column: int, row: int) -> Window:
    whole = Window(0, 0, dataset.width, dataset.height)
    wanted = Window(column * TILE_SIZE, row * TILE_SIZE, TILE_SIZE, TILE_SIZE)
    return wanted.intersection(whole)


def _padded(dataset: DatasetReader, column: int, row: int, layout: BandLayout) -> BandArray:
    """A block of full size, transparent beyond the edge of the file, uint8 (bands, 256, 256)."""
    bands = np.full((layout.count, TILE_SIZE, TILE_SIZE), layout.blank, dtype=np.uint8)
    if column * TILE_SIZE < dataset.width and row * TILE_SIZE < dataset.height:
        found = read_bands(dataset, layout, _block(dataset, column, row))
        bands[: len(found), : found.shape[1], : found.shape[2]] = found
    return bands


def _matches(overview: Pixels, expected_pixels: Pixels, layout: BandLayout) -> bool:
    """Whether an overview is exactly the expected one; with a colour table, whether its colours are among the nearest
    ones."""
    (pixels, valid), (means, mask) = overview, expected_pixels
    if (mask != valid).any():
        return False
    found, expected = pixels[mask], means[mask]
    if layout.table is None:
        return bool((found == expected).all())
    apart = np.abs(found.astype(np.int32) - expected)
    least = np.abs(PaletteQuantizer(np.unique(layout.table, axis=0))(expected).astype(np.int32) - expected)
    return bool(((apart**2).sum(axis=-1) == (least**2).sum(axis=-1)).all())
