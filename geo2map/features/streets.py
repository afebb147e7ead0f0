"""Centre lines of a skeleton's chains: smoothed along streets, through crossings, with nodes where they meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy  # loads scipy.sparse when it is used

from geo2map.features.chains import Chains, PixelPath
from geo2map.features.evidence import Evidence

_Points = npt.NDArray[np.int64]
"""(N, 2), columns and rows."""
_End = tuple[int, bool]
"""A chain's number, and whether its start is meant."""

UNITS = 16
"""Coordinates are whole numbers of this part of a pixel."""
FINE = 4096
"""Parts of a pixel in which lines are smoothed: whole numbers have the same sum in any order."""
SIGMA = 6.0
"""Standard deviation of the Gaussian along a street, pixels; truncated at three."""
SMOOTHED = 18
"""Pixels along a street on either side that a point of its line depends on."""
AWAY = 14
"""Pixels from a node at which the direction of a chain is read."""
STRAIGHT = -0.8
"""Cosine between two chains at a node up to which they are one street."""
FADE = 16
"""Pixels from a node over which a line that does not go through bends to it."""
CLUSTER = 32
"""Most extent of nodes that become one, pixels."""
MERGE = 1.1
"""Nodes become one if the chain between them is shorter than this many half widths."""


class Street(NamedTuple):
    """A chain with its line.

    Attributes:
        path: its pixels.
        line: (N, 2) columns and rows of the smoothed line, in units, a point for each pixel of the path.
        ring: whether it ends where it begins and meets no other.
        through: the ends of paths that go on at its start and its end, each read away from there.
    """

    path: PixelPath
    line: _Points
    ring: bool
    through: tuple[PixelPath | None, PixelPath | None]


def gaussian(sigma: float, reach: int) -> npt.NDArray[np.int64]:
    """Weights of a Gaussian cut off at so many pixels, int64 (2 * reach + 1,); their sum is `FINE`."""
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    whole: npt.NDArray[np.int64] = np.rint(FINE * weights / weights.sum()).astype(np.int64)
    whole[reach] += FINE - whole.sum()
    return whole


_ALONG = gaussian(SIGMA, SMOOTHED)


@dataclass(frozen=True)
class _Nodes:
    """Where chains end.

    Attributes:
        ends: the chain ends that meet at each node.
        inner: chains that vanish within a node.
        pairs: the end that goes on from each end.
    """

    ends: list[list[_End]]
    inner: set[int]
    pairs: dict[_End, _End]


