"""Seams between stored tiles: steps across their borders compared with steps beside them."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from geo2map.checking.findings import CheckReport, Seam
from geo2map.tiles.pyramid import Pixels
from geo2map.types import Tile

WORST = 20
_PHASE = 32
"""Period in pixels of the grids of JPEG and a U-Net of depth 5: only positions at equal phase are comparable."""


LEAST_PIXELS = 1024
"""Border pixels needed for a meaningful ratio. At positions without a seam in imagery of a town, ratios of 256 pixels
spread from 0.7 to 1.4 (nine in ten), of 512 from 0.75 to 1.3, of 1024 from 0.85 to 1.2: less than a visible seam.
Adjacent pixels correlate, so many count as few."""
TOO_FEW = "too few pixels to tell"
FLAT = "tiles too flat to tell"


@dataclass
class BorderSteps:
    """Mean steps, summed over borders.

    Attributes:
        across: sum of the absolute differences of pixels on both sides of borders, levels.
        beside: the same `_PHASE` pixels farther on either side, their mean.
        count: pixels along the borders.
    """

    across: float = 0.0
    beside: float = 0.0
    count: int = 0

    @property
    def ratio(self) -> float | None:
        """`across` over `beside`; None if that is meaningless, see `why_not`."""
        return None if self.why_not else self.across / self.beside

    @property
    def why_not(self) -> str:
        """Why there is no ratio, in words; "" if there is one."""
        if self.count < LEAST_PIXELS:
            return TOO_FEW
        return "" if self.beside else FLAT


@dataclass
class SeamScan:
    """Compares borders of tiles as they arrive, column by column; holds about two columns of border pixels.

    Attributes:
        span: tiles along a side of a block, None if unknown.
        tiles, blocks: steps at tile borders within blocks (or at all borders), and at block borders.
    """

    span: int | None = None
    tiles: BorderSteps = field(default_factory=BorderSteps)
    blocks: BorderSteps = field(default_factory=BorderSteps)
    _east: OrderedDict[Tile, npt.NDArray[np.int16]] = field(default_factory=OrderedDict)
    _south: tuple[Tile, npt.NDArray[np.int16]] | None = None
    _worst: list[tuple[float, Tile, Literal["east", "south"]]] = field(default_factory=list)

    def add(self, tile: Tile, pixels: Pixels) -> None:
        """Compare the western and northern border of a tile; tiles arrive by column, then row."""
        west = self._east.pop(tile._replace(x=tile.x - 1), None)
        if west is not None:
            self._compare(west, _edge(pixels, "west"), tile._replace(x=tile.x - 1), "east", tile.x)
        if self._south is not None and self._south[0] == tile._replace(y=tile.y - 1):
            self._compare(self._south[1], _edge(pixels, "north"), self._south[0], "south", tile.y)
        self._south = (tile, _edge(pixels, "south"))
        self._east[tile] = _edge(pixels, "east")
        while next(iter(self._east)).x < tile.x - 1:
            self._east.popitem(last=False)

    @property
    def worst(self) -> list[Seam]:
        """The borders with the largest excess, worst first."""
        return [Seam(tile, side, round(excess, 2)) for excess, tile, side in sorted(self._worst, reverse=True)]

    def write_to(self, report: CheckReport) -> None:
        """Write the results to a report."""
        report.seam_ratio, report.block_seam_ratio, report.seams = self.tiles.ratio, self.blocks.ratio, self.worst
        both = {"tiles": self.tiles, "blocks": self.blocks}
        report.unknown_seams = {name: steps.why_not for name, steps in both.items() if steps.count and steps.why_not}

    def _compare(
        self,
        before: npt.NDArray[np.int16],
        after: npt.NDArray[np.int16],
        tile: Tile,
        side: Literal["east", "south"],
        place: int,
    ) -> None:
        """Compare edges from `_edge` on both sides of a border."""
        valid = (before[..., 3] > 0).all(axis=0) & (after[..., 3] > 0).all(axis=0)
        if not valid.any():
            return
        across = float(np.abs(before[0, valid, :3] - after[0, valid, :3]).mean(axis=1).sum())
        inner = sum(np.abs(edge[1, valid, :3] - edge[2, valid, :3]).mean(axis=1).sum() for edge in (before, after))
        beside = float(inner) / 2
        steps = self.blocks if self.span and place % self.span == 0 else self.tiles
        count = int(valid.sum())
        steps.across, steps.beside, steps.count = steps.across + across, steps.beside + beside, steps.count + count
        excess = (across - beside) / count
        heapq.heappush(self._worst, (excess, tile, side))
        if len(self._worst) > WORST:
            heapq.heappop(self._worst)


def _edge(pixels: Pixels, side: Literal["west", "north", "east", "south"]) -> npt.NDArray[np.int16]:
    """Pixels along a side, and the two lines between which the reference position `_PHASE` px inside lies; int16 (3,
    256, 4) with the mask last."""
    image, mask = pixels
    rows = (0, _PHASE - 1, _PHASE) if side in ("west", "north") else (-1, -_PHASE, -_PHASE - 1)
    if side in ("west", "east"):
        image, mask = image.swapaxes(0, 1), mask.T
    return np.dstack([image[list(rows)], mask[list(rows), :, None]]).astype(np.int16)
