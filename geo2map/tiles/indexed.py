"""Indexed PNG tiles: a map in the few colours of its style takes a fraction of the bytes and of the time."""

from __future__ import annotations

import io
import zlib
from typing import Any

import numpy as np
import PIL.Image

from geo2map.colour.snap import Colours, Indices, Snap
from geo2map.tiles.codec import decode_tile
from geo2map.types import Image, Mask, TileFormat

# Measured on one core, 60 map tiles of 256 px in 255 learned colours (Pillow 13, zlib-ng 2.3.3), ms / KiB a tile:
# level 1: 1.0 / 15.0, 4: 1.4 / 12.5, 5: 1.7 / 12.0, 6: 3.0 / 11.6, 9: 19.3 / 11.2, run lengths only: 1.0 / 14.6.
_OPTIONS: dict[str, Any] = {"format": "PNG", "compress_level": 5, "compress_type": zlib.Z_DEFAULT_STRATEGY}


def encode_indexed(indices: Indices, mask: Mask, colours: Colours) -> bytes:
    """Encodes one tile as an indexed PNG that holds the colours it needs and no others.

    Few colours take fewer bits a pixel. Where a pixel is invalid, one more index is transparent.

    Args:
        indices: uint8 (256, 256), numbers of colours.
        mask: bool (256, 256), True where valid.
        colours: uint8 (N, 3), N at most 255.

    Returns:
        The file's bytes, a function of the arguments and the installed Pillow only.
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
    """A `geo2map.protocols.Codec` that snaps every pixel to a palette and writes indexed PNG.

    What it decoded it encodes to the same bytes again. A parent is averaged in colour by the pyramid, and snapped here.

    Attributes:
        snap: to which colours, and how.
    """

    format: TileFormat = "png"
    suffix = ".png"
    lossless = False
    majority = False
    decode = staticmethod(decode_tile)  # reads indexed tiles, too

    def __init__(self, snap: Snap) -> None:
        self.snap = snap

    def encode(self, pixels: Image, mask: Mask) -> bytes:
        """Encodes uint8 (256, 256, 3) and bool (256, 256); pixels that are snapped already stay as they are."""
        return encode_indexed(self.snap.indices(pixels), mask, self.snap.colours)
