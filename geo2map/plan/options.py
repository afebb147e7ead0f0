"""What a user may choose about a plan."""

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
    """What a user may choose about a plan; the defaults suit the model's card.

    Attributes:
        zoom: maxzoom; None takes the zoom nearest to the model's ground resolution.
        block_span: tiles along a side of a block, a power of two.
        margin: pixels of context; None takes the model's own, at most `WIDEST_MARGIN`.
        rendition: colours decided elsewhere, e.g. those of a map that this one is to match; None decides them.
        stretch: how other numbers than 8-bit ones become such, see `geo2map.colour.stretch.parse_stretch`.
        match: "auto", "model" or "none", see `geo2map.colour.transform.make_rendition`.
        resampling: rasterio's name.
        force: allow a scene far coarser than the model, or a zoom far finer than the scene.
        aoi: where output is wanted: a vector file, bounds, or whatever else `geo2map.aoi.make_aoi` takes.
        clip: write only pixels inside the aoi; otherwise all of the tiles that it touches.
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
            raise ZoomError(f"zoom {self.zoom} is out of range: give 0 to {MAX_ZOOM}", option="zoom", usage=True)
        parse_stretch(self.stretch)
        require_power_of_two(self.block_span)
        if self.clip and self.aoi is None:
            raise PlanError("there is nothing to clip to: give an area of interest, too", option="aoi", usage=True)