def streets(chains: Chains, evidence: Evidence) -> list[Street]:
    """The lines of chains."""
    paths, width = chains.paths, chains.node.shape[1]
    nodes = _nodes(chains, evidence)
    own = [number for number in range(len(paths)) if number not in nodes.inner]
    lines = dict(zip(own, _smoothed([_continued(number, chains, nodes) for number in own], width), strict=True))
    place = {}
    for ends in nodes.ends:
        place.update(dict.fromkeys(ends, _place(ends, nodes, lines, paths, width)))
    found = []
    for number in own:
        path, line, ring = paths[number], lines[number], chains.is_ring(paths[number])
        if ring:
            line[-1] = line[0]
        else:
            line = _ended(line, place[number, True], place[number, False])
        before, after = (nodes.pairs.get((number, start)) for start in (True, False))
        through = before and _read(before, paths), after and _read(after, paths)
        part = FINE // UNITS
        found.append(Street(path, (line + part // 2) // part + UNITS // 2, ring, through))
    return found


def _continued(number: int, chains: Chains, nodes: _Nodes) -> tuple[PixelPath | None, PixelPath, PixelPath | None]:
    """A chain, and what goes on at its start and at its end, both read away from there."""
    path = chains.paths[number]
    if chains.is_ring(path):
        return path[::-1][1:], path, path[1:]
    before, after = (nodes.pairs.get((number, start)) for start in (True, False))
    return before and _read(before, chains.paths), path, after and _read(after, chains.paths)


def _smoothed(chains: list[tuple[PixelPath | None, PixelPath, PixelPath | None]], width: int) -> list[_Points]:
    """Chains through a Gaussian along them, in `FINE` parts: in whole numbers, alike wherever they lie.

    Where nothing goes on, a chain goes on as if it were turned about its end.
    """
    rows = []
    for before, path, after in chains:
        own = _places(path, width)
        rows += [_beyond(before, own, width)[::-1], own, _beyond(after, own[::-1], width)]
    if not rows:
        return []
    points = np.concatenate(rows)
    smooth = np.stack([np.convolve(points[:, axis], _ALONG, "same") for axis in (0, 1)], -1)
    ends = np.cumsum([len(row) for row in rows])
    return [smooth[start:end] for start, end in zip(ends[0::3], ends[1::3], strict=True)]


def _beyond(onward: PixelPath | None, points: _Points, width: int) -> _Points:
    """The `SMOOTHED` points beyond the first of some, read away from it."""
    there = 2 * points[:1] - points[1 : SMOOTHED + 1] if onward is None else _places(onward[:SMOOTHED], width)
    return np.concatenate((there, np.repeat(there[-1:], SMOOTHED - len(there), axis=0)))


def _places(path: PixelPath, width: int) -> _Points:
    return np.stack((path % width, path // width), -1)


def _nodes(chains: Chains, evidence: Evidence) -> _Nodes:
    """Ends of chains, those of one crossing as one node."""
    paths, width = chains.paths, chains.node.shape[1]
    pixels = np.flatnonzero(chains.node)
    tips = np.array([(path[0], path[-1]) for path in paths], np.int64).reshape(-1, 2)
    length = np.array([len(path) - 1 for path in paths])
    half = evidence.half_width(tips.ravel()).reshape(-1, 2).min(1)
    short = length <= np.maximum(1.0, np.minimum(CLUSTER / 2, MERGE * half))
    inside = np.flatnonzero(short & (chains.degree.flat[tips] > 2).all(1))
    at = np.searchsorted(pixels, tips)
    graph = scipy.sparse.coo_array((np.ones(len(inside)), (at[inside, 0], at[inside, 1])), (len(pixels), len(pixels)))
    count, of = scipy.sparse.csgraph.connected_components(graph, directed=False)
    wide = _extents(of, count, pixels, [paths[number] for number in inside], at[inside, 0], width) > CLUSTER
    of = np.where(wide[of], count + np.arange(len(pixels)), of)  # too much hangs together: each is its own
    at = of[np.minimum(at, len(pixels) - 1)] if len(pixels) else at
    inner = {number for number in inside.tolist() if at[number, 0] == at[number, 1]}
    ends: dict[int, list[_End]] = {}
    for number, path in enumerate(paths):
        if number not in inner and not chains.is_ring(path):
            for side, start in ((0, True), (1, False)):
                ends.setdefault(int(at[number, side]), []).append((number, start))
    pairs = {}
    for all_ends in ends.values():
        pairs.update(_paired(all_ends, paths, width))
    return _Nodes(list(ends.values()), inner, pairs)


def _extents(
    of: npt.NDArray[np.int32], count: int, pixels: PixelPath, inside: list[PixelPath], at: PixelPath, width: int
) -> _Points:
    """Most extent of each would-be node either way, with the chains within it; pixels."""
    number = np.concatenate((of, np.repeat(of[at], [len(path) for path in inside])))
    every = np.concatenate((pixels, *inside))
    extents = np.zeros(count, np.int64)
    for along in (every % width, every // width):
        low, high = np.full(count, np.iinfo(np.int64).max), np.full(count, -1)
        np.minimum.at(low, number, along)
        np.maximum.at(high, number, along)
        extents = np.maximum(extents, high - low + 1)
    return extents


def _paired(ends: list[_End], paths: list[PixelPath], width: int) -> dict[_End, _End]:
    """Which ends at a node go on as which others: the straightest first."""
    if len(ends) == 2:
        return {ends[0]: ends[1], ends[1]: ends[0]}
    ways = []
    for number, start in ends:
        path = paths[number] if start else paths[number][::-1]
        near, far = int(path[min(2, len(path) - 1)]), int(path[min(AWAY, len(path) - 1)])
        step = complex(far % width - near % width, far // width - near // width)
        ways.append(step / (abs(step) or 1.0))
    bends = [((ways[i] * ways[j].conjugate()).real, i, j) for i in range(len(ends)) for j in range(i + 1, len(ends))]
    pairs: dict[_End, _End] = {}
    for cosine, i, j in sorted(bends):
        if cosine < STRAIGHT and ends[i] not in pairs and ends[j] not in pairs:
            pairs[ends[i]], pairs[ends[j]] = ends[j], ends[i]
    return pairs


def _read(end: _End, of: list[_Points]) -> _Points:
    """What is there for each pixel of a chain, read from one of its ends."""
    number, start = end
    return of[number] if start else of[number][::-1]


def _place(ends: list[_End], nodes: _Nodes, lines: dict[int, _Points], paths: list[PixelPath], width: int) -> _Points:
    """Where a node lies: on the streets that go through it, else in the middle of its pixels."""
    tip = {end: lines[end[0]][0 if end[1] else -1] for end in ends}
    through = [(tip[end] + tip[other]) // 2 for end in ends if (other := nodes.pairs.get(end)) and end < other]
    if through:
        return sum(through) // len(through)
    pixels = np.array([paths[number][0 if start else -1] for number, start in ends])
    at = _places(pixels, width)
    return FINE * (at.min(0) + at.max(0)) // 2


def _ended(line: _Points, start: _Points, end: _Points) -> _Points:
    """A line bent to where its nodes lie."""
    reach = max(1, min(FADE, len(line) - 1))
    weight = (reach - np.arange(reach))[:, None]
    bent = line.copy()
    bent[:reach] += weight * (start - line[0]) // reach
    bent[-reach:] += weight[::-1] * (end - line[-1]) // reach
    return bent
