"""Tile format detection by content, regardless of names and documents."""

from __future__ import annotations

import io
import zlib

import PIL.Image

from geo2map.errors import TileSetError
from geo2map.files.gzipped import gzipped
from geo2map.types import TileFormat

_GZIP = b"\x1f\x8b"
_LAYERS = b"\x1a"
"""The only field of a Mapbox vector tile, its layers, has number 3."""
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
    "pbf": "mvt",
    "mvt": "mvt",
    "x-protobuf": "mvt",
    "application/x-protobuf": "mvt",
    "application/vnd.mapbox-vector-tile": "mvt",
}


def format_of(data: bytes) -> TileFormat | None:
    """The format of a tile, None if it is not supported."""
    if data.startswith(b"\x89PNG"):
        return "png"
    if data.startswith(b"RIFF") and data[8:12] in (b"WEBP", b""):
        return "webp"
    if data.startswith(b"\xff\xd8"):
        return "jpeg"
    if data[4:8] == b"ftyp" and b"avi" in data[8:40]:
        return "avif"
    return "mvt" if data.startswith(_LAYERS) else None


def parse_format(text: str) -> TileFormat | None:
    """The format of a spelling such as "PNG", "image/png" or ".png"; None if it is not supported."""
    return _SPELLINGS.get(_plain(text))


def pack(data: bytes, format: TileFormat) -> bytes:
    """A tile as archives store it: vector tiles compressed by gzip. Deterministic."""
    return gzipped(data) if format == "mvt" else data


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
