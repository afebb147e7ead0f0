"""How tiles become bands of a raster: RGBA, or palette indices with a colour table."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import PIL.Image
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader, DatasetWriter
from rasterio.windows import Window

from geo2map.colour.quantizer import MOST_COLOURS, Colours, colour_codes
from geo2map.errors import TileSetError
from geo2map.formats.documents.shown_styles import LegendEntries
from geo2map.protocols import StoredTiles
from geo2map.types import Image, Mask

COLOURS_TAG = "GEO2MAP_COLOURS"
"""Number of colours in use: a TIFF colour table always has 256."""
MAJORITY_TAG = "GEO2MAP_CLASSES"
GREY_TAG = "GEO2MAP_GREY"
NOTHING = 255
"""Index of transparent pixels in a raster with a colour table."""

BandArray = npt.NDArray[np.uint8]
"""uint8 (bands, H, W)."""


class BandLayout(Protocol):
    """Conversion between pixels and bands.

    Attributes:
        count: number of bands.
        profile: creation options for GDAL.
        table: colours by index; None for RGBA.
        blank: value of invalid pixels in all bands.
        majority: whether overviews are majority votes, as for classes.
        as_stored: whether an existing raster has exactly these bands; otherwise `read_bands` converts.
    """

    count: int
    profile: dict[str, Any]
    table: Colours | None
    blank: int
    majority: bool
    as_stored: bool

    def bands(self, pixels: Image, mask: Mask) -> BandArray:
        """Bands from pixels, uint8 (H, W, 3), and mask, bool (H, W).

        Raises:
            TileSetError: a colour is not in the table.
        """

    def pixels(self, bands: BandArray) -> tuple[Image, Mask]:
        """The inverse of `bands`."""

    def describe(self, made: DatasetWriter) -> None:
        """Write the colour table to a new raster."""


class RgbaLayout:
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
        """Nothing to write."""


class GreyLayout:
    """Grey, and alpha that is 0 or 255."""

    count = 2
    profile: dict[str, Any] = {"photometric": "MINISBLACK", "alpha": "YES", "interleave": "pixel", "predictor": 2}  # noqa: RUF012
    table: Colours | None = None
    blank = 0
    majority = False
    as_stored = True

    def bands(self, pixels: Image, mask: Mask) -> BandArray:
        return np.stack([pixels[..., 0], mask * np.uint8(255)])

    def pixels(self, bands: BandArray) -> tuple[Image, Mask]:
        return bands[0][..., None].repeat(3, axis=2), bands[1] > 0

    def describe(self, made: DatasetWriter) -> None:
        made.update_tags(**{GREY_TAG: "YES"})


class PaletteLayout:
    """One band of palette indices; `NOTHING` is transparent."""

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
        codes = colour_codes(self.table)
        self._order = codes.argsort()
        self._codes = codes[self._order]

    def bands(self, pixels: Image, mask: Mask) -> BandArray:
        wanted = colour_codes(pixels)
        place = np.minimum(np.searchsorted(self._codes, wanted), len(self._codes) - 1)
        if (strange := mask & (self._codes[place] != wanted)).any():
            raise TileSetError(
                f"colour {tuple(pixels[strange][0].tolist())}: not among the {len(self._codes)} of the colour table"
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


def layout_of(dataset: DatasetReader) -> BandLayout:
    """Layout of an existing raster: palette for one band with a colour table, grey as geo2map writes it, else RGBA."""
    if dataset.count == GreyLayout.count and dataset.tags().get(GREY_TAG) == "YES":
        return GreyLayout()
    if dataset.count != 1 or dataset.colorinterp[0] is not ColorInterp.palette:
        return RgbaLayout(as_stored=dataset.colorinterp[3:] == (ColorInterp.alpha,))
    table = dataset.colormap(1)
    told = dataset.tags().get(COLOURS_TAG, "")
    count = int(told) if told.isdecimal() and 0 < int(told) <= MOST_COLOURS else MOST_COLOURS
    colours = [table.get(number, (0, 0, 0))[:3] for number in range(count)]
    return PaletteLayout(colours, majority=dataset.tags().get(MAJORITY_TAG) == "YES")


def read_bands(dataset: DatasetReader, layout: BandLayout, window: Window) -> BandArray:
    """A window of any 8-bit raster in its `layout_of`, uint8 (count, H, W): grey is repeated, a mask becomes alpha."""
    if layout.as_stored:
        bands: BandArray = dataset.read(window=window)
        return bands
    colours = dataset.read([1, 2, 3] if dataset.count >= 3 else [1, 1, 1], window=window)
    return np.concatenate([colours, dataset.dataset_mask(window=window)[None]])


def choose_layout(store: StoredTiles, zooms: Iterable[int], legend: LegendEntries = (), unit: str = "") -> BandLayout:
    """Grey for grey levels of a unit; palette if every tile is an indexed image and all share at most 255 colours,
    else RGBA.

    Reads the headers of all tiles, up to the first that is not indexed.

    Args:
        legend: the colour table of class tiles, indexed by class code.
        unit: of grey levels.
    """
    if unit:
        return GreyLayout()
    if legend:
        return PaletteLayout([colour for _, colour in legend], majority=True)
    found: set[tuple[int, int, int]] = set()
    for zoom in zooms:
        for tile in store.tiles(zoom):
            colours = _indexed_colours(store.get(tile) or b"")
            if colours is None or len(found := found | colours) > MOST_COLOURS:
                return RgbaLayout()
    return PaletteLayout(sorted(found)) if found else RgbaLayout()


def _indexed_colours(data: bytes) -> set[tuple[int, int, int]] | None:
    """Colours of an indexed image without the transparent one; None for any other, or a broken one."""
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
