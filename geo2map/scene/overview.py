"""Which overview of a file is read, and whether it has validity of its own."""

from __future__ import annotations

from itertools import takewhile
from typing import NamedTuple

from rasterio.enums import MaskFlags
from rasterio.io import DatasetReader

from geo2map.scene.bands import Bands
from geo2map.scene.gdal import open_raster, overview_factors
from geo2map.scene.vrt import Size, band_vrt
from geo2map.scene.vrt_sources import is_warped, open_sources

_TOLERANCE = 0.1
"""How much coarser than requested an overview may be, as a fraction; as in `gdalwarp -ovr AUTO`."""

_SMALLEST = 128
"""Pixels along a side of the smallest overviews of its source that a VRT lists; smaller ones are checked."""
LOOK_SIDE = 512


class Overview(NamedTuple):
    """An overview of a file.

    Attributes:
        level: its number as GDAL counts, from 0.
        size: width and height in pixels.
        has_mask: whether it has validity of its own. A mask that was added after the overviews has none of
            its own, and then GDAL treats all pixels of the overview as valid.
    """

    level: int
    size: Size
    has_mask: bool


def choose_overview(dataset: DatasetReader, address: str, bands: Bands, ratio: float) -> Overview | None:
    """The coarsest overview that is fine enough; None if only the raster itself is.

    GDAL opens no overview that one of the bands lacks, such as an alpha band that came later.

    Args:
        dataset: the file.
        address: its path, as GDAL spells it.
        bands: what is read of it.
        ratio: pixels of the file per output pixel.
    """
    every = zip(*(overview_factors(dataset, index) for index in dataset.indexes), strict=False)
    factors = [shared[0] for shared in takewhile(lambda found: len(set(found)) == 1, every)]
    fine = [level for level, factor in enumerate(factors) if factor < ratio + _TOLERANCE]
    if not fine:
        return None
    level = fine[-1]
    masked = bands.alpha is not None and bands.alpha.startswith("mask")
    if bands.alpha is not None and not masked and _loses_mask(dataset):
        return None
    with open_raster(address, OVERVIEW_LEVEL=level) as overview:
        size = overview.width, overview.height
        if not masked or (min(size) < _SMALLEST and not _is_all_valid(overview)):
            return Overview(level, size, has_mask=True)
    if min(size) < _SMALLEST:
        return Overview(level, size, has_mask=_is_all_valid(dataset))
    with open_raster(band_vrt(address, f"mask,{bands.colours[0]}", (dataset.width, dataset.height))) as mask:
        return Overview(level, size, has_mask=overview_factors(mask)[level : level + 1] == [factors[level]])


def _loses_mask(dataset: DatasetReader) -> bool:
    """Whether overviews of a VRT treat more pixels as valid than the VRT does.

    GDAL makes those of a warped VRT out of its source's, whose mask may have none.
    """
    warped = is_warped(dataset)
    return any(_loses_mask(source) or (warped and _lacks_masks(source)) for source in open_sources(dataset))


def _lacks_masks(source: DatasetReader) -> bool:
    flags = source.mask_flag_enums[0]
    if MaskFlags.per_dataset not in flags or MaskFlags.alpha in flags:
        return False
    size = source.width, source.height
    with (
        open_raster(band_vrt(source.name, "1", size)) as band,
        open_raster(band_vrt(source.name, "mask,1", size)) as mask,
    ):
        return overview_factors(band) != overview_factors(mask)


def _is_all_valid(dataset: DatasetReader) -> bool:
    """Whether a mask hides nothing, judged by a sample."""
    shape = min(dataset.height, LOOK_SIDE), min(dataset.width, LOOK_SIDE)
    return bool(dataset.read_masks(1, out_shape=shape).all())
