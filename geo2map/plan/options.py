"""Options of a plan."""

from __future__ import annotations

from dataclasses import dataclass

from geo2map.aoi import AoiLike
from geo2map.colour.stretch import parse_stretch
from geo2map.colour.transform import ColourTransform
from geo2map.errors import PlanError, ZoomError
from geo2map.grid.window import MAX_ZOOM
from geo2map.plan.value import require_power_of_two
from geo2map.types import Match, Resampling


@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """Options of a plan; the defaults suit the model's card.

    Attributes:
        zoom: maxzoom; None takes the zoom nearest to the model's ground resolution.
        block_span: tiles along a side of a block, a power of two.
        margin: pixels of context; None takes the model's, at most `WIDEST_MARGIN`.
        rendition: given colours, e.g. of a map to be matched; None decides them.
        stretch: conversion of other data to 8-bit, see `geo2map.colour.stretch.parse_stretch`.
        match: "auto", "model" or "none", see `geo2map.colour.transform.make_rendition`.
        resampling: kernel, by its name in rasterio.
        force: allow a scene far coarser than the model, or a zoom far finer than the scene.
        aoi: area of interest: a vector file, bounds, or any other input of `geo2map.aoi.make_aoi`.
        clip: write only pixels inside the aoi; otherwise all tiles that it touches.
    """

    zoom: int | None = None
    block_span: int = 4
    margin: int | None = None
    rendition: ColourTransform | None = None
    stretch: str = "auto"
    match: Match = "auto"
    resampling: Resampling = "cubic"
    force: bool = False
    aoi: AoiLike | None = None
    clip: bool = False

    def __post_init__(self) -> None:
        if self.zoom is not None and not 0 <= self.zoom <= MAX_ZOOM:
            raise ZoomError(f"zoom {self.zoom}: out of range; give 0 to {MAX_ZOOM}", option="zoom", usage=True)
        parse_stretch(self.stretch)
        require_power_of_two(self.block_span)
        if self.clip and self.aoi is None:
            raise PlanError("clip: needs an area of interest; give one", option="aoi", usage=True)
