"""The sources of a VRT, for metadata that does not reach the VRT."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from rasterio.io import DatasetReader

from geo2map.files.address import is_remote
from geo2map.files.rasterio_internals import GDAL_ERRORS
from geo2map.scene.gdal import open_raster
from geo2map.scene.places import READ_BESIDE

LOOKED_AT = 16
"""Sources of a VRT that are opened for their tags; sheets of one map are alike."""
_CHANGES = re.compile("<(?:ScaleRatio|ScaleOffset|Exponent|LUT|PixelFunctionType)>")
"""Elements of a VRT that change the values of its sources."""


def is_warped(dataset: DatasetReader) -> bool:
    """Whether it is a VRT that GDAL warps as it is read."""
    return "VRTWarpedDataset" in vrt_document(dataset)


def tags_of_sources(dataset: DatasetReader, key: str, index: int = 0, deepest: int = 2) -> set[str]:
    """What a raster, or the sources of a VRT that has no tag itself, give for a tag of IMAGE_STRUCTURE; "" for nothing.

    For a VRT on a server, or one that changes values, only its own tags count.

    Args:
        index: of the band; 0 for the tags of the raster.
        deepest: depth of nested VRTs.
    """
    index = min(index, dataset.count)
    tags = dataset.tags(index, ns="IMAGE_STRUCTURE") if index else dataset.tags(ns="IMAGE_STRUCTURE")
    silent = dataset.driver != "VRT" or is_remote(dataset.name)
    if key in tags or silent or not deepest or _CHANGES.search(vrt_document(dataset)):
        return {tags.get(key, "")}
    found = [tags_of_sources(source, key, index, deepest - 1) for source in open_sources(dataset)]
    return set().union(*found) or {""}


def vrt_document(dataset: DatasetReader) -> str:
    """The XML of a VRT; "" for other rasters."""
    tags = dataset.tags(ns="xml:VRT") if dataset.driver == "VRT" else {}
    return "".join(f"{key}={value}" for key, value in tags.items())


def open_sources(dataset: DatasetReader) -> Iterator[DatasetReader]:
    """The first sources of a VRT, one open at a time; none for other rasters. Those that do not open are left out."""
    if dataset.driver != "VRT":
        return
    named = (file for file in dataset.files if file != dataset.name and not file.lower().endswith(READ_BESIDE))
    for file in islice(named, LOOKED_AT):
        try:
            source = open_raster(file)
        except GDAL_ERRORS:
            continue
        with source:
            yield source
