"""Class tiles: indexed PNG whose indices are class codes and whose palette holds the class colours."""

from __future__ import annotations

import io
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image

from geo2map.colour.palette import Palette
from geo2map.colour.quantizer import PaletteQuantizer
from geo2map.tiles.codec import decode_tile, readable_tile
from geo2map.types import Image, Mask, TileFormat

_OPTIONS: dict[str, Any] = {"format": "PNG", "compress_level": 6, "compress_type": zlib.Z_DEFAULT_STRATEGY}


class ClassCodec:
    """A `geo2map.protocols.Codec` that stores the class of each pixel: that of the nearest palette colour.

    Codes number the classes in the order of their first colours; one more is transparent. Every tile has the full
    palette, so codes are the same in all. Overviews are majority votes.

    Attributes:
        palette: classes and their colours.
    """

    format: TileFormat = "png"
    suffix = ".png"
    lossless = False
    majority = True
    decode = staticmethod(decode_tile)  # also decodes indexed PNG

    def __init__(self, palette: Palette) -> None:
        self.palette = palette
        self._quantizer = PaletteQuantizer(palette.colours)
        self._code = palette.class_of_entry.astype(np.uint8)
        self._colours = class_colours(palette)

    def encode(self, pixels: Image, mask: Mask) -> bytes:
        """Encode uint8 (256, 256, 3) and bool (256, 256); idempotent for decoded tiles."""
        count = len(self._colours)
        codes = np.where(mask, self._code[self._quantizer.indices(pixels)], np.uint8(count))
        picture = PIL.Image.fromarray(codes, mode="L")
        picture.putpalette(np.concatenate([self._colours, np.zeros((1, 3), np.uint8)]).tobytes())
        file = io.BytesIO()
        picture.save(file, **_OPTIONS, transparency=count)
        return file.getvalue()


def read_codes(data: bytes, palette: Palette) -> npt.NDArray[np.uint8] | None:
    """The codes of a tile that a `ClassCodec` of this palette made, without a detour over their colours.

    Returns:
        uint8 (256, 256), one more than the last where nothing is known; None for any other tile.

    Raises:
        TileSetError: the tile is damaged.
    """
    count = len(palette.classes)
    with readable_tile(data) as picture:
        if picture.mode != "P" or picture.info.get("transparency") != count:
            return None
        colours = np.array(picture.getpalette("RGB"), np.uint8)
        codes = np.array(picture)
    known = np.array_equal(colours[: 3 * count], class_colours(palette).ravel())
    return codes if known and codes.max() <= count else None


def code_legend(palette: Palette) -> list[list[Any]]:
    """Names and colours of the classes by code, as plain JSON values."""
    return [list(pair) for pair in zip(palette.classes, class_colours(palette).tolist(), strict=True)]


def class_colours(palette: Palette) -> Image:
    """The first colour of each class, by code, uint8 (classes, 3)."""
    first = [palette.class_of_entry.tolist().index(code) for code in range(len(palette.classes))]
    colours: Image = palette.colours[first]
    return colours
