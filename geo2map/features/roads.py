"""Roads of a core: centre lines with what is known of them, in parts that a neighbouring core goes on with."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from geo2map.features.bridging import BRIDGING_REACH, bridges
from geo2map.features.chains import Chains, PixelPath, trace
from geo2map.features.evidence import ROADS, Evidence
from geo2map.features.lines import Piece, noded
from geo2map.features.pruning import LONGEST_SPUR, STUB, pruned, without_spurs
from geo2map.features.rasters import smoothed
from geo2map.features.streets import UNITS, Street
from geo2map.features.thinning import thin_lines
from geo2map.features.window import Box
from geo2map.types import Mask

TIDY_PASSES = 36
"""Thinning passes: enough for `evidence.WIDEST_ROAD` along a diagonal."""
TIDY = 3
"""Passes after bridges were added."""
BRIDGED, HIGHWAY = 1, 2
"""Bits of a skeleton pixel's state."""
AROUND = (8, 8)
"""Running sums in which highways outnumber roads where what is left of a road is a highway's wavering border."""
AHEAD = 72
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
LEAST_HIGHWAY = 10.0
"""Least width of a highway, whatever remains of it where it ends: that of one carriageway. Metres."""

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
        area: whether an area of its class shows it, as with all highways.
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
        ring: whether a core saw that the whole road ends where it begins without meeting another there.
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
            self.ring and other.ring,
            self.state,
            self.score + other.score,
            self.pixels + other.pixels,
            self.widths + other.widths,
        )

    def finished(self, metres: float, scored: bool) -> RoadLine:
        """The road that has no more parts."""
        closed = self.start is not None  # where cores go on with it: none of them need see that it is a ring
        line = _canonical(self.line, self.ring or closed)
        length = float(np.hypot(*np.diff(line, axis=0).T).sum()) / UNITS * metres
        counted = np.cumsum(self.widths)
        width = USUAL
        if counted[-1]:
            width = (int(np.searchsorted(counted, (counted[-1] + 1) // 2)) / 2) * metres
        kind = "highway" if self.state & HIGHWAY else "road"
        if kind == "highway":
            width = max(width, LEAST_HIGHWAY)
        confidence = round(self.score / 255 / self.pixels, 4) if scored else None
        bridged = bool(self.state & BRIDGED)
        return RoadLine(kind, line, _snapped(width), length, confidence, bridged, kind == "highway")


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


def road_skeleton(evidence: Evidence, window: Box, near: Box, bounds: Box) -> tuple[Mask, npt.NDArray[np.uint8]]:
    """Centre lines of the roads of a window, gaps bridged, and the state of each of their pixels.

    Each step works on as much as the steps after it see.

    Args:
        evidence: of the window.
        window: what it is of.
        near: the part of it for which centre lines are wanted, and given.
        bounds: of the map.
    """
    tidied = near.grown(2 * TIDY + LONGEST_SPUR + 1).clipped(window)
    bridged = tidied.grown(BRIDGING_REACH).clipped(window)
    sure = pruned(thin_lines(evidence.road, TIDY_PASSES), evidence, bounds.clipped(window).part(window))
    sure, part = sure[bridged.part(window)], evidence.cropped(bridged.part(window), shared=True)
    added = bridges(sure, trace(sure), part, bounds.clipped(bridged).part(bridged))
    evidence, inner = evidence.cropped(tidied.part(window), shared=True), tidied.part(bridged)
    beside = evidence.highway | _mostly(evidence.where("highway"), evidence.where(*ROADS))
    lines = without_spurs(thin_lines((sure | added)[inner], TIDY), evidence, STUB, beside)
    state = BRIDGED * added[inner].astype(np.uint8) | HIGHWAY * evidence.highway.astype(np.uint8)
    wanted = near.part(tidied)
    return lines[wanted], np.where(lines, state, 0).astype(np.uint8)[wanted]


def _mostly(some: Mask, of: Mask) -> Mask:
    """Where some pixels are most of others that lie around."""
    if not some.any():
        return some
    return np.uint16(2) * smoothed(some, AROUND) > smoothed(of, AROUND)


def road_parts(
    lines: Mask, state: npt.NDArray[np.uint8], evidence: Evidence, window: Box, core: Box, bounds: Box
) -> list[RoadPart]:
    """Parts of the roads of a window that belong to its core."""
    chains = trace(lines, state)
    streets, pieces = noded(chains, evidence, window, bounds)
    measure = _Measure(streets, evidence, chains, state)
    parts = []
    for number, group in groupby(pieces, key=lambda piece: piece.street):
        street, own = streets[number], list(group)
        belong = [piece.kept and _belongs(piece, street, window, core) for piece in own]
        parts += [_part(street, run, own, window, measure) for run in _runs(own, belong)]
    return parts


def _runs(own: list[Piece], belong: list[bool]) -> list[slice]:
    """Stretches of a street's pieces that belong to a core and lie between two nodes."""
    runs, start = [], 0
    for number in range(1, len(own) + 1):
        if number == len(own) or belong[number] != belong[start] or own[number].cut[0]:
            if belong[start]:
                runs.append(slice(start, number))
            start = number
    return runs


def _belongs(piece: Piece, street: Street, window: Box, core: Box) -> bool:
    first = int(street.path[piece.home : piece.home + 2].min())
    width = window.shape[1]
    x, y = first % width + window.left, first // width + window.top
    return core.left <= x < core.right and core.top <= y < core.bottom


def _part(street: Street, run: slice, own: list[Piece], window: Box, measure: _Measure) -> RoadPart:
    pieces, count, width = own[run], len(own), window.shape[1]
    first, last = pieces[0].first, pieces[-1].last
    ring = street.ring and not any(any(piece.cut) for piece in own)
    # at a street's ends there are nodes, but a ring may go on
    before = own[run.start - 1].kept if run.start or (street.ring and count > 1) else False
    after = own[run.stop % count].kept if run.stop < count or (street.ring and count > 1) else False

    def key(at: int, goes_on: bool, cut: bool) -> tuple[int, int] | None:
        if cut or not goes_on:
            return None
        pixel = int(street.path[at])
        return pixel % width + window.left, pixel // width + window.top

    line = np.concatenate([pieces[0].line[:1], *(piece.line[1:] for piece in pieces)])
    widths = measure.widths(street, first, last)
    for there, onward in ((first == 0, street.through[0]), (last == len(street.path) - 1, street.through[1])):
        if there and onward is not None:
            widths = widths + measure.ahead(onward)
    score, pixels = measure.score(street.path[first : last + 1])
    start, end = key(first, before, pieces[0].cut[0]), key(last, after, pieces[-1].cut[1])
    return RoadPart(line, start, end, ring, measure.state(street), score, pixels, widths)


class _Measure:
    """Sums over pixels of paths, in whole numbers, so that parts add up to the same in any order."""

    def __init__(
        self, streets: list[Street], evidence: Evidence, chains: Chains, states: npt.NDArray[np.uint8]
    ) -> None:
        """Measures all streets' pixels at once."""
        self._states, self._score, self._degree = states.ravel(), evidence.score.ravel(), chains.degree.ravel()
        pixels = np.unique(np.concatenate([street.path for street in streets] or [np.empty(0, np.int64)]))
        own = evidence.own_width(pixels)
        self._half, self._bin = (np.zeros(self._states.shape, np.uint8) for _ in range(2))
        self._half[pixels] = evidence.half_width(pixels)  # whole ones, at most what a road has
        doubled = np.minimum(np.rint(2 * (2 * own - EDGE)), BINS - 1)
        self._bin[pixels] = np.where(own > 0, doubled, BINS)

    def state(self, street: Street) -> int:
        """The state of all pixels but those at a chain's ends, which may be another chain's."""
        path = street.path
        return int(self._states[path[1]]) if len(path) > 2 else int(self._states[path].min())

    def score(self, path: PixelPath) -> tuple[int, int]:
        """Sum of 255 times the probability over the steps of a path, and their number."""
        firsts = np.minimum(path[:-1], path[1:])  # of each step, alike whichever way a path was followed
        return int(self._score[firsts].sum(dtype=np.int64)), len(firsts)

    def widths(self, street: Street, first: int, last: int) -> _Ints:
        """How often each width is there along a part; crossings, which are wider, are left out."""
        path = street.path
        begin, end = first, last
        if not street.ring:
            begin = max(first, self._crossing(path[0]))
            end = max(begin, min(last, len(path) - 1 - self._crossing(path[-1])))
        return self._counted(np.minimum(path[begin:end], path[begin + 1 : end + 1]))

    def ahead(self, onward: PixelPath) -> _Ints:
        """The same along the first pixels of what goes on beyond a crossing."""
        return self._counted(onward[self._crossing(onward[0]) : AHEAD])

    def _crossing(self, node: int) -> int:
        return int(self._half[node]) + 2 if self._degree[node] > 2 else 0

    def _counted(self, path: PixelPath) -> _Ints:
        return np.bincount(self._bin[path], minlength=BINS + 1)[:BINS]
