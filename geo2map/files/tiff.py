"""Reading tags of a TIFF's directory without opening it as a raster: a hundred times as fast."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

GDAL_METADATA = 42112
"""The tag in which GDAL stores metadata as XML."""
PHOTOMETRIC = 262
"""PhotometricInterpretation: the meaning of a pixel's bands."""
MOST_TAGS = 4096
_LARGEST = 64 * 2**20
"""Most bytes of a value; a longer one counts as damage."""
_LAYOUTS = {42: ("HHII", 4, "I", "H"), 43: ("HHQQ", 8, "Q", "Q")}
"""By version: an entry, where the first directory's offset is, its type, and that of the number of entries."""
_BYTES, _NUMBERS = frozenset({1, 2, 6, 7}), {3: 2, 4: 4}
"""TIFF's types: BYTE, ASCII, SBYTE and UNDEFINED; SHORT and LONG with their bytes."""


def read_gdal_metadata(path: str | Path) -> bytes | None:
    """GDAL's metadata as `read_tag` reads it."""
    found = read_tag(path, GDAL_METADATA)
    return found if isinstance(found, bytes) else None


def read_tag(path: str | Path, tag: int) -> bytes | int | None:
    """A tag of the first image in a TIFF: its bytes, or its number if it is a single SHORT or LONG.

    Returns:
        b"" if there is no such tag; None if it is of another type, or the file is not a complete TIFF.
    """
    try:
        with Path(path).open("rb") as file:
            return _find(file, tag)
    except (OSError, KeyError, struct.error, ValueError, OverflowError):
        return None


def _find(file: BinaryIO, tag: int) -> bytes | int | None:
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}[head[:2]]
    entry, where, offset, number = _LAYOUTS[struct.unpack(f"{order}H", head[2:4])[0]]
    file.seek(struct.unpack_from(order + offset, head, where)[0])
    (count,) = struct.unpack(order + number, file.read(struct.calcsize(number)))
    size = struct.calcsize(order + entry)
    entries = file.read(min(count, MOST_TAGS) * size)
    if count > MOST_TAGS or len(entries) < count * size:
        return None
    for start in range(0, len(entries), size):
        found, kind, length, place = struct.unpack_from(order + entry, entries, start)
        if found == tag:
            held = entries[start + size - struct.calcsize(offset) : start + size]
            return _value(file, order, kind, length, held, place)
    return b""


def _value(file: BinaryIO, order: str, kind: int, length: int, held: bytes, place: int) -> bytes | int | None:
    """One number or `length` bytes; what fits into its entry is `held` there."""
    if kind in _NUMBERS and length == 1:
        return int.from_bytes(held[: _NUMBERS[kind]], "little" if order == "<" else "big")
    if kind not in _BYTES or length > _LARGEST:
        return None
    if length <= len(held):
        return held[:length]
    file.seek(place)
    return file.read(length)
