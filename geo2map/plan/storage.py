"""How the tiles of an output are stored: nothing here changes what the network sees or says."""

from __future__ import annotations

from dataclasses import dataclass, replace

from geo2map.errors import ZoomError
from geo2map.grid.window import MAX_ZOOM, one_tile_zoom
from geo2map.plan.value import Plan
from geo2map.tiles.codec import TileCodec
from geo2map.types import TileFormat


@dataclass(frozen=True, kw_only=True)
class Storage:
    """Format and overviews of an output. A value.

    Attributes:
        format: of the tiles; None is PNG.
        minzoom: lowest overview; None goes down to where the scene fits one tile.
    """

    format: TileFormat | None = None
    minzoom: int | None = None

    def __post_init__(self) -> None:
        if self.minzoom is not None and not 0 <= self.minzoom <= MAX_ZOOM:
            raise ZoomError(f"minzoom {self.minzoom} is out of range: give 0 to {MAX_ZOOM}", option="minzoom")

    @property
    def codec(self) -> TileCodec:
        """How tiles become bytes."""
        return TileCodec(self.format or "png")

    def resolve(self, plan: Plan) -> Storage:
        """The same with nothing left open, for the output of a plan.

        Raises:
            ZoomError: minzoom is above the plan's zoom.
        """
        minzoom = one_tile_zoom(plan.window, plan.maxzoom) if self.minzoom is None else self.minzoom
        if minzoom > plan.maxzoom:
            raise ZoomError(f"minzoom {minzoom} is above the map's zoom {plan.maxzoom}: lower it", option="minzoom")
        return replace(self, format=self.codec.format, minzoom=minzoom)

    def levels(self, plan: Plan) -> int:
        """Zooms of overviews that are made with each block; the storage must be resolved."""
        return min(plan.block_levels, plan.maxzoom - (self.minzoom or 0))
