"""What can be told from a TIFF's directory without opening it as a raster; a hundred times as fast."""

from __future__ import annotations

import struct
from pathlib import Path

GDAL_METADATA = 42112
"""The tag in which GDAL keeps metadata as XML."""
MOST_TAGS = 4096
_LAYOUTS = {42: ("HHII", 4, "I", "H"), 43: ("HHQQ", 8, "Q", "Q")}
"""By version: an entry, where the first directory's offset is, its type, and that of the number of entries."""


def read_gdal_metadata(path: str | Path) -> bytes | None:
    """GDAL's metadata of the first picture in a TIFF, b"" where it has none.

    Returns:
        None where the file is not a TIFF, or not a whole one.
    """
    try:
        with Path(path).open("rb") as file:
            head = file.read(16)
            order = {b"II": "<", b"MM": ">"}[head[:2]]
            entry, where, offset, number = _LAYOUTS[struct.unpack(f"{order}H", head[2:4])[0]]
            file.seek(struct.unpack_from(order + offset, head, where)[0])
            (count,) = struct.unpack(order + number, file.read(struct.calcsize(order + number)))
            size = struct.calcsize(order + entry)
            entries = file.read(min(count, MOST_TAGS) * size)
            if count > MOST_TAGS or len(entries) < count * size:
                return None
            for tag, _, length, value in struct.iter_unpack(order + entry, entries):
                if tag == GDAL_METADATA:
                    file.seek(value)
                    return file.read(length)
            return b""
    except (OSError, KeyError, struct.error, ValueError):
        return None
