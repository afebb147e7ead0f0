"""Options that complete or override what a scene's file declares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from geo2map.errors import BandError, SceneError
from geo2map.types import Order

WIDEST_FEATHER = 512


@dataclass(frozen=True, kw_only=True)
class SceneOptions:
    """How to read a scene; the defaults follow the file.

    Attributes:
        indexes: one band (gray) or three (red, green, blue), counted from 1; None uses the colour interpretation.
        crs: anything rasterio takes for a CRS, e.g. "EPSG:32618"; used instead of the file's own.
        nodata: value of pixels without data (NaN is one) in every band; used instead of the file's own.
        allow_outside: open a VRT whose sources lie outside its own folder or at URLs; see `geo2map.scene.trust`.

    Raises:
        BandError: neither one band nor three.
    """

    indexes: Sequence[int] | None = None
    crs: str | None = None
    nodata: float | None = None
    allow_outside: bool = False

    def __post_init__(self) -> None:
        if self.indexes is not None:
            if len(self.indexes) not in (1, 3):
                given = ",".join(map(str, self.indexes))
                raise BandError(
                    f"indexes {given} are {len(self.indexes)} bands; give one band (gray) or three (red, green, blue)",
                    option="indexes",
                )
            object.__setattr__(self, "indexes", tuple(self.indexes))


@dataclass(frozen=True, kw_only=True)
class ReadingOptions(SceneOptions):
    """How to read several scenes as one: the keywords of `geo2map.open_scenes`.

    Attributes:
        order: which of several is on top.
        feather: output pixels over which the upper of two fades into the lower along its border.

    Raises:
        SceneError: a feather that is out of range.
    """

    order: Order = "first"
    feather: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.feather <= WIDEST_FEATHER:
            raise SceneError(f"feather {self.feather} is out of range: give 0 to {WIDEST_FEATHER} px", option="feather")


class SceneKeywords(TypedDict, total=False):
    """The keywords of `geo2map.scene.open_scene`: the fields of `SceneOptions`."""

    indexes: Sequence[int] | None
    """One band (gray) or three (red, green, blue), counted from 1."""
    crs: str | None
    """CRS to use instead of the file's, e.g. "EPSG:32618"."""
    nodata: float | None
    """Value of pixels without data, instead of the file's."""
    allow_outside: bool
    """Open a VRT whose sources lie outside its folder or at URLs."""


class ReadingKeywords(SceneKeywords, total=False):
    """The keywords of `geo2map.open_scenes`: the fields of `ReadingOptions`."""

    order: Order
    """Which of several scenes is on top: "first", "last", "newest" (by acquisition date) or "finest"."""
    feather: int
    """Output pixels over which the upper of two scenes fades into the lower."""
