"""What a raster holds of a tile: colours with alpha, or numbers of colours with a table of them."""

from __future__ import annotations

import io
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import PIL.Image
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader, DatasetWriter
from rasterio.windows import Window

from geo2map.colour.snap import MOST_COLOURS, Colours
from geo2map.errors import TileSetError
from geo2map.formats.documents.qgis import LegendEntries
from geo2map.protocols import StoredTiles
from geo2map.types import Image, Mask

COLOURS_TAG = "GEO2MAP_COLOURS"
"""How many colours of a raster's table are meant: a TIFF has always 256."""
MAJORITY_TAG = "GEO2MAP_CLASSES"
NOTHING = 255
"""The number of what is transparent in a raster with a table of colours."""

BandArray = npt.NDArray[np.uint8]
"""uint8 (bands, H, W)."""


class Ink(Protocol):
    """How pixels become bands.

    Attributes:
        count: of bands.
        profile: what GDAL is to know of them.
        table: colours by number; None where bands are colours themselves.
        blank: value of a pixel that is not valid, in all bands.
        majority: whether overviews are what most of the pixels below them are, as those of classes.
        as_stored: whether a raster that is there has these very bands; otherwise `read_bands` makes them of others.
    """

    count: int
    profile: dict[str, Any]
    table: Colours | None
    blank: int
    majority: bool
    as_stored: bool

    def bands(self, pixels: Image, mask: Mask) -> BandArray:
        """Bands of pixels, uint8 (H, W, 3), and mask, bool (H, W).

        Raises:
            TileSetError: a colour that has no number.
        """
        ...

    def pixels(self, bands: BandArray) -> tuple[Image, Mask]:
        """The way back."""
        ...

    def describe(self, made: DatasetWriter) -> None:
        """Tells a new raster of its colours."""
        ...


class RgbaInk:
    """Red, green, blue, and alpha that is 0 or 255."""

    count = 4
    profile: dict[str, Any] = {"photometric": "RGB", "alpha": "YES", "interleave": "pixel", "predictor": 2}  # noqa: RUF012
    table: Colours | None = None
    blank = 0
    majority = False

    def __init__(self, *, as_stored: bool = True) -> None:
        self.as_stored = as_stored

    def bands(self, pixels: Image, mask: Mask) -> BandArray:
        return np.concatenate([np.moveaxis(pixels, -1, 0), (mask * np.uint8(255))[None]])

    def pixels(self, bands: BandArray) -> tuple[Image, Mask]:
        return np.moveaxis(bands[:3], 0, -1), bands[3] > 0

    def describe(self, made: DatasetWriter) -> None:
        """The profile says all."""


class TableInk:
    """One band of numbers of colours; `NOTHING` is transparent."""

    count = 1
    profile: dict[str, Any] = {"nodata": NOTHING}  # noqa: RUF012
    blank = NOTHING
    as_stored = True

    def __init__(self, colours: npt.ArrayLike, *, majority: bool = False) -> None:
        """
        Args:
            colours: uint8 (N, 3), N at most 255, no colour twice.
        """
        self.majority = majority
        self.table: Colours | None = np.asarray(colours, dtype=np.uint8)
        codes = _codes(self.table)
        self._order = codes.argsort()
        self._codes = codes[self._order]

    def bands(self, pixels: Image, mask: Mask) -> BandArray:
        wanted = _codes(pixels)
        place = np.minimum(np.searchsorted(self._codes, wanted), len(self._codes) - 1)
        if (strange := mask & (self._codes[place] != wanted)).any():
            raise TileSetError(
                f"the colour {tuple(pixels[strange][0].tolist())} is none of the {len(self._codes)} of the table"
            )
        return np.where(mask, self._order[place], NOTHING).astype(np.uint8)[None]

    def pixels(self, bands: BandArray) -> tuple[Image, Mask]:
        assert self.table is not None
        mask = bands[0] != NOTHING
        numbers = np.where(mask, bands[0], 0)
        return self.table[np.minimum(numbers, len(self.table) - 1)] * mask[..., None], mask

    def describe(self, made: DatasetWriter) -> None:
        assert self.table is not None
        made.update_tags(**{COLOURS_TAG: len(self.table), MAJORITY_TAG: "YES" if self.majority else "NO"})
        made.write_colormap(1, {number: (*colour, 255) for number, colour in enumerate(self.table.tolist())})


def ink_of(dataset: DatasetReader) -> Ink:
    """That of a raster that is there: a table where it has one band and colours, else RGBA."""
    if dataset.count != 1 or dataset.colorinterp[0] is not ColorInterp.palette:
        return RgbaInk(as_stored=dataset.colorinterp[3:] == (ColorInterp.alpha,))
    table = dataset.colormap(1)
    told = dataset.tags().get(COLOURS_TAG, "")
    count = int(told) if told.isdecimal() and 0 < int(told) <= MOST_COLOURS else MOST_COLOURS
    colours = [table.get(number, (0, 0, 0))[:3] for number in range(count)]
    return TableInk(colours, majority=dataset.tags().get(MAJORITY_TAG) == "YES")


def read_bands(dataset: DatasetReader, ink: Ink, window: Window) -> BandArray:
    """A window of any 8-bit raster as `ink_of` has it, uint8 (count, H, W): grey is repeated, and what others keep in a
    mask beside the colours is alpha."""
    if ink.as_stored:
        bands: BandArray = dataset.read(window=window)
        return bands
    colours = dataset.read([1, 2, 3] if dataset.count >= 3 else [1, 1, 1], window=window)
    return np.concatenate([colours, dataset.dataset_mask(window=window)[None]])


def _codes(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    red, green, blue = (image[..., band].astype(np.int32) for band in range(3))
    return red << 16 | green << 8 | blue


def find_ink(store: StoredTiles, zooms: range, legend: LegendEntries = ()) -> Ink:
    """A table of colours where every tile is an indexed picture and all have at most 255 colours, else RGBA.

    Looks at the heads of all tiles, or as far as the first that is not indexed.

    Args:
        legend: of class tiles: the table, whatever they hold; a code is a place in it.
    """
    if legend:
        return TableInk([colour for _, colour in legend], majority=True)
    found: set[tuple[int, int, int]] = set()
    for zoom in zooms:
        for tile in store.tiles(zoom):
            colours = _own_colours(store.get(tile) or b"")
            if colours is None or len(found := found | colours) > MOST_COLOURS:
                return RgbaInk()
    return TableInk(sorted(found)) if found else RgbaInk()


def _own_colours(data: bytes) -> set[tuple[int, int, int]] | None:
    """The colours of an indexed picture, but for the transparent one; None of any other, and of what is broken."""
    try:
        with PIL.Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
            if picture.mode != "P" or picture.palette is None:
                return None
            levels = list(picture.palette.palette)
            hidden = picture.info.get("transparency")
    except (OSError, SyntaxError, ValueError):
        return None
    colours = list(zip(levels[::3], levels[1::3], levels[2::3], strict=False))
    if hidden is not None and not isinstance(hidden, int):
        return None
    return {colour for number, colour in enumerate(colours) if number != hidden}
