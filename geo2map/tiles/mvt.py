"""Vector tiles as a kind of tile: features in place of pixels."""

from __future__ import annotations

from typing import NoReturn

from geo2map.errors import TileSetError
from geo2map.types import Image, Mask, TileFormat

_LAYER = 0x1A
"""Field 3 of a tile, a layer, as its length and bytes."""


class VectorCodec:
    """The `geo2map.protocols.Codec` of vector tiles (MVT), which have no pixels: their bytes are made from
    features, every zoom from those of the whole map."""

    format: TileFormat = "mvt"
    suffix = ".pbf"
    lossless = False
    majority = False

    def encode(self, pixels: Image, mask: Mask) -> NoReturn:  # noqa: ARG002
        """
        Raises:
            TileSetError: always.
        """
        raise TileSetError("vector tiles are not made from pixels")

    def decode(self, data: bytes) -> NoReturn:  # noqa: ARG002
        """
        Raises:
            TileSetError: always.
        """
        raise TileSetError("a vector tile has no pixels; draw its features first")


def is_whole_vector(data: bytes) -> bool:
    """Whether the layers of an uncompressed vector tile end with its bytes."""
    at = 0
    while at < len(data):
        if data[at] != _LAYER:
            return False
        length, shift, at = 0, 0, at + 1
        while at < len(data):
            length, shift, at = length | (data[at] & 127) << shift, shift + 7, at + 1
            if data[at - 1] < 128:
                break
        at += length
    return at == len(data) > 0
