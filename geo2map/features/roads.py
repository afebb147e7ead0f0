"""Roads of a core: centre lines with what is known of them, in parts that a neighbouring core goes on with."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from geo2map.features.bridging import bridges
from geo2map.features.chains import PixelPath, trace
from geo2map.features.evidence import Evidence
from geo2map.features.lines import Piece, noded
from geo2map.features.pruning import pruned
from geo2map.features.streets import UNITS, Street
from geo2map.features.thinning import thin_lines
from geo2map.features.window import Box
from geo2map.types import Mask

TIDY_PASSES = 42
"""Thinning passes: enough for half of `evidence.WIDEST_ROAD` along a diagonal."""
TIDY = 3
"""Passes after bridges were added."""
BRIDGED, HIGHWAY = 1, 2
"""Bits of a skeleton pixel's state."""
_AHEAD = 96
"""Pixels of a street beyond a crossing whose width counts on this side, too."""
EDGE = -0.25
"""Pixels by which a width is less than twice the distance to the nearest pixel beside the road; tuned on pictures
aside, where true maps draw roads a little wider than they are seen."""
BINS = 160
"""Widths in half pixels that are counted."""
WIDTHS = (3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 18, 20, 22, 25, 28, 32, 36, 40, 45, 50)
"""Widths that roads have, metres."""
USUAL = 8.0
"""Width where nothing was measured, metres."""

_Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RoadLine:
    """A road between two nodes of the graph.

    Attributes:
        kind: "road" or "highway".
        line: int64 (N, 2), x and y in sixteenths of a pixel.
        width: metres, one of `WIDTHS`.
        length: metres.
        confidence: mean probability of road along the line, 0 to 1; None where it was not kept.
        bridged: whether it was inferred over a gap.
        area: whether an area of its class shows it, as with all highways but bridged ones.
    """

    kind: str
    line: _Ints
    width: float
    length: float
    confidence: float | None
    bridged: bool
    area: bool


