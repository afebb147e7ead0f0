"""One 256 px tile as PNG, WebP, JPEG or AVIF bytes, and back. Deterministic.

All functions are pure and thread-safe; Pillow releases the interpreter lock during compression.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.features
import PIL.Image
from scipy.ndimage import distance_transform_edt

from geo2map.errors import DataError, TileSetError
from geo2map.grid import TILE_SIZE
from geo2map.tiles.mvt import is_whole_vector
from geo2map.types import Image, Mask, TileFormat

SUFFIXES: dict[TileFormat, str] = {"png": ".png", "webp": ".webp", "jpeg": ".jpg", "avif": ".avif", "mvt": ".pbf"}
"""File name suffix of each tile format."""

# Measured on one core, 48 map tiles of 256 px with GAN-like noise (Pillow 13, zlib-ng 2.3.3), ms / KiB a tile:
# level 1: 5.5 / 106, level 3: 7.8 / 104, level 6 (Pillow's own choice): 24.4 / 92, run lengths only: 4.8 / 90.
# Deflate finds no matches in noise, so run lengths are both the fastest and the smallest; on clean tiles they cost
# 3 % more bytes than level 1 in less time. The level has no effect with this strategy.
_PNG = {"format": "PNG", "compress_level": 1, "compress_type": zlib.Z_RLE}
# Method 0: 1.1 ms / 5.5 KiB, 2: 1.9 / 4.1, 4: 4.6 / 4.1. Alpha is lossless at alpha_quality 100.
_WEBP = {"format": "WEBP", "quality": 85, "method": 2, "alpha_quality": 100, "exact": False}
# 0.3 ms / 14 KiB; subsampling 0 is 4:4:4, which keeps coloured map lines crisp.
_JPEG = {"format": "JPEG", "quality": 90, "subsampling": 0}
# Lossless, on tiles with noise of 2 levels: method 0: 2.9 ms / 91.5 KiB, 2: 26.7 / 87.0. "quality" is effort here.
_WEBP_LOSSLESS = {"format": "WEBP", "lossless": True, "quality": 50, "method": 0, "exact": False}
# The same tiles: speed 6: 71 ms / 6.0 KiB, 8: 21 / 6.4, 9: 8.7 / 6.8 (WebP at 85: 8.5 / 5.5, error 2.5 and not 2.1).
# One encoder and one thread, for deterministic bytes; alpha is lossless.
_AVIF: dict[str, Any] = {
    "format": "AVIF",
    "quality": 75,
    "speed": 9,
    "subsampling": "4:4:4",
    "codec": "aom",
    "max_threads": 1,
    "advanced": {"a:lossless": "1"},
}

LOSSY = ("webp", "jpeg", "avif")
"""Formats with a quality setting."""
_READABLE = ("PNG", "WEBP", "JPEG", *(("AVIF",) if PIL.features.check("avif") else ()))
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, struct.error, zlib.error)
_WHITE = np.uint8(255)


@dataclass(frozen=True)
class TileCodec:
    """A `geo2map.protocols.Codec` for one format.

    Attributes:
        format: tile format.
        quality: 1 to 100, for lossy formats; None is the default of `encode_tile`.
        exact: lossless WebP.
    """

    format: TileFormat
    quality: int | None = None
    exact: bool = False

    @property
    def suffix(self) -> str:
        """File name suffix, e.g. ".png"."""
        return SUFFIXES[self.format]

    @property
    def lossless(self) -> bool:
        """Whether decoding restores every valid pixel and the mask."""
        return self.format == "png" or self.exact

    @property
    def majority(self) -> bool:
        """Overviews are means."""
        return False

    def encode(self, pixels: Image, mask: Mask) -> bytes:
        return encode_tile(pixels, mask, self.format, quality=self.quality, lossless=self.exact)

    def decode(self, data: bytes) -> tuple[Image, Mask]:
        return decode_tile(data)


def encode_tile(
    pixels: Image, mask: Mask, format: TileFormat, *, quality: int | None = None, lossless: bool = False
) -> bytes:
    """Encode one tile.

    Fully valid tiles are RGB, others RGBA, with invalid pixels zeroed (PNG) or smoothed over (WebP, AVIF). JPEG has no
    alpha: invalid pixels become white. PNG is lossless, and so is the alpha of the others. The values of invalid pixels
    never affect the bytes.

    Args:
        pixels: uint8 (256, 256, 3); views are fine.
        mask: bool (256, 256), True where valid.
        format: "png", "webp", "jpeg" or "avif".
        quality: 1 to 100; None is 85 of WebP, 90 of JPEG, 75 of AVIF.
        lossless: only for WebP.

    Returns:
        The encoded bytes, which depend only on the arguments and the Pillow version.
    """
    options = _WEBP_LOSSLESS if lossless and format == "webp" else _OPTIONS[format]
    if quality is not None:
        options = {**options, "quality": quality}
    if format == "jpeg":
        return _save(np.where(mask[..., None], pixels, _WHITE), options)
    if format == "png" or lossless or mask.all() or not mask.any():
        return _save(_with_alpha(pixels, mask), options)
    return _save(_smoothed(pixels, mask), options)


def require_encoding(format: TileFormat, quality: int | None, lossless: bool) -> None:
    """Validate the encoding options of a format.

    Raises:
        DataError: the format does not support an option.
    """
    if format == "avif" and not has_avif():
        raise DataError(
            "format avif: not supported by the installed Pillow; choose webp, or install another Pillow",
            option="format",
        )
    if quality is not None and format not in LOSSY:
        raise DataError(
            f"quality: not an option of {format}; leave it out, or choose {', '.join(LOSSY)}",
            option="quality",
            usage=True,
        )
    if quality is not None and not 1 <= quality <= 100:
        raise DataError(f"quality {quality}: out of range; give 1 to 100", option="quality", usage=True)
    if lossless and format not in ("png", "webp"):
        raise DataError(f"lossless: not available for {format}; choose png or webp", option="lossless", usage=True)
    if lossless and quality is not None:
        raise DataError("lossless: not combined with quality; leave out one of them", option="lossless", usage=True)


@lru_cache(maxsize=1)
def has_avif() -> bool:
    """Whether the installed Pillow supports AVIF with the required options."""
    if not PIL.features.check("avif"):
        return False
    try:
        _save(np.zeros((16, 16, 4), np.uint8), _AVIF)
    except (OSError, ValueError, KeyError):
        return False
    return True


def decode_tile(data: bytes) -> tuple[Image, Mask]:
    """Decode a PNG, WebP, JPEG or AVIF tile with 8-bit RGB, RGBA, palette or grey.

    Returns:
        Pixels, uint8 (256, 256, 3), zero where invalid, and mask, bool (256, 256), True where alpha is above 0;
        an image without transparency is valid everywhere. Both may be modified.

    Raises:
        TileSetError: not such an image, or not 256 x 256 px; does not name the file.
    """
    with readable_tile(data) as picture:
        return _arrays(picture)


@contextmanager
def readable_tile(data: bytes) -> Iterator[PIL.Image.Image]:
    """Open a tile of 256 x 256 px as a picture.

    Raises:
        TileSetError: not such an image, or it turns out to be broken while it is read; does not name the file.
    """
    if not data:
        raise TileSetError("empty file; delete it or create it again")
    try:
        with PIL.Image.open(io.BytesIO(data), formats=_READABLE) as picture:
            _check(picture)
            yield picture
    except TileSetError:
        raise
    except (*_BROKEN, PIL.Image.DecompressionBombError) as error:
        raise TileSetError(
            f"cannot be read as PNG, WebP, JPEG or AVIF ({type(error).__name__}, {len(data)} bytes); delete it or "
            "create it again"
        ) from error


def is_whole(data: bytes) -> bool:
    """Whether a tile is complete, and a PNG undamaged, judged without decoding: about 50 us."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _is_whole_png(data)
    if data.startswith(b"RIFF"):
        return len(data) >= 8 + int.from_bytes(data[4:8], "little") > 12
    if data[4:8] == b"ftyp":
        return _is_whole_avif(data)
    if data.startswith(b"\x1a"):
        return is_whole_vector(data)
    return data.startswith(b"\xff\xd8") and b"\xff\xd9" in data[-64:]


