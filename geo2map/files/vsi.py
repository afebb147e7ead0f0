"""The first bytes of anything that GDAL can open by name, read as GDAL reads them, before a driver opens it.

rasterio cannot read a file in an archive or a bucket as bytes, but a band of a raw VRT of GDAL's can: line by line,
with zeros after the file's end (https://gdal.org/drivers/raster/vrt.html).
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import rasterio
from rasterio.env import get_gdal_config
from rasterio.windows import Window

from geo2map.files.rasterio_internals import GDAL_ERRORS

LINE = 16384
"""GDAL takes longer lines only of files that have them whole; its cache of remote files has chunks of this size."""
HEAD = 4 * LINE
LARGEST_DOCUMENT = 64 * 2**20
RAW_BANDS = {"GDAL_VRT_ENABLE_RAWRASTERBAND": "YES", "GDAL_VRT_RAWRASTERBAND_ALLOWED_SOURCE": "ALL"}


def read_text(address: str, limit: int = LARGEST_DOCUMENT) -> bytes | None:
    """A file's bytes before its first zero byte: all that GDAL's drivers parse of it as text.

    Args:
        address: a file of this machine or one of GDAL's virtual files, as GDAL spells it.
        limit: bytes at most, a multiple of `LINE`.

    Uses the GDAL settings in effect at the call.

    Returns:
        None if there is no such file, or it cannot be read.
    """
    if address.startswith("/vsi"):
        return _read_lines(address, limit)
    try:
        with Path(address).open("rb") as file:
            return file.read(limit).partition(b"\0")[0]
    except (OSError, ValueError):
        return None


def head_bytes() -> int:
    """How many bytes of a file the drivers use for identification, a multiple of `LINE`."""
    more = get_gdal_config("GDAL_INGESTED_BYTES_AT_OPEN", normalize=False) or "0"
    return max(HEAD, -(-int(more) // LINE) * LINE) if str(more).isdigit() else HEAD


def _read_lines(address: str, limit: int) -> bytes | None:
    found = bytearray()
    try:
        with rasterio.Env(**RAW_BANDS), rasterio.open(_raw_document(address)) as raw:
            for number in range(limit // LINE):
                line = raw.read(1, window=Window(0, number, LINE, 1)).tobytes()
                text, ended, _ = line.partition(b"\0")
                found += text
                if ended:
                    break
    except (*GDAL_ERRORS, OSError, ValueError):
        return None
    return bytes(found)


def _raw_document(address: str) -> str:
    root = ET.Element("VRTDataset", rasterXSize=str(LINE), rasterYSize=str(LARGEST_DOCUMENT // LINE))
    ET.SubElement(root, "GeoTransform").text = "0,1,0,0,0,-1"  # else rasterio warns that there is none
    band = ET.SubElement(root, "VRTRasterBand", dataType="Byte", band="1", subClass="VRTRawRasterBand")
    for tag, text in (("ImageOffset", 0), ("PixelOffset", 1), ("LineOffset", LINE)):
        ET.SubElement(band, tag).text = str(text)
    ET.SubElement(band, "SourceFilename", relativeToVRT="0").text = address
    return ET.tostring(root, encoding="unicode")
