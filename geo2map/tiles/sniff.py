"""Tile format detection by content, regardless of names and documents."""

from __future__ import annotations

import io
import zlib

import PIL.Image

from geo2map.errors import TileSetError
from geo2map.types import TileFormat

_GZIP = b"\x1f\x8b"
_LARGEST = 2**26
"""Size limit of an unpacked tile, in bytes."""
_SPELLINGS: dict[str, TileFormat] = {
    "png": "png",
    "png8": "png",
    "png24": "png",
    "png32": "png",
    "jpg": "jpeg",
    "jpeg": "jpeg",
    "pjpeg": "jpeg",
    "webp": "webp",
    "avif": "avif",
}
_VECTOR_SPELLINGS = frozenset(
    {"pbf", "mvt", "mlt", "x-protobuf", "application/x-protobuf", "application/vnd.mapbox-vector-tile"}
)


def format_of(data: bytes) -> TileFormat | None:
    """The format of a tile, None if it is not supported."""
    if data.startswith(b"\x89PNG"):
        return "png"
    if data.startswith(b"RIFF") and data[8:12] in (b"WEBP", b""):
        return "webp"
    if data.startswith(b"\xff\xd8"):
        return "jpeg"
    return "avif" if data[4:8] == b"ftyp" and b"avi" in data[8:40] else None


def parse_format(text: str) -> TileFormat | None:
    """The format of a spelling such as "PNG", "image/png" or ".png"; None if it is not supported."""
    return _SPELLINGS.get(_plain(text))


def is_vector_format(text: str) -> bool:
    """Whether a spelling names a vector tile format."""
    return _plain(text) in _VECTOR_SPELLINGS


def is_vector(data: bytes) -> bool:
    """Whether the bytes are a Mapbox vector tile, whose only field, layers, has number 3."""
    return data.startswith(b"\x1a") and format_of(data) is None


def unpack(data: bytes) -> bytes:
    """A tile without additional gzip compression.

    Raises:
        TileSetError: it is damaged, or unpacks to too many bytes.
    """
    if not data.startswith(_GZIP):
        return data
    unpacker = zlib.decompressobj(wbits=31)
    try:
        found = unpacker.decompress(data, _LARGEST)
    except zlib.error as error:
        raise TileSetError(f"damaged gzip compression ({error}); create it again") from error
    if not unpacker.eof:
        raise TileSetError("damaged gzip compression, or far too large; create it again")
    return found


def size_of(data: bytes) -> tuple[int, int] | None:
    """Width and height of a tile in pixels, from its header; None if unreadable."""
    try:
        with PIL.Image.open(io.BytesIO(data), formats=("PNG", "WEBP", "JPEG", "AVIF")) as picture:
            return picture.size
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError):
        return None


def _plain(text: str) -> str:
    return text.strip().lower().removeprefix("image/").removeprefix(".")
