"""Roads as a graph: whether streets hang together as the true ones do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage as ndi
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import KDTree

from geo2map.features.chains import links
from geo2map.features.rasters import without_small
from geo2map.features.thinning import thin_lines
from geo2map.metrics.pooled import ratio
from geo2map.types import Mask

_Points = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]

SPACING = 4.0
"""Pixels between points of a graph's lines, about."""
SPECK, HOLE = 60, 150
"""Square pixels below which a speck of a mask is not a road, and a hole in one is an arrow or a letter."""
_CUT = 2
"""Half width of cuts through roads that a map's railways and names leave, pixels; they are closed."""
AXIAL, DIAGONAL = 0.948, 1.340
"""Length of a link of pixels on average over all directions of a line (Vossepoel & Smeulders, 1982)."""
NEAR_BORDER = 16
"""Pixels from where nothing is known within which an end of a road is not a dead end."""
SNAP = 4.0
"""Metres within which a point of one graph is one of the other (Van Etten et al., 2018)."""
CONTROLS = 300
"""Points of a graph whose paths to each other are compared."""
_PASSES = 1 << 16
DISK = np.hypot(*np.mgrid[-_CUT : _CUT + 1, -_CUT : _CUT + 1]) <= _CUT + 0.5


@dataclass(frozen=True)
class RoadGraph:
    """Points along roads, and which of them are linked.

    Attributes:
        points: float64 (N, 2), x and y in pixels.
        lengths: (N, N), pixels between linked points, in both directions.
        border: bool (N,), points that lie where the map ends or nothing is known.
    """

    points: _Points
    lengths: csr_array
    border: npt.NDArray[np.bool_]

    @classmethod
    def of_mask(cls, roads: Mask, valid: Mask | None = None) -> RoadGraph:
        """The plain skeleton of a bool (H, W), True on roads; specks, holes and cuts as maps have them are closed."""
        valid, most = np.ones_like(roads) if valid is None else valid, max(roads.shape)
        padded = np.pad(roads & valid, _CUT, mode="edge")
        closed = ndi.binary_closing(padded, DISK)[_CUT:-_CUT, _CUT:-_CUT] & valid
        whole = ~without_small(~without_small(closed, SPECK, most), HOLE, most)
        skeleton = thin_lines(whole, _PASSES)
        pixels, first, second = links(skeleton)
        points = np.stack((pixels % roads.shape[1], pixels // roads.shape[1]), -1) + 0.5
        return cls._made(points, first, second, valid, _link_length)

    @classmethod
    def of_lines(cls, lines: Iterable[_Points], valid: Mask) -> RoadGraph:
        """Lines, (N, 2) x and y in pixels, that meet where an end has the very coordinates of another."""
        dense, first, second, count = [], [], [], 0
        for line in lines:
            points = _densified(np.asarray(line, np.float64))
            dense.append(points)
            number = count + np.arange(len(points))
            first.append(number[:-1])
            second.append(number[1:])
            count += len(points)
        if not dense:
            none = np.empty(0, np.int64)
            return cls._made(np.empty((0, 2)), none, none, valid, _length)
        points, number = np.unique(np.concatenate(dense), axis=0, return_inverse=True)
        return cls._made(points, number[np.concatenate(first)], number[np.concatenate(second)], valid, _length)

    @classmethod
    def _made(
        cls, points: _Points, one: _Ints, two: _Ints, valid: Mask, length: Callable[[_Points], Floats]
    ) -> RoadGraph:
        """Without what lies where nothing is known."""
        column, row = np.clip(points.astype(np.int64), 0, np.array(valid.shape[::-1]) - 1).T
        linked = valid[row[one], column[one]] & valid[row[two], column[two]] & (one != two)
        pairs = np.unique(np.sort(np.stack((one[linked], two[linked])), axis=0), axis=1)
        kept, number = np.unique(pairs, return_inverse=True)
        one, two = number.reshape(pairs.shape)
        points, row, column = points[kept], row[kept], column[kept]
        apart = length(points[one] - points[two])
        both = np.concatenate((one, two)), np.concatenate((two, one))
        lengths = coo_array((np.tile(apart, 2), both), (len(points), len(points))).tocsr()
        known = ndi.binary_erosion(valid, np.ones((3, 3), bool), NEAR_BORDER)
        return cls(points, lengths, ~known[row, column])

    @property
    def length(self) -> float:
        """Total length of the roads, pixels."""
        return float(self.lengths.sum()) / 2

    def parts(self) -> list[float]:
        """Lengths of the connected parts, pixels, the longest first."""
        count, part = connected_components(self.lengths, directed=False)
        if not count:
            return []
        degree_length = np.asarray(self.lengths.sum(axis=1)).ravel() / 2
        return sorted(np.bincount(part, degree_length, count).tolist(), reverse=True)

    def dead_ends(self) -> int:
        """Ends of roads, but for those near where nothing is known."""
        degree = np.diff(self.lengths.indptr)
        return int(((degree == 1) & ~self.border).sum())


@dataclass(frozen=True)
class Connectedness:
    """How roads hang together.

    Attributes:
        kilometres: of road.
        dead_ends: a kilometre.
        parts: that are connected in themselves.
        largest: share of the longest part.
    """

    kilometres: float
    dead_ends: float
    parts: int
    largest: float

    @classmethod
    def of(cls, graph: RoadGraph, metres: float) -> Connectedness:
        """Measures a graph; a pixel has so many metres."""
        kilometres, parts = graph.length * metres / 1000, graph.parts()
        largest = parts[0] if parts else 0.0
        return cls(kilometres, ratio(graph.dead_ends(), kilometres), len(parts), ratio(largest, sum(parts)))


def roughness(roads: Mask, graph: RoadGraph) -> float:
    """Length of the borders of roads for each pixel of their length; 2 where they are smooth. NaN without roads.

    Borders are measured by how often lines in four directions cross them (Crofton).
    """
    r = roads.astype(np.int8)
    straight = np.abs(np.diff(r, axis=0)).sum() + np.abs(np.diff(r, axis=1)).sum()
    diagonal = np.abs(r[1:, 1:] - r[:-1, :-1]).sum() + np.abs(r[1:, :-1] - r[:-1, 1:]).sum()
    return ratio(np.pi / 8 * (straight + diagonal / np.sqrt(2)), graph.length)


def apls(truth: RoadGraph, prediction: RoadGraph, metres: float, snap: float = SNAP) -> float:
    """Similarity of average path lengths, 0 to 1 (Van Etten, Lindenbaum & Bacastow, 2018).

    Between points of one graph, and the points of the other that lie there, the shortest paths are compared: 1 less
    the mean of min(1, |difference| / length), a pair that the other graph has no path for counting as 1; from truth
    to prediction and back, averaged. NaN if the truth has no path.

    Args:
        truth, prediction: graphs of one picture.
        metres: of a pixel.
        snap: metres within which points lie at the same place.
    """
    there = _similarity(truth, prediction, snap / metres)
    if np.isnan(there):
        return there
    back = _similarity(prediction, truth, snap / metres)
    return (there + (0.0 if np.isnan(back) else back)) / 2


def _similarity(one: RoadGraph, two: RoadGraph, snap: float) -> float:
    controls = (
        np.unique(np.linspace(0, len(one.points) - 1, CONTROLS).astype(np.int64))
        if len(one.points)
        else np.empty(0, np.int64)
    )
    if not len(controls):
        return float("nan")
    paths = dijkstra(one.lengths, directed=False, indices=controls)[:, controls]
    pairs = np.isfinite(paths) & (paths > 2 * SPACING)
    if not pairs.any():
        return float("nan")
    other = np.full(paths.shape, np.inf)
    if len(two.points):
        distance, nearest = KDTree(two.points).query(one.points[controls])
        on = distance <= snap
        other[np.ix_(on, on)] = dijkstra(two.lengths, directed=False, indices=nearest[on])[:, nearest[on]]
    with np.errstate(invalid="ignore"):
        wrong = np.minimum(1.0, np.abs(paths - other)[pairs] / paths[pairs])
    return float(1 - wrong.mean())


def _length(step: _Points) -> Floats:
    length: Floats = np.hypot(*step.T)
    return length


def _link_length(step: _Points) -> Floats:
    return np.where(step.all(1), DIAGONAL, AXIAL)


def _densified(line: _Points) -> _Points:
    """A line with points at most `SPACING` apart, its own ones among them."""
    step = np.hypot(*np.diff(line, axis=0).T)
    parts = np.maximum(1, np.ceil(step / SPACING)).astype(np.int64)
    start = np.repeat(np.arange(len(parts)), parts)
    within = (np.arange(len(start)) - np.repeat(np.cumsum(parts) - parts, parts)) / np.repeat(parts, parts)
    points = line[start] + within[:, None] * np.diff(line, axis=0)[start]
    return np.concatenate((points, line[-1:]))
