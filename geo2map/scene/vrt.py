"""A scene as two virtual rasters, one upon the other: its colours alone, and those warped.

Both are GDAL's VRT documents (https://gdal.org/drivers/raster/vrt.html); the second is what `gdalwarp -of VRT` writes.
Rasterio's `WarpedVRT` on a grid of one's own knows no ground control points, no raster across the antimeridian and
no nodata that differs between bands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.etree import ElementTree as ET

import numpy as np
from affine import Affine
from rasterio.crs import CRS
from rasterio.dtypes import dtype_rev, typename_fwd

from geo2map.grid import EARTH_RADIUS, HALF_WORLD
from geo2map.grid.mercator import web_mercator
from geo2map.scene.bands import Bands
from geo2map.scene.georeference import Georeference
from geo2map.types import Resampling

Size = tuple[int, int]
_TOLERANCE = 1e-5
"""Scene pixels by which GDAL may misplace a pixel to save calls of PROJ: harmless, and a third faster than 1e-6."""
BLOCK_SIDE = 256
SOURCE_SIDE = 1024
"""Scene pixels along a side that GDAL reads at once for a block; no memory limit applies here."""
ALGORITHMS: dict[Resampling, str] = {
    "nearest": "NearestNeighbour",
    "bilinear": "Bilinear",
    "cubic": "Cubic",
    "cubic_spline": "CubicSpline",
    "lanczos": "Lanczos",
    "average": "Average",
    "mode": "Mode",
    "max": "Maximum",
    "min": "Minimum",
    "med": "Median",
    "q1": "Quartile1",
    "q3": "Quartile3",
    "rms": "RootMeanSquare",
}


def colours_vrt(
    path: str,
    bands: Bands,
    size: Size,
    *,
    level: int | None = None,
    shown: Size | None = None,
    whole: Size | None = None,
) -> str:
    """Only the bands that are read: one gray or three colours, palettes expanded, then alpha if there is one.

    Args:
        path: as GDAL spells it.
        size: width and height of the raster, or of its overview.
        level: which overview; None is the raster itself.
        shown: width and height to show instead, by leaving pixels out.
        whole: width and height of the raster, where the overview has no mask: the mean of the raster's own mask is
            taken then.
    """
    shown = shown or size
    root = ET.Element("VRTDataset", rasterXSize=str(shown[0]), rasterYSize=str(shown[1]))
    sources: list[tuple[str, dict[str, str]]] = [(str(index), {}) for index in bands.colours]
    if bands.palette is not None:
        sources = [(sources[0][0], {"LUT": _look_up_table(channel)}) for channel in bands.channels]
    elif bands.meant is not None:
        sources = [(band, _linear(*meant)) for (band, _), meant in zip(sources, bands.meant, strict=True)]
    for band, changes in sources:
        _add_source(root, _gdal_type(bands), path, band, (size, shown), changes, level)
    if bands.alpha is not None:
        changes = _linear(255 / bands.alpha_max, 0)
        sizes, level = ((size, shown), level) if whole is None else ((whole, shown), None)
        source = _add_source(root, _gdal_type(bands), path, bands.alpha, sizes, changes, level)
        if whole is not None:
            source.set("resampling", "average")
    return ET.tostring(root, encoding="unicode")


def band_vrt(path: str, band: str, size: Size) -> str:
    """A band, or a mask, alone: then GDAL distinguishes its overviews from those of the others."""
    root = ET.Element("VRTDataset", rasterXSize=str(size[0]), rasterYSize=str(size[1]))
    _add_source(root, "Byte", path, band, (size, size), {})
    return ET.tostring(root, encoding="unicode")


def _add_source(
    root: ET.Element,
    dtype: str,
    path: str,
    band: str,
    sizes: tuple[Size, Size],
    changes: dict[str, str],
    level: int | None = None,
) -> ET.Element:
    """One more band of a document: all of a band of a file, its pixels spread over those shown."""
    parent = _add(root, "VRTRasterBand", dataType=dtype, band=str(len(root) + 1))
    source = _add(parent, "ComplexSource" if changes else "SimpleSource")
    _add(source, "SourceFilename", path, relativeToVRT="0")
    if level is not None:
        _add(_add(source, "OpenOptions"), "OOI", str(level), key="OVERVIEW_LEVEL")
    _add(source, "SourceBand", band)
    for tag, (width, height) in zip(("SrcRect", "DstRect"), sizes, strict=True):
        _add(source, tag, xOff="0", yOff="0", xSize=str(width), ySize=str(height))
    for tag, text in changes.items():
        _add(source, tag, text)
    return source


def warped_vrt(
    source: str,
    place: Georeference,
    bands: Bands,
    matrix: Affine,
    shape: tuple[int, int],
    resampling: Resampling,
    scale: tuple[float, float],
) -> str:
    """The colours on a grid in web-mercator, an alpha band of 0 to 255 last.

    One document stands for a whole scene at one zoom, and GDAL warps it in blocks of its own, whichever window is
    read: that is why a pixel does not depend on the window. GDAL would derive the kernel's scale anew for
    each of these blocks, which would be visible at their borders; so it is set.

    Args:
        source: what `colours_vrt` made.
        place: of the pixels of `source`.
        matrix: geotransform of the grid in web-mercator metres, which may reach over the world's right edge.
        shape: rows and columns of the grid.
        scale: output pixels per pixel of `source`, along its columns and along its rows.
    """
    root = ET.Element("VRTDataset", rasterXSize=str(shape[1]), rasterYSize=str(shape[0]), subClass="VRTWarpedDataset")
    for number in range(1, bands.count + 2):
        band = _add(root, "VRTRasterBand", dataType=_gdal_type(bands), band=str(number), subClass="VRTWarpedRasterBand")
        if number > bands.count:
            _add(band, "ColorInterp", "Alpha")
    side = _block_side(scale)
    _add(root, "BlockXSize", str(side))
    _add(root, "BlockYSize", str(side))
    options = _add(root, "GDALWarpOptions")
    _add(options, "ResampleAlg", ALGORITHMS[resampling])
    for name, value in _warp_options(scale).items():
        _add(options, "Option", value, name=name)
    _add(options, "SourceDataset", source, relativeToVRT="0")
    target = _turned_mercator(matrix, shape[1])
    _add_transformer(_add(options, "Transformer"), place, matrix, target)
    mappings = _add(options, "BandList")
    for number in range(1, bands.count + 1):
        mapping = _add(mappings, "BandMapping", src=str(number), dst=str(number))
        if bands.missing is not None and bands.palette is None:
            _add(mapping, "SrcNoDataReal", repr(bands.missing[number - 1]))
    if bands.has_alpha:
        _add(options, "SrcAlphaBand", str(bands.count + 1))
    _add(options, "DstAlphaBand", str(bands.count + 1))
    return ET.tostring(root, encoding="unicode")


def _block_side(scale: tuple[float, float]) -> int:
    """A power of two."""
    return int(2 ** np.floor(np.log2(np.clip(SOURCE_SIDE * min(scale), 4, BLOCK_SIDE))))


def _warp_options(scale: tuple[float, float]) -> dict[str, str]:
    """Kernels widen where pixels get fewer, never narrow; a pixel has no data where none of its bands has."""
    x, y = (repr(min(1.0, value)) for value in scale)
    alpha = {"SRC_ALPHA_MAX": "255", "DST_ALPHA_MAX": "255"}
    return {"XSCALE": x, "YSCALE": y, "UNIFIED_SRC_NODATA": "YES", "INIT_DEST": "0"} | alpha


def _add_transformer(parent: ET.Element, place: Georeference, matrix: Affine, target: CRS) -> None:
    approximate = _add(parent, "ApproxTransformer")
    _add(approximate, "MaxError", repr(_TOLERANCE))
    general = _add(_add(approximate, "BaseTransformer"), "GenImgProjTransformer")
    if place.transform is not None:
        _add(general, "SrcGeoTransform", _numbers(place.transform.to_gdal()))
        _add(general, "SrcInvGeoTransform", _numbers((~place.transform).to_gdal()))
    else:
        polynomial = _add(_add(general, "SrcGCPTransformer"), "GCPTransformer")
        _add(polynomial, "Order", "0")  # as many as the points allow, two at most
        _add(polynomial, "Reversed", "0")
        points = _add(polynomial, "GCPList")
        for p in place.gcps:
            _add(points, "GCP", Id="", Pixel=repr(p.col), Line=repr(p.row), X=repr(p.x), Y=repr(p.y))
    _add(general, "DstGeoTransform", _numbers(matrix.to_gdal()))
    _add(general, "DstInvGeoTransform", _numbers((~matrix).to_gdal()))
    # a raster in web-mercator itself counts on over the edge as the grid does
    known = target if place.crs == web_mercator() else place.crs
    reproject = _add(_add(general, "ReprojectTransformer"), "ReprojectionTransformer")
    _add(reproject, "SourceSRS", known.to_wkt())
    _add(reproject, "TargetSRS", target.to_wkt())
    if place.centre_longitude is not None:
        _add(_add(reproject, "Options"), "Option", repr(place.centre_longitude), key="CENTER_LONG")


def _turned_mercator(matrix: Affine, width: int) -> CRS:
    """Web-mercator, turned so that a grid over the world's right edge lies in its middle, its metres counting on."""
    right = matrix.c + width * matrix.a
    if right <= HALF_WORLD + matrix.a:
        return web_mercator()
    middle = (matrix.c + right) / 2
    return CRS.from_string(f"+proj=webmerc +datum=WGS84 +lon_0={math.degrees(middle / EARTH_RADIUS)!r} +x_0={middle!r}")


def _gdal_type(bands: Bands) -> str:
    return str(typename_fwd[dtype_rev[bands.dtype]])


def _linear(ratio: float, offset: float) -> dict[str, str]:
    return {} if (ratio, offset) == (1, 0) else {"ScaleRatio": repr(ratio), "ScaleOffset": repr(offset)}


def _look_up_table(channel: Sequence[int]) -> str:
    return ",".join(f"{value}:{level}" for value, level in enumerate(channel))


def _numbers(values: Sequence[float]) -> str:
    return ",".join(map(repr, values))


def _add(parent: ET.Element, tag: str, text: str | None = None, **attributes: str) -> ET.Element:
    child = ET.SubElement(parent, tag, attributes)
    child.text = text
    return child
