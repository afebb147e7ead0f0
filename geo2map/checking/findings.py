"""What a check finds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from geo2map.files.plain_json import plain_json
from geo2map.grid import lnglat_bounds, tile_window
from geo2map.tiles.layer import MAP
from geo2map.types import Tile

_Kind = Literal["missing", "broken", "changed", "stray", "stale", "metadata", "open", "unexpected"]
MEANINGS: dict[_Kind, str] = {
    "missing": "a tile that should be there is not",
    "broken": "a tile cannot be decoded",
    "changed": "a tile is not the one that was written",
    "stray": "a tile exists that was not written",
    "stale": "an overview does not follow from the tiles below it",
    "metadata": "a document does not say what is true",
    "open": "a block could not be read and is still to be rendered",
    "unexpected": "something that is no part of a tile set",
}
_SHOWN = 10


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        kind: which of `MEANINGS`.
        what: the tile as z/x/y, or the name of a file.
        detail: more about it.
        tile: where it is, None where it is nowhere in particular.
        layer: which layer it is in.
    """

    kind: _Kind
    what: str
    detail: str = ""
    tile: Tile | None = None
    layer: str = MAP

    @classmethod
    def of(cls, kind: _Kind, tile: Tile, detail: str = "") -> Problem:
        """A problem of a tile."""
        return cls(kind, f"{tile.z}/{tile.x}/{tile.y}", detail, tile)

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}" + (f" ({self.detail})" if self.detail else "")


@dataclass(frozen=True)
class Seam:
    """A border between two neighbouring tiles.

    Attributes:
        tile: the one on its western or northern side.
        side: which of its sides it is, "east" or "south".
        excess: mean step across the border over that beside it, in levels.
    """

    tile: Tile
    side: Literal["east", "south"]
    excess: float


@dataclass
class CheckReport:
    """What a check found.

    Attributes:
        name: of the output.
        tiles: how many were looked at.
        problems: all that is wrong.
        seam_ratio: mean step across the borders of tiles over the mean step inside; 1 is seamless, None where there
            are no or too few borders between two tiles, or nothing but flat tiles.
        block_seam_ratio: the same for borders of blocks; None where blocks are unknown, too.
        seams: the worst borders.
        unknown_seams: why a ratio is missing though there are borders, by what they are of ("tiles", "blocks").
    """

    name: str
    tiles: int = 0
    problems: list[Problem] = field(default_factory=list)
    seam_ratio: float | None = None
    block_seam_ratio: float | None = None
    seams: list[Seam] = field(default_factory=list)
    unknown_seams: dict[str, str] = field(default_factory=dict)

    def absorb(self, found: CheckReport, layer: str) -> None:
        """Adds what a check of one layer found; seams are those of the map."""
        self.tiles += found.tiles
        if layer == MAP:
            self.problems += found.problems
            self.seam_ratio, self.block_seam_ratio = found.seam_ratio, found.block_seam_ratio
            self.seams, self.unknown_seams = found.seams, found.unknown_seams
        else:
            self.problems += [replace(p, what=f"{layer}/{p.what}", layer=layer) for p in found.problems]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong; seams are for people to judge."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """JSON-able values."""
        return {
            "name": self.name,
            "ok": self.ok,
            "tiles": self.tiles,
            "problems": [{"kind": p.kind, "what": p.what, "detail": p.detail} for p in self.problems],
            "seam_ratio": self.seam_ratio,
            "block_seam_ratio": self.block_seam_ratio,
            "seams": [{"tile": list(seam.tile), "side": seam.side, "excess": seam.excess} for seam in self.seams],
        }

    def geojson(self) -> str:
        """The problems that have a place, and the worst seams, as a FeatureCollection."""
        features = [_feature(_ring(p.tile), {"kind": p.kind, "detail": p.detail}) for p in self.problems if p.tile]
        features += [_feature(_line(seam), {"kind": "seam", "excess": seam.excess}) for seam in self.seams]
        return plain_json({"type": "FeatureCollection", "features": features}, ensure_ascii=False, indent=2) + "\n"

    def __str__(self) -> str:
        found = "nothing is wrong" if self.ok else f"{len(self.problems)} problems"
        lines = [f"{self.name}: {self.tiles} tiles, {found}"]
        for kind, count in Counter(problem.kind for problem in self.problems).items():
            lines.append(f"{count} x {kind}: {MEANINGS[kind]}")
        lines += [f"  {problem}" for problem in self.problems[:_SHOWN]]
        if len(self.problems) > _SHOWN:
            lines.append(f"  and {len(self.problems) - _SHOWN} more")
        lines += self._steps()
        return "\n".join(lines)

    def _steps(self) -> list[str]:
        """What is known of seams, as a line, or nothing."""
        told = []
        for name, ratio in (("tiles", self.seam_ratio), ("blocks", self.block_seam_ratio)):
            if ratio is not None:
                told.append(f"of {name} {ratio:.3f} of that inside")
            elif why := self.unknown_seams.get(name):
                told.append(f"of {name}: {why}")
        return [f"step across borders {', '.join(told)} (1 is seamless)"] if told else []


def _feature(geometry: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def _corners(tile: Tile) -> tuple[float, float, float, float]:
    west, south, east, north = (round(degrees, 7) for degrees in lnglat_bounds(tile_window(tile), tile.z))
    return west, south, east, north


def _ring(tile: Tile) -> dict[str, Any]:
    west, south, east, north = _corners(tile)
    return {
        "type": "Polygon",
        "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]],
    }


def _line(seam: Seam) -> dict[str, Any]:
    west, south, east, north = _corners(seam.tile)
    ends = [[east, north], [east, south]] if seam.side == "east" else [[west, south], [east, south]]
    return {"type": "LineString", "coordinates": ends}
