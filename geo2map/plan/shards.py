"""Shards: the parts of a plan distributed to machines, each the tiles below one parent tile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from geo2map.errors import PlanError
from geo2map.grid import Block, PixelWindow
from geo2map.plan.area_tiles import AreaTiles, parent_range
from geo2map.plan.value import Plan

SHARD_LEVELS = 6
"""Default number of zooms of a shard: 4,096 tiles."""
MANY = 16
"""Minimum number of shards, if blocks allow it: with few, the last ones occupy only some workers."""


@dataclass(frozen=True, order=True)
class Shard:
    """The tiles below one parent tile, whole blocks. A value: picklable, comparable, identified by its name.

    Attributes:
        z: zoom of the parent.
        y, x: its row and column; columns continue beyond the world's right edge.
    """

    z: int
    y: int
    x: int

    @property
    def name(self) -> str:
        """Zoom, column and row, e.g. "11-1054-672"."""
        return f"{self.z}-{self.x}-{self.y}"

    @classmethod
    def of(cls, name: str) -> Self:
        """Parse a name.

        Raises:
            PlanError: it is not a shard name.
        """
        parts = name.split("-")
        if len(parts) != 3 or not all(part.isdecimal() for part in parts):
            raise PlanError(f"{name!r}: not a shard name (expected zoom-column-row); give e.g. 11-1054-672")
        z, x, y = map(int, parts)
        return cls(z, y, x)

    def tiles(self, plan: Plan) -> PixelWindow:
        """Columns and rows of its tiles at the plan's zoom, clipped to the plan."""
        side = 1 << (plan.maxzoom - self.z)
        left, top = self.x * side, self.y * side
        return PixelWindow(left, top, left + side, top + side).intersection(plan.tiles)

    def blocks(self, plan: Plan) -> Iterator[Block]:
        """Its blocks with a tile to write: a subset of `plan.blocks()`."""
        return plan.blocks(self.tiles(plan))


def choose_shard_zoom(plan: Plan, zoom: int | None = None) -> int:
    """The zoom of the parents: the given one, or `SHARD_LEVELS` above the plan's; larger if there would be less than
    `MANY`.

    Raises:
        PlanError: a shard would not hold whole blocks.
    """
    lowest = plan.maxzoom - (plan.block_span.bit_length() - 1)
    if zoom is None:
        first = max(0, min(plan.maxzoom - SHARD_LEVELS, lowest))
        whole = ((zoom, parent_range(plan.tiles, plan.maxzoom - zoom)) for zoom in range(first, lowest))
        return next((zoom for zoom, frame in whole if frame.width * frame.height >= MANY), max(first, lowest))
    if not 0 <= zoom <= lowest:
        raise PlanError(
            f"shard zoom {zoom}: would split blocks of {plan.block_span} x {plan.block_span} tiles at zoom "
            f"{plan.maxzoom}; give 0 to {max(0, lowest)}",
            option="shard_zoom",
        )
    return zoom


def find_shards(plan: Plan, zoom: int | None = None) -> Iterator[Shard]:
    """The shards with a tile to write, row by row; lazy, without visiting blocks inside the area.

    Raises:
        PlanError: see `choose_shard_zoom`.
    """
    zoom = choose_shard_zoom(plan, zoom)
    return (Shard(zoom, y, x) for x, y in AreaTiles(plan.tiles, plan.aoi, plan.maxzoom).places(plan.maxzoom - zoom))


def shard_levels(plan: Plan, zoom: int) -> int:
    """Zooms above the plan's that a shard holds completely; across the antimeridian see `Plan.block_levels`."""
    level = plan.maxzoom - zoom
    return level if parent_range(plan.tiles, level).width << level <= 1 << plan.maxzoom else plan.block_levels
