"""Where a scene has data, at a bounded cost: some of its pixels, in the order of the file.

Leaving pixels out does not spare decoding: a strip of 64 rows is decoded whole for one row of it, and a file without
overviews has nothing coarser. So the number of blocks is bounded, and each is decoded once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np
from rasterio.io import DatasetReader, MemoryFile
from rasterio.windows import Window

from geo2map.scene.bands import Bands
from geo2map.scene.gdal import overview_factors
from geo2map.scene.quiet import quiet
from geo2map.types import Mask

_Size = tuple[int, int]
_T = TypeVar("_T")

SURVEY_PIXELS = 2**27
"""Most pixels decoded for one survey: about four seconds."""
ROWS_AT_ONCE = 16
MASK_BANDS = Bands((1, 1, 1), None, None, (0.0,), "uint8")
"""The band of a raster that is 1 where there is data and 0 elsewhere."""


def bounded_shape(dataset: DatasetReader, wanted: _Size) -> _Size:
    """Width and height of the decimated raster to survey: `wanted`, or fewer if that needs too many blocks."""
    ratio = min(dataset.width / wanted[0], dataset.height / wanted[1])
    level = max((factor for factor in overview_factors(dataset) if factor <= ratio), default=1)
    height, width = dataset.block_shapes[0]
    across = min(wanted[0], math.ceil(dataset.width / level / width))
    down = min(wanted[1], math.ceil(dataset.height / level / height))
    most = max(1, SURVEY_PIXELS // (width * height))
    if across * down <= most:
        return wanted
    shrink = math.sqrt(most / (across * down))
    columns = max(1, int(across * shrink)) if across > 1 else 1
    rows = max(1, min(down, most // columns))
    return wanted[0] if across == 1 else columns, rows


def read_valid(colours: DatasetReader, bands: Bands) -> Mask:
    """Which pixels of a raster hold data, bool (rows, columns), read a few rows at a time.

    GDAL reads band by band; a block that holds all of them would otherwise be decoded for each.

    Args:
        colours: what `geo2map.scene.vrt.colours_vrt` describes, its alpha reaching to 255.
    """
    rows = range(0, colours.height, ROWS_AT_ONCE)
    windows = [Window(0, row, colours.width, min(ROWS_AT_ONCE, colours.height - row)) for row in rows]
    opaque = replace(bands, alpha_max=255)
    return np.concatenate([opaque.valid(colours.read(window=window)) for window in windows])


def with_raster(valid: Mask, use: Callable[[str], _T]) -> _T:
    """Calls with the path of a raster in memory that holds a mask as `MASK_BANDS` says."""
    height, width = valid.shape
    with MemoryFile() as file:
        with quiet(), file.open(driver="GTiff", width=width, height=height, count=1, dtype="uint8") as raster:
            raster.write(valid.astype(np.uint8), 1)
        return use(file.name)
