"""How much of a map is doubtful, and where most: counted tile by tile, summed up over the map."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from heapq import nsmallest
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from geo2map.types import Mask, Tile

DOUBTFUL = 50
"""Percent of confidence below which a pixel is more likely wrong than right."""
WORST_PLACES = 10
"""Places that are named."""
_LEAST = 256 * 256 // 4
"""Valid pixels of a tile that counts as a place."""


class TileDoubt(NamedTuple):
    """The confidence of a tile.

    Attributes:
        judged: its valid pixels.
        doubtful: of these, those below `DOUBTFUL`.
        total: sum of their percents.
    """

    judged: int
    doubtful: int
    total: int

    @classmethod
    def of(cls, percents: npt.NDArray[np.uint8], mask: Mask) -> Self:
        """Count the pixels of a tile: percents, uint8 (256, 256), and where they are valid, bool (256, 256)."""
        valid = percents[mask]
        return cls(valid.size, int(np.count_nonzero(valid < DOUBTFUL)), int(valid.sum(dtype=np.int64)))


@dataclass(frozen=True)
class Doubt:
    """Where a map is doubtful.

    Attributes:
        share: of its pixels whose confidence is below `DOUBTFUL`.
        worst: tiles at maxzoom of the least mean confidence, at most `WORST_PLACES`, with that in percent.
    """

    share: float
    worst: tuple[tuple[Tile, float], ...]

    @classmethod
    def of(cls, counts: Iterable[tuple[Tile, TileDoubt]]) -> Doubt | None:
        """Sum up the tiles of a map at maxzoom, in any order and in constant memory; None without a valid pixel."""
        judged = doubtful = 0
        means: list[tuple[float, Tile]] = []
        for tile, count in counts:
            judged, doubtful = judged + count.judged, doubtful + count.doubtful
            if count.judged >= _LEAST:
                means.append((count.total / count.judged, tile))
            if len(means) > 2 * WORST_PLACES:
                means = nsmallest(WORST_PLACES, means)
        if not judged:
            return None
        return cls(doubtful / judged, tuple((tile, mean) for mean, tile in nsmallest(WORST_PLACES, means)))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        worst = [{"tile": list(tile), "confidence": round(percent, 1)} for tile, percent in self.worst]
        return {"doubtful": self.share, "worst": worst}
