"""Tiles of one number a pixel: 8-bit grey PNG."""

from __future__ import annotations

import io
import zlib

import numpy as np
import PIL.Image

from geo2map.tiles.codec import decode_tile
from geo2map.types import Image, Mask, TileFormat


class GreyCodec:
    """A `geo2map.protocols.Codec` that stores the first band as grey levels, with alpha where pixels are invalid.

    Decoded, all three bands are the grey level. Overviews are means.
    """

    format: TileFormat = "png"
    suffix = ".png"
    lossless = True
    majority = False
    decode = staticmethod(decode_tile)

    def encode(self, pixels: Image, mask: Mask) -> bytes:
        """Encode the first band of uint8 (256, 256, 3), and bool (256, 256)."""
        grey = pixels[..., 0] * mask
        bands = grey if mask.all() else np.dstack([grey, mask * np.uint8(255)])
        file = io.BytesIO()
        picture = PIL.Image.fromarray(np.ascontiguousarray(bands))
        picture.save(file, format="PNG", compress_level=6, compress_type=zlib.Z_DEFAULT_STRATEGY)
        return file.getvalue()
