"""Indexed PNG tiles: with the few colours of a map style, a fraction of the bytes and time."""

from __future__ import annotations

import io
import zlib
from typing import Any

import numpy as np
import PIL.Image

from geo2map.colour.quantizer import Colours, Indices, PaletteQuantizer
from geo2map.tiles.codec import decode_tile
from geo2map.types import Image, Mask, TileFormat

# Measured on one core, 60 map tiles of 256 px in 255 learned colours (Pillow 13, zlib-ng 2.3.3), ms / KiB a tile:
# level 1: 1.0 / 15.0, 4: 1.4 / 12.5, 5: 1.7 / 12.0, 6: 3.0 / 11.6, 9: 19.3 / 11.2, run lengths only: 1.0 / 14.6.
_OPTIONS: dict[str, Any] = {"format": "PNG", "compress_level": 5, "compress_type": zlib.Z_DEFAULT_STRATEGY}


def encode_indexed(indices: Indices, mask: Mask, colours: Colours) -> bytes:
    """Encode one tile as an indexed PNG with the colours it uses.

    Few colours take fewer bits a pixel. Invalid pixels take one more index, which is transparent.

    Args:
        indices: uint8 (256, 256), colour indices.
        mask: bool (256, 256), True where valid.
        colours: uint8 (N, 3), N at most 255.

    Returns:
        The encoded bytes, which depend only on the arguments and the Pillow version.
    """
    whole = bool(mask.all())
    used = np.flatnonzero(np.bincount(indices.ravel() if whole else indices[mask], minlength=len(colours)))
    numbers = np.full(256, len(used), dtype=np.uint8)
    numbers[used] = np.arange(len(used))
    packed = numbers[indices] if whole else np.where(mask, numbers[indices], np.uint8(len(used)))
    palette = colours[used] if whole else np.concatenate([colours[used], np.zeros((1, 3), np.uint8)])
    picture = PIL.Image.fromarray(packed, mode="L")
    picture.putpalette(palette.tobytes())
    options = _OPTIONS if whole else {**_OPTIONS, "transparency": len(used)}
    file = io.BytesIO()
    picture.save(file, **options)
    return file.getvalue()


class IndexedCodec:
    """A `geo2map.protocols.Codec` that quantizes pixels to a palette and writes indexed PNG.

    Decoded tiles encode to the same bytes again. The pyramid averages colours of overviews, which are quantized here.

    Attributes:
        quantizer: maps pixels to the palette.
    """

    format: TileFormat = "png"
    suffix = ".png"
    lossless = False
    majority = False
    decode = staticmethod(decode_tile)  # also decodes indexed PNG

    def __init__(self, quantizer: PaletteQuantizer) -> None:
        self.quantizer = quantizer

    def encode(self, pixels: Image, mask: Mask) -> bytes:
        """Encode uint8 (256, 256, 3) and bool (256, 256); palette colours stay unchanged."""
        return encode_indexed(self.quantizer.indices(pixels), mask, self.quantizer.colours)
