"""The files that a VRT is made of, where what they say of themselves does not reach the VRT."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from geo2map.scene.gdal import open_raster

LOOKED_AT = 16
"""Sources of a VRT that are opened to ask them; sheets of one map are alike."""
_SIDECARS = (".ovr", ".msk", ".aux.xml")


def is_warped(dataset: DatasetReader) -> bool:
    """Whether it is a VRT that GDAL warps as it is read."""
    tags = dataset.tags(ns="xml:VRT") if dataset.driver == "VRT" else {}
    return any("VRTWarpedDataset" in f"{key}={value}" for key, value in tags.items())


def open_sources(dataset: DatasetReader) -> Iterator[DatasetReader]:
    """The first sources of a VRT, one open at a time; none for other rasters. Those that do not open are left out."""
    if dataset.driver != "VRT":
        return
    named = (file for file in dataset.files if file != dataset.name and not file.lower().endswith(_SIDECARS))
    for file in islice(named, LOOKED_AT):
        try:
            source = open_raster(file)
        except (RasterioError, CPLE_BaseError):
            continue
        with source:
            yield source
