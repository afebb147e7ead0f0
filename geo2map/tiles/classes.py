"""Class tiles: a pixel is the number of its class, in an indexed PNG whose colours are those of the classes."""

from __future__ import annotations

import io
import zlib
from typing import Any

import numpy as np
import PIL.Image

from geo2map.colour.palette import Palette
from geo2map.colour.snap import Snap
from geo2map.tiles.codec import decode_tile
from geo2map.types import Image, Mask, TileFormat

_OPTIONS: dict[str, Any] = {"format": "PNG", "compress_level": 6, "compress_type": zlib.Z_DEFAULT_STRATEGY}


class ClassCodec:
    """A `geo2map.protocols.Codec` that keeps of a pixel which class it is: that of the nearest colour of a palette.

    Codes are the numbers of the palette's classes, in the order of their first colours; one more is transparent. Every
    tile has all the colours, so that a code is the same number in each. A parent's pixel is what most of its four are.

    Attributes:
        palette: classes and their colours.
    """

    format: TileFormat = "png"
    suffix = ".png"
    lossless = False
    majority = True
    decode = staticmethod(decode_tile)  # reads indexed tiles, too

    def __init__(self, palette: Palette) -> None:
        self.palette = palette
        self._snap = Snap(palette.colours)
        self._code = palette.class_of_entry.astype(np.uint8)
        self._colours = class_colours(palette)

    def encode(self, pixels: Image, mask: Mask) -> bytes:
        """Encodes uint8 (256, 256, 3) and bool (256, 256); what was decoded gives the same bytes again."""
        count = len(self._colours)
        codes = np.where(mask, self._code[self._snap.indices(pixels)], np.uint8(count))
        picture = PIL.Image.fromarray(codes, mode="L")
        picture.putpalette(np.concatenate([self._colours, np.zeros((1, 3), np.uint8)]).tobytes())
        file = io.BytesIO()
        picture.save(file, **_OPTIONS, transparency=count)
        return file.getvalue()


def code_legend(palette: Palette) -> list[list[Any]]:
    """Names and colours of the classes in the order of their codes, as plain JSON values."""
    return [list(pair) for pair in zip(palette.classes, class_colours(palette).tolist(), strict=True)]


def class_colours(palette: Palette) -> Image:
    """The first colour of each class, in the order of their codes, uint8 (classes, 3)."""
    first = [palette.class_of_entry.tolist().index(code) for code in range(len(palette.classes))]
    colours: Image = palette.colours[first]
    return colours
