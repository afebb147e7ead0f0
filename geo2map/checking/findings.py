"""Results of a check."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from geo2map.files.plain_json import plain_json
from geo2map.grid import lnglat_bounds, tile_window
from geo2map.pipeline.report import box_polygon
from geo2map.tiles.doubt import DOUBTFUL, Doubt
from geo2map.tiles.layer import MAP
from geo2map.types import Tile

_Kind = Literal[
    "missing", "broken", "changed", "stray", "stale", "metadata", "open", "unexpected", "invalid", "overlap", "crossing"
]
MEANINGS: dict[_Kind, str] = {
    "missing": "an expected tile does not exist",
    "broken": "a tile cannot be decoded",
    "changed": "a tile differs from what was written",
    "stray": "a tile exists that was never written",
    "stale": "an overview does not match the tiles below it",
    "metadata": "a document is incorrect",
    "open": "a block could not be read and is still to be rendered",
    "unexpected": "a file or folder that does not belong to a tile set",
    "invalid": "a feature is not as its layer says",
    "overlap": "areas of one class overlap",
    "crossing": "roads meet without a node",
}
_SHOWN = 10


@dataclass(frozen=True)
class Problem:
    """One problem.

    Attributes:
        kind: key of `MEANINGS`.
        what: the tile as z/x/y, or a file name.
        detail: further explanation.
        tile: its location, None without one.
        layer: the layer it was found in.
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
    """A border between two adjacent tiles.

    Attributes:
        tile: the western or northern one.
        side: the side of that tile, "east" or "south".
        excess: mean step across the border minus that beside it, in levels.
    """

    tile: Tile
    side: Literal["east", "south"]
    excess: float


@dataclass
class CheckReport:
    """Results of a check.

    Attributes:
        name: name of the output.
        tiles: number of tiles checked.
        features: number of features checked, by layer of a vector file.
        problems: all problems.
        seam_ratio: mean step across tile borders over the mean step inside tiles; 1 is seamless, None with too few
            borders, or only flat tiles.
        block_seam_ratio: the same for block borders; None also if the blocks are unknown.
        seams: the worst borders.
        unknown_seams: why a ratio is missing although there are borders, by "tiles" and "blocks".
        doubt: where the map is doubtful; None without a layer of confidence.
    """

    name: str
    tiles: int = 0
    features: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    seam_ratio: float | None = None
    block_seam_ratio: float | None = None
    seams: list[Seam] = field(default_factory=list)
    unknown_seams: dict[str, str] = field(default_factory=dict)
    doubt: Doubt | None = None

    def absorb(self, found: CheckReport, layer: str) -> None:
        """Add the report of a layer; seams are those of the map."""
        self.tiles += found.tiles
        if layer == MAP:
            self.problems += found.problems
            self.seam_ratio, self.block_seam_ratio = found.seam_ratio, found.block_seam_ratio
            self.seams, self.unknown_seams = found.seams, found.unknown_seams
        else:
            self.problems += [replace(p, what=f"{layer}/{p.what}", layer=layer) for p in found.problems]

    @property
    def ok(self) -> bool:
        """Whether there is no problem; seams do not count."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "ok": self.ok,
            "tiles": self.tiles,
            "features": self.features,
            "problems": [{"kind": p.kind, "what": p.what, "detail": p.detail} for p in self.problems],
            "seam_ratio": self.seam_ratio,
            "block_seam_ratio": self.block_seam_ratio,
            "seams": [{"tile": list(seam.tile), "side": seam.side, "excess": seam.excess} for seam in self.seams],
        } | ({} if self.doubt is None else {"doubt": self.doubt.to_dict()})

    def geojson(self) -> str:
        """The problems with a location, the worst seams and the most doubtful places, as a FeatureCollection."""
        features = [
            _feature(box_polygon(*_corners(p.tile)), {"kind": p.kind, "detail": p.detail})
            for p in self.problems
            if p.tile
        ]
        features += [_feature(_line(seam), {"kind": "seam", "excess": seam.excess}) for seam in self.seams]
        for tile, percent in self.doubt.worst if self.doubt else ():
            told = {"kind": "doubt", "confidence": round(percent, 1)}
            features.append(_feature(box_polygon(*_corners(tile)), told))
        return plain_json({"type": "FeatureCollection", "features": features}, ensure_ascii=False, indent=2) + "\n"

    def __str__(self) -> str:
        found = "no problems" if self.ok else f"{len(self.problems)} problems"
        counts = [f"{count} {name.replace('_', ' ')}" for name, count in self.features.items()]
        lines = [f"{self.name}: {', '.join(counts) or f'{self.tiles} tiles'}, {found}"]
        for kind, count in Counter(problem.kind for problem in self.problems).items():
            lines.append(f"{count} x {kind}: {MEANINGS[kind]}")
        lines += [f"  {problem}" for problem in self.problems[:_SHOWN]]
        if len(self.problems) > _SHOWN:
            lines.append(f"  and {len(self.problems) - _SHOWN} more")
        lines += self._steps()
        if self.doubt is not None:
            lines.append(f"{self.doubt.share:.1%} of the map is doubtful: less than {DOUBTFUL} % sure")
        return "\n".join(lines)

    def _steps(self) -> list[str]:
        """Seam ratios as a line of text, or nothing."""
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


def _line(seam: Seam) -> dict[str, Any]:
    west, south, east, north = _corners(seam.tile)
    ends = [[east, north], [east, south]] if seam.side == "east" else [[west, south], [east, south]]
    return {"type": "LineString", "coordinates": ends}