class RoadPart(NamedTuple):
    """What a core has of a road.

    Attributes:
        line: int64 (N, 2), units.
        start, end: the pixel where another core goes on, or None at a node or the map's border.
        ring: whether the whole road ends where it begins without meeting another there.
        state: bits of `BRIDGED` and `HIGHWAY`.
        score: sum of 255 times the probability over the pixels.
        pixels: their number.
        widths: int64 (BINS,), how often each width was measured.
    """

    line: _Ints
    start: tuple[int, int] | None
    end: tuple[int, int] | None
    ring: bool
    state: int
    score: int
    pixels: int
    widths: _Ints

    def reversed(self) -> RoadPart:
        return self._replace(line=self.line[::-1], start=self.end, end=self.start)

    def followed(self, other: RoadPart) -> RoadPart:
        """This and the one that begins where it ends."""
        return RoadPart(
            np.concatenate((self.line, other.line[1:])),
            self.start,
            other.end,
            self.ring,
            self.state,
            self.score + other.score,
            self.pixels + other.pixels,
            self.widths + other.widths,
        )

    def finished(self, metres: float, scored: bool) -> RoadLine:
        """The road that has no more parts."""
        line = _canonical(self.line, self.ring)
        length = float(np.hypot(*np.diff(line, axis=0).T).sum()) / UNITS * metres
        counted = np.cumsum(self.widths)
        width = USUAL
        if counted[-1]:
            width = (int(np.searchsorted(counted, (counted[-1] + 1) // 2)) / 2) * metres
        kind = "highway" if self.state & HIGHWAY else "road"
        confidence = round(self.score / 255 / self.pixels, 4) if scored else None
        bridged = bool(self.state & BRIDGED)
        return RoadLine(kind, line, _snapped(width), length, confidence, bridged, kind == "highway" and not bridged)


def _snapped(width: float) -> float:
    return float(min(WIDTHS, key=lambda known: (abs(np.log(known / max(width, 0.1))), known)))


def _canonical(line: _Ints, ring: bool) -> _Ints:
    """A line from its lesser end on; a ring from its first point in reading order, towards the lesser neighbour."""
    if ring and (line[0] == line[-1]).all():  # the map's border may have cut it
        turn = line[:-1]
        first = int(np.lexsort((turn[:, 0], turn[:, 1]))[0])
        turn = np.roll(turn, -first, axis=0)
        line = np.concatenate((turn, turn[:1]))
    backward = line[::-1]
    return min(line, backward, key=lambda points: points.tolist()).copy()


def road_skeleton(evidence: Evidence) -> tuple[Mask, npt.NDArray[np.uint8]]:
    """Centre lines of the roads of a window, gaps bridged, and the state of each of their pixels."""
    sure = pruned(thin_lines(evidence.road, TIDY_PASSES), evidence)
    added = bridges(sure, trace(sure), evidence)
    lines = thin_lines(sure | added, TIDY)
    state = BRIDGED * added.astype(np.uint8) | HIGHWAY * evidence.highway.astype(np.uint8)
    return lines, np.where(lines, state, 0).astype(np.uint8)


def road_parts(
    lines: Mask, state: npt.NDArray[np.uint8], evidence: Evidence, window: Box, core: Box, bounds: Box
) -> list[RoadPart]:
    """Parts of the roads of a window that belong to its core."""
    chains = trace(lines, state)
    streets, pieces = noded(chains, evidence, window, bounds)
    measure = _Measure(evidence, chains.degree.ravel(), state.ravel())
    parts = []
    for number, group in groupby(pieces, key=lambda piece: piece.street):
        street, own = streets[number], list(group)
        for kept, run in groupby(own, key=lambda piece: piece.kept and _belongs(piece, street, window, core)):
            if kept:
                parts.append(_part(street, list(run), own, window, measure))
    return parts


def _belongs(piece: Piece, street: Street, window: Box, core: Box) -> bool:
    first = int(street.path[piece.first : piece.first + 2].min())
    width = window.shape[1]
    x, y = first % width + window.left, first // width + window.top
    return core.left <= x < core.right and core.top <= y < core.bottom


def _part(street: Street, run: list[Piece], own: list[Piece], window: Box, measure: _Measure) -> RoadPart:
    first, last = run[0].first, run[-1].last
    at_start, at_end = first == 0, last == len(street.path) - 1
    joins = street.ring and len(own) > 1
    before = own[own.index(run[0]) - 1].kept if not at_start or joins else False
    after = own[(own.index(run[-1]) + 1) % len(own)].kept if not at_end or joins else False
    width = window.shape[1]

    def key(at: int) -> tuple[int, int]:
        pixel = int(street.path[at])
        return pixel % width + window.left, pixel // width + window.top

    line = np.concatenate([run[0].line[:1], *(piece.line[1:] for piece in run)])
    widths = measure.widths(street, first, last)
    for there, onward in ((at_start, street.through[0]), (at_end, street.through[1])):
        if there and onward is not None:
            widths = widths + measure.ahead(onward)
    score, pixels = measure.score(street.path[first : last + 1])
    start, end = key(first) if before else None, key(last) if after else None
    return RoadPart(line, start, end, street.ring, measure.state(street), score, pixels, widths)


@dataclass(frozen=True)
class _Measure:
    """Sums over pixels of paths, in whole numbers, so that parts add up to the same in any order."""

    evidence: Evidence
    degree: npt.NDArray[np.int8]
    states: npt.NDArray[np.uint8]

    def state(self, street: Street) -> int:
        """The state of all pixels but those at a chain's ends, which may be another chain's."""
        path = street.path
        return int(self.states[path[1]]) if len(path) > 2 else int(self.states[path].min())

    def score(self, path: PixelPath) -> tuple[int, int]:
        """Sum of the probability, in 255ths, over the steps of a path, and their number."""
        firsts = np.minimum(path[:-1], path[1:])  # of each step, alike whichever way a path was followed
        values = np.rint(255 * self.evidence.score.flat[firsts]).astype(np.int64)
        return int(values.sum()), len(values)

    def widths(self, street: Street, first: int, last: int) -> _Ints:
        """How often each width is there along a part; crossings, which are wider, are left out."""
        path, half = street.path, self.evidence.half_width.ravel()
        begin, end = first, last
        if not street.ring:
            begin = max(first, self._crossing(path[0], half))
            end = max(begin, min(last, len(path) - 1 - self._crossing(path[-1], half)))
        return self._counted(np.minimum(path[begin:end], path[begin + 1 : end + 1]))

    def ahead(self, onward: PixelPath) -> _Ints:
        """The same along the first pixels of what goes on beyond a crossing."""
        begin = self._crossing(onward[0], self.evidence.half_width.ravel())
        return self._counted(onward[begin:_AHEAD])

    def _crossing(self, node: int, half: npt.NDArray[np.float32]) -> int:
        return int(half[node]) + 2 if self.degree[node] > 2 else 0

    def _counted(self, path: PixelPath) -> _Ints:
        half = self.evidence.own_width.flat[path]
        doubled = np.rint(2 * (2 * half[half > 0] - EDGE)).astype(np.int64)
        return np.bincount(np.minimum(doubled, BINS - 1), minlength=BINS)
