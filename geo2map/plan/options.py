"""What a user may choose about a plan."""

from __future__ import annotations

from dataclasses import dataclass

from geo2map import grid
from geo2map.aoi import AoiLike
from geo2map.colour.stretch import parse_stretch
from geo2map.errors import PlanError, ZoomError
from geo2map.types import Match, Resampling, TileFormat


@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """What a user may choose about a plan; the defaults suit the model's card.

    Attributes:
        zoom: maxzoom; None takes the zoom nearest to the model's ground resolution.
        minzoom: lowest overview; None goes down to where the scene fits one tile.
        block_span: tiles along a side of a block.
        margin: pixels of context; None takes the model's own, at most `WIDEST_MARGIN`.
        stretch: how other numbers than 8-bit ones become such, see `geo2map.colour.stretch.parse_stretch`.
        match: "auto", "model" or "none".
        resampling: rasterio's name.
        format: of the tiles.
        force: allow a scene far coarser than the model, or a zoom far finer than the scene.
        aoi: where output is wanted: a vector file, bounds, or whatever else `geo2map.aoi.make_aoi` takes.
        clip: write only pixels inside the aoi; otherwise all of the tiles that it touches.
    """

    zoom: int | None = None
    minzoom: int | None = None
    block_span: int = 4
    margin: int | None = None
    stretch: str = "auto"
    match: Match = "auto"
    resampling: Resampling = "cubic"
    format: TileFormat = "png"
    force: bool = False
    aoi: AoiLike | None = None
    clip: bool = False

    def __post_init__(self) -> None:
        for name, value in (("zoom", self.zoom), ("minzoom", self.minzoom)):
            if value is not None and not 0 <= value <= grid.MAX_ZOOM:
                raise ZoomError(f"{name} {value} asked: give 0 to {grid.MAX_ZOOM}")
        parse_stretch(self.stretch)
        if self.block_span < 1:
            raise PlanError(f"block span {self.block_span} asked: give at least 1 tile")
        if self.clip and self.aoi is None:
            raise PlanError("clip asked, but there is nothing to clip to: give an area of interest")
