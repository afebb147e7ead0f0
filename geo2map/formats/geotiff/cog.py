"""A GeoTIFF laid out for reading by ranges: headers first, then overviews from the smallest on, then the pixels."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rasterio
import rasterio.shutil

from geo2map.errors import OutputError
from geo2map.files.atomic import output_errors
from geo2map.files.rasterio_internals import GDAL_ERRORS
from geo2map.grid import TILE_SIZE
from geo2map.types import Compression

# Measured on GAN-like tiles, ms / KiB a tile: deflate level 1: 1.8 / 125, 5: 4.4 / 121, 6: 7.0 / 120, 9: 17.7 / 114.
_COMPRESSIONS: dict[Compression, dict[str, Any]] = {
    "deflate": {"COMPRESS": "DEFLATE", "LEVEL": 5},
    "zstd": {"COMPRESS": "ZSTD", "LEVEL": 9},
    "webp": {"COMPRESS": "WEBP", "QUALITY": 100, "OVERVIEW_QUALITY": 100},  # 100 is lossless
}


def copy_as_cog(source: Path, path: Path, compression: Compression) -> None:
    """Copies a tiled GeoTIFF with overviews to a Cloud-Optimized GeoTIFF: the same pixels, blocks and overviews.

    GDAL's driver does it block by block. BigTIFF where the file may come to need it. The same source gives the same
    bytes.

    Args:
        source: with its overviews and all its metadata; whatever changes the copy afterwards spoils its layout.
        path: replaced.

    Raises:
        OutputError: it cannot be written.
    """
    options = dict(_COMPRESSIONS[compression])
    with rasterio.open(source) as dataset:
        has_table = dataset.count == 1
    if compression != "webp":
        options["PREDICTOR"] = "NO" if has_table else "YES"
    layout = {"BLOCKSIZE": TILE_SIZE, "OVERVIEWS": "FORCE_USE_EXISTING", "BIGTIFF": "IF_SAFER"}
    with gdal_errors(path), rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True, **_lossless(compression)):
        path.unlink(missing_ok=True)
        rasterio.shutil.copy(source, path, driver="COG", **layout, **options)


def _lossless(compression: Compression) -> dict[str, Any]:
    """The driver hands a quality of 100 on to the overviews, but not that it is meant to be lossless."""
    return {"WEBP_LOSSLESS_OVERVIEW": True} if compression == "webp" else {}


@contextmanager
def gdal_errors(path: Path) -> Iterator[None]:
    """Turns GDAL's and the operating system's errors about an output into one sentence.

    Raises:
        OutputError: in place of them.
    """
    try:
        with output_errors(path):
            yield
    except GDAL_ERRORS as error:
        free = shutil.disk_usage(path.parent).free
        advice = "the disk is full; free some space and run again" if free < 2**20 else "check the path and the disk"
        raise OutputError(f"{path} cannot be written: GDAL says {error}; {advice}") from error
