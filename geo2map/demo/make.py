"""Writes a synthetic town as a GeoTIFF, and its true map beside it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import RasterioError
from rasterio.transform import from_origin

from geo2map.demo.aerial import paint_aerial
from geo2map.demo.scatter import build_town
from geo2map.demo.truth import paint_truth
from geo2map.errors import OutputError, PlanError
from geo2map.files.atomic import output_errors
from geo2map.types import Image, Mask

CRS = "EPSG:32618"
EASTING, NORTHING = 586_000.0, 4_509_000.0
"""The north-west corner, in UTM metres: near New York, at 40.7 degrees north."""

_SMALLEST = 300.0
"""Metres, so that a few blocks fit."""


def make_town(
    scene: str | Path,
    truth: str | Path | None = None,
    *,
    size: int = 4096,
    seed: int = 0,
    metres_per_pixel: float = 0.9,
) -> None:
    """Draws a town as a GeoTIFF and its true map; the same seed gives the same pixels.

    Both are uint8 RGB in UTM zone 18 north, with a nodata corner of 0; no valid pixel has a 0 in any band.

    Args:
        scene: where the aerial picture goes, a GeoTIFF.
        truth: where the true map in the colours of `MAPS_PALETTE` goes, or None for none.
        size: width and height, pixels.
        seed: which town.
        metres_per_pixel: ground resolution.

    Raises:
        PlanError: the town would be too small to hold a block.
        OutputError: a file cannot be written.
    """
    if size * metres_per_pixel < _SMALLEST:
        raise PlanError(
            f"size {size} px of {metres_per_pixel} m: too small; a town needs {_SMALLEST:.0f} m", option="size"
        )
    layout, look = np.random.default_rng(seed).spawn(2)
    town = build_town(size, metres_per_pixel, layout)
    valid = _valid(size)
    _write(Path(scene), paint_aerial(town, size, metres_per_pixel, look), valid, metres_per_pixel)
    if truth is not None:
        _write(Path(truth), paint_truth(town, size, metres_per_pixel), valid, metres_per_pixel)


def _valid(size: int) -> Mask:
    """Bool (size, size): False in the north-west corner, as where a turned scene ends."""
    row, column = np.ogrid[:size, :size]
    return column / 0.12 + row / 0.35 > size


def _write(path: Path, image: Image, valid: Mask, resolution: float) -> None:
    """Writes to a partial file first, so that `path` is never half a picture."""
    partial = path.with_name(path.name + ".partial")
    profile = {
        "driver": "GTiff",
        "width": image.shape[1],
        "height": image.shape[0],
        "count": 3,
        "dtype": "uint8",
        "crs": CRS,
        "transform": from_origin(EASTING, NORTHING, resolution, resolution),
        "nodata": 0,
        "photometric": "RGB",
        "tiled": True,
        "blockxsize": 256,
        "blockysize": 256,
        "compress": "deflate",
        "predictor": 2,
        "zlevel": 4,
    }
    pixels = np.moveaxis(np.where(valid[..., None], image, np.uint8(0)), -1, 0)
    try:
        with output_errors(path):
            with rasterio.open(partial, "w", **profile) as file:
                file.write(pixels)
            partial.replace(path)
    except (OutputError, RasterioError) as error:
        with suppress(OSError):
            partial.unlink()
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"{path} cannot be written: {error}; check the folder and the disk") from error
