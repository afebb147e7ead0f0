"""Tags of a TIFF without GDAL, of files that anybody may have made."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geo2map.files.tiff import GDAL_METADATA, PHOTOMETRIC, read_gdal_metadata, read_tag


@pytest.mark.parametrize("options", [{}, {"ENDIANNESS": "BIG"}, {"BIGTIFF": "YES"}])
def test_tags_of_every_layout(options: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    profile = {"driver": "GTiff", "width": 4, "height": 4, "count": 3, "dtype": "uint8", "photometric": "CIELAB"}
    profile["transform"] = rasterio.Affine.scale(2)
    with rasterio.open(path, "w", **profile, **options) as dataset:
        dataset.write(np.ones((3, 4, 4), np.uint8))
        dataset.update_tags(NOTE="x")
    assert read_tag(path, PHOTOMETRIC) == 8
    assert b'<Item name="NOTE">x</Item>' in (read_gdal_metadata(path) or b"")
    assert read_tag(path, 65000) == b""


@pytest.mark.parametrize("length", [2**40, 2**63, 2**64 - 1])
@pytest.mark.parametrize("place", [64, 2**63])
def test_a_length_that_no_file_has(length: int, place: int, tmp_path: Path) -> None:
    entry = struct.pack("<HHQQ", GDAL_METADATA, 2, length, place)
    (tmp_path / "a.tif").write_bytes(struct.pack("<2sHHHQQ", b"II", 43, 8, 0, 16, 1) + entry + bytes(8))
    assert read_tag(tmp_path / "a.tif", GDAL_METADATA) is None


def test_a_place_that_no_file_has_and_no_file(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    entry = struct.pack("<HHQQ", GDAL_METADATA, 2, 100, 2**63)
    path.write_bytes(struct.pack("<2sHHHQQ", b"II", 43, 8, 0, 16, 1) + entry)
    assert read_tag(path, GDAL_METADATA) is None
    path.write_bytes(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 2**64 - 1))
    assert read_tag(path, GDAL_METADATA) is None
    path.write_bytes(b"II")
    assert read_tag(path, GDAL_METADATA) is None
    assert read_tag(tmp_path / "b.tif", GDAL_METADATA) is None
