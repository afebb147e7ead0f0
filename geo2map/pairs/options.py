"""Options of pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Required

from geo2map import grid
from geo2map.colour.palette import Palette
from geo2map.colour.stretch import parse_stretch
from geo2map.errors import DataError, ZoomError
from geo2map.pairs.folder import PairFormat
from geo2map.scene.options import ReadingKeywords
from geo2map.types import Resampling

SIZES = 64, 4096
RegistrationRule = Literal["warn", "drop", "off"]


class PairsKeywords(ReadingKeywords, total=False):
    """The options of `geo2map.make_pairs`: the fields of `PairsOptions`, and the keywords of `geo2map.open_scenes`."""

    zoom: Required[int]
    size: int
    format: PairFormat
    shares: tuple[float, float, float]
    block: int | None
    seed: int
    min_valid: float
    keep_blank: float
    registration: RegistrationRule
    max_shift: float
    stretch: str
    resampling: Resampling
    map_resampling: Resampling
    palette: Palette | None


@dataclass(frozen=True, kw_only=True)
class PairsOptions:
    """How pairs are cut, checked and divided.

    Attributes:
        zoom: of the pictures.
        size: width and height of A and of B, px; multiples of 256 read least.
        format: of the files; "png" keeps the map's colours exactly.
        shares: of train, val and test.
        block: images along a side of the blocks that are divided; None chooses up to 4, by the scene's size.
        seed: of the assignment of blocks to splits.
        min_valid: share of A's and of B's pixels that must have data; missing ones are filled from nearby.
        keep_blank: share of the pictures to keep whose map is of one colour (sea, fields).
        registration: how to handle misregistered images: "warn", "drop", or do not measure ("off").
        max_shift: tolerated shift, px.
        stretch: of the scene, see `geo2map.colour.stretch.parse_stretch`.
        resampling: kernel for the scene.
        map_resampling: kernel for the map; "bilinear" smooths borders as map renderers do and, unlike "cubic", makes no
            colour outside the range of its neighbours; "nearest" keeps colours exact and borders jagged.
        palette: of the map, to count its classes.
    """

    zoom: int
    size: int = 512
    format: PairFormat = "png"
    shares: tuple[float, float, float] = (80.0, 10.0, 10.0)
    block: int | None = None
    seed: int = 0
    min_valid: float = 1.0
    keep_blank: float = 1.0
    registration: RegistrationRule = "warn"
    max_shift: float = 4.0
    stretch: str = "auto"
    resampling: Resampling = "cubic"
    map_resampling: Resampling = "bilinear"
    palette: Palette | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.zoom <= grid.MAX_ZOOM:
            raise ZoomError(f"zoom {self.zoom} is out of range; give 0 to {grid.MAX_ZOOM}", option="zoom", usage=True)
        if not SIZES[0] <= self.size <= SIZES[1]:
            raise DataError(
                f"size {self.size} px is out of range; give {SIZES[0]} to {SIZES[1]}", option="size", usage=True
            )
        if len(self.shares) != 3 or min(self.shares) < 0 or self.shares[0] <= 0:
            raise DataError(
                f"unusable shares {self.shares}; give those of train, val and test, e.g. 80,10,10",
                option="shares",
                usage=True,
            )
        if not (0 < self.min_valid <= 1 and 0 <= self.keep_blank <= 1):
            raise DataError(
                f"min_valid {self.min_valid} or keep_blank {self.keep_blank} is out of range; both are shares, 0 to 1"
            )
        if (self.block is not None and self.block < 1) or not self.max_shift > 0:
            raise DataError(
                f"block {self.block} or max_shift {self.max_shift} is out of range; give at least 1, and more than 0"
            )
        parse_stretch(self.stretch)
