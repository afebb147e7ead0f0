"""One 256 px tile as PNG, WebP or JPEG bytes, and back; the same pixels always give the same bytes.

Everything here is pure and thread-safe; Pillow releases the interpreter lock while it compresses.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image
from scipy.ndimage import distance_transform_edt

from geo2map.errors import TileSetError
from geo2map.grid import TILE_SIZE
from geo2map.types import Image, Mask, TileFormat

SUFFIXES: dict[TileFormat, str] = {"png": ".png", "webp": ".webp", "jpeg": ".jpg"}
"""File name suffix of each tile format."""

# Measured on one core, 48 map tiles of 256 px with GAN-like noise (Pillow 13, zlib-ng 2.3.3), ms / KiB a tile:
# level 1: 5.5 / 106, level 3: 7.8 / 104, level 6 (Pillow's own choice): 24.4 / 92, run lengths only: 4.8 / 90.
# Noise leaves nothing to find for deflate's search, so run lengths are the fastest and the smallest at once; on
# clean tiles they cost 3 % more bytes than level 1 in less time. The level plays no part with this strategy.
_PNG = {"format": "PNG", "compress_level": 1, "compress_type": zlib.Z_RLE}
# Method 0: 1.1 ms / 5.5 KiB, 2: 1.9 / 4.1, 4: 4.6 / 4.1. Alpha is lossless at alpha_quality 100.
_WEBP = {"format": "WEBP", "quality": 85, "method": 2, "alpha_quality": 100, "exact": False}
# 0.3 ms / 14 KiB; subsampling 0 is 4:4:4, which keeps coloured map lines crisp.
_JPEG = {"format": "JPEG", "quality": 90, "subsampling": 0}

_READABLE = ("PNG", "WEBP", "JPEG")
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, struct.error, zlib.error)
_WHITE = np.uint8(255)


@dataclass(frozen=True)
class TileCodec:
    """A `geo2map.protocols.Codec` for one format."""

    format: TileFormat

    @property
    def suffix(self) -> str:
        """Of a tile's file name, e.g. ".png"."""
        return SUFFIXES[self.format]

    @property
    def lossless(self) -> bool:
        """Whether decoding gives back every valid pixel and the mask as they were."""
        return self.format == "png"

    @property
    def majority(self) -> bool:
        """Parents are means."""
        return False

    def encode(self, pixels: Image, mask: Mask) -> bytes:
        """See `encode_tile`."""
        return encode_tile(pixels, mask, self.format)

    def decode(self, data: bytes) -> tuple[Image, Mask]:
        """See `decode_tile`."""
        return decode_tile(data)


def encode_tile(pixels: Image, mask: Mask, format: TileFormat) -> bytes:
    """Encodes one tile.

    PNG and WebP are RGB where the tile is fully valid and RGBA otherwise, with invalid pixels zeroed (PNG) or smoothed
    over (WebP). JPEG has no alpha: invalid pixels become white. PNG is lossless, and so is WebP's alpha. What the
    invalid pixels held never reaches the bytes.

    Args:
        pixels: uint8 (256, 256, 3); views are fine.
        mask: bool (256, 256), True where valid.
        format: "png", "webp" or "jpeg".

    Returns:
        The file's bytes, a function of the arguments and the installed Pillow only.
    """
    return _ENCODERS[format](pixels, mask)


def decode_tile(data: bytes) -> tuple[Image, Mask]:
    """Decodes a PNG, WebP or JPEG tile of any 8-bit kind: RGB, RGBA, palette, grey.

    Returns:
        Pixels, uint8 (256, 256, 3), zero where invalid, and mask, bool (256, 256), True where alpha is above 0;
        an image without transparency is valid everywhere. Both are the caller's own.

    Raises:
        TileSetError: the bytes are no such image, or it is not of 256 x 256 px. Names no file: the caller does.
    """
    if not data:
        raise TileSetError("the tile is an empty file: delete it or make it again")
    try:
        with PIL.Image.open(io.BytesIO(data), formats=_READABLE) as picture:
            _check(picture)
            return _arrays(picture)
    except TileSetError:
        raise
    except (*_BROKEN, PIL.Image.DecompressionBombError) as error:
        raise TileSetError(
            f"the tile cannot be read as a PNG, WebP or JPEG image ({type(error).__name__}, {len(data)} bytes): "
            "delete it or make it again"
        ) from error


def is_whole(data: bytes) -> bool:
    """Whether a tile is complete and, of a PNG, unharmed, as far as that shows without decoding it: some 50 us."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _is_whole_png(data)
    if data.startswith(b"RIFF"):
        return len(data) >= 8 + int.from_bytes(data[4:8], "little") > 12
    return data.startswith(b"\xff\xd8") and b"\xff\xd9" in data[-64:]


def _is_whole_png(data: bytes) -> bool:
    """Walks through the chunks and their checksums to the last one."""
    at = 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if zlib.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big") or end + 4 > len(data):
            return False
        if data[at + 4 : at + 8] == b"IEND":
            return True
        at = end + 4
    return False


def _check(picture: PIL.Image.Image) -> None:
    if picture.size != (TILE_SIZE, TILE_SIZE):
        width, height = picture.size
        raise TileSetError(
            f"the tile has {width} x {height} px, but geo2map reads tiles of {TILE_SIZE} x {TILE_SIZE} px"
        )
    if picture.mode.startswith(("I", "F")):
        raise TileSetError(f"the tile has more than 8 bits a band (mode {picture.mode}): make it again with 8 bits")


def _arrays(picture: PIL.Image.Image) -> tuple[Image, Mask]:
    if not picture.has_transparency_data:
        return np.array(picture.convert("RGB")), np.ones((TILE_SIZE, TILE_SIZE), dtype=np.bool_)
    rgba = np.array(picture.convert("RGBA"))
    mask: Mask = rgba[..., 3] > 0
    return rgba[..., :3] * mask[..., None], mask


def _with_alpha(pixels: Image, mask: Mask) -> npt.NDArray[np.uint8]:
    """RGB where everything is valid, else RGBA with zeros where invalid; (256, 256, 3 or 4)."""
    if mask.all():
        return pixels
    return np.dstack([pixels * mask[..., None], mask * _WHITE])


def _save(array: npt.NDArray[np.uint8], options: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    PIL.Image.fromarray(np.ascontiguousarray(array)).save(file, **options)
    return file.getvalue()


def _encode_png(pixels: Image, mask: Mask) -> bytes:
    return _save(_with_alpha(pixels, mask), _PNG)


def _encode_webp(pixels: Image, mask: Mask) -> bytes:
    """Invalid pixels repeat the nearest valid one: zeros would bleed into the rim (mean error there 2.8, not 2.1)."""
    if mask.all() or not mask.any():
        return _save(_with_alpha(pixels, mask), _WEBP)
    nearest = distance_transform_edt(~mask, return_distances=False, return_indices=True)
    return _save(np.dstack([pixels[tuple(nearest)], mask * _WHITE]), _WEBP)


def _encode_jpeg(pixels: Image, mask: Mask) -> bytes:
    return _save(np.where(mask[..., None], pixels, _WHITE), _JPEG)


_ENCODERS: dict[TileFormat, Callable[[Image, Mask], bytes]] = {
    "png": _encode_png,
    "webp": _encode_webp,
    "jpeg": _encode_jpeg,
}