def _is_whole_png(data: bytes) -> bool:
    """Verify the checksums of all chunks."""
    at = 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if zlib.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big") or end + 4 > len(data):
            return False
        if data[at + 4 : at + 8] == b"IEND":
            return True
        at = end + 4
    return False


def _is_whole_avif(data: bytes) -> bool:
    """Verify that the boxes end with the data."""
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size < 8:
            return False
        at += size
    return at == len(data) > 0


def _check(picture: PIL.Image.Image) -> None:
    if picture.size != (TILE_SIZE, TILE_SIZE):
        width, height = picture.size
        raise TileSetError(
            f"{width} x {height} px, but geo2map reads tiles of {TILE_SIZE} x {TILE_SIZE} px; render them again"
        )
    if picture.mode.startswith(("I", "F")):
        raise TileSetError(f"more than 8 bits a band (mode {picture.mode}); create it again with 8 bits")


def _arrays(picture: PIL.Image.Image) -> tuple[Image, Mask]:
    if not picture.has_transparency_data:
        return np.array(picture.convert("RGB")), np.ones((TILE_SIZE, TILE_SIZE), dtype=np.bool_)
    rgba = np.array(picture.convert("RGBA"))
    mask: Mask = rgba[..., 3] > 0
    return rgba[..., :3] * mask[..., None], mask


def _with_alpha(pixels: Image, mask: Mask) -> npt.NDArray[np.uint8]:
    """RGB if fully valid, else RGBA with invalid pixels zeroed; (256, 256, 3 or 4)."""
    if mask.all():
        return pixels
    return np.dstack([pixels * mask[..., None], mask * _WHITE])


def _save(array: npt.NDArray[np.uint8], options: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    PIL.Image.fromarray(np.ascontiguousarray(array)).save(file, **options)
    return file.getvalue()


def _smoothed(pixels: Image, mask: Mask) -> npt.NDArray[np.uint8]:
    """Invalid pixels repeat the nearest valid one; zeros would bleed into the edge (mean error there 2.8, not 2.1)."""
    nearest = distance_transform_edt(~mask, return_distances=False, return_indices=True)
    return np.dstack([pixels[tuple(nearest)], mask * _WHITE])


_OPTIONS: dict[TileFormat, dict[str, Any]] = {"png": _PNG, "webp": _WEBP, "jpeg": _JPEG, "avif": _AVIF}
