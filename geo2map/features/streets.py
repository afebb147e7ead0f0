"""Centre lines of a skeleton's chains: smoothed along streets, through crossings, with nodes where they meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage as ndi

from geo2map.features.chains import Chains, PixelPath
from geo2map.features.evidence import EVERY, Evidence
from geo2map.types import Mask

_Points = npt.NDArray[np.int64]
"""(N, 2), columns and rows."""

UNITS = 16
"""Coordinates are whole numbers of this part of a pixel."""
FINE = 4096
"""Parts of a pixel in which lines are smoothed: whole numbers have the same sum in any order."""
SIGMA = 6.0
"""Standard deviation of the Gaussian along a street, pixels; truncated at three."""
_WEIGHTS = np.exp(-0.5 * (np.arange(-18, 19) / SIGMA) ** 2)
KERNEL = np.rint(FINE * _WEIGHTS / _WEIGHTS.sum()).astype(np.int64)
KERNEL[18] += FINE - KERNEL.sum()
LOOK_AHEAD = 24
"""Pixels of the street beyond a crossing that take part in smoothing."""
AWAY = 14
"""Pixels from a node at which the direction of a chain is read."""
STRAIGHT = -0.8
"""Cosine between two chains at a node up to which they are one street."""
FADE = 16
"""Pixels from a node over which a line that does not go through bends to it."""
CLUSTER = 48
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


@dataclass(frozen=True)
class _Nodes:
    """Where chains end.

    Attributes:
        of: int32 (H, W), number of each node's pixel's node, from 1 on.
        ends: for each node its chain ends: number of the chain, and whether it is the chain's start.
        inner: chains that vanish within a node.
        pairs: the end that goes on from each end.
    """

    of: npt.NDArray[np.int32]
    ends: dict[int, list[tuple[int, bool]]]
    inner: set[int]
    pairs: dict[tuple[int, bool], tuple[int, bool]]


def streets(chains: Chains, evidence: Evidence, rigid: Mask) -> list[Street]:
    """The lines of chains; where `rigid`, and near it, they keep to their pixels."""
    paths, width = chains.paths, chains.node.shape[1]
    give = _give(rigid)
    nodes = _nodes(chains, evidence, rigid)
    raw = [np.stack((path % width, path // width), -1) for path in paths]
    place = {node: _place(node, nodes, raw, give) for node in sorted(nodes.ends)}
    found = []
    for number, path in enumerate(paths):
        if number in nodes.inner:
            continue
        soft = give.flat[path]
        if chains.is_ring(path):
            line = _ring(raw[number], soft)
        else:
            start, end = (place[int(nodes.of.flat[path[at]])] for at in (0, -1))
            line = _ended(_line(number, raw, nodes, soft), start, end)
        before, after = (nodes.pairs.get((number, start)) for start in (True, False))
        through = before and _read(before, paths), after and _read(after, paths)
        part = FINE // UNITS
        found.append(Street(path, (line + part // 2) // part + UNITS // 2, chains.is_ring(path), through))
    return found


def _smooth(points: _Points) -> _Points:
    """Points of whole pixels through a Gaussian, in `FINE` parts: in whole numbers, alike wherever they lie."""
    reach = len(KERNEL) // 2
    padded = np.pad(points, ((reach, reach), (0, 0)), mode="edge")
    return np.stack([np.convolve(padded[:, axis], KERNEL, "valid") for axis in (0, 1)], -1)


def _ring(points: _Points, soft: _Points) -> _Points:
    turn = points[:-1]
    around = np.take(turn, np.arange(-LOOK_AHEAD, len(turn) + LOOK_AHEAD), axis=0, mode="wrap")
    smooth = _smooth(around)[LOOK_AHEAD:-LOOK_AHEAD]
    line = FINE * turn + soft[:-1, None] * (smooth - FINE * turn) // FADE
    return np.concatenate((line, line[:1]))


def _give(rigid: Mask) -> _Points:
    """How much of the smoothing each pixel takes part in: 0 where rigid, `FADE` at a distance; int64 (H, W)."""
    if not rigid.any():
        return np.full(rigid.shape, FADE, np.int64)
    return np.clip(ndi.distance_transform_edt(~rigid) - 1, 0, FADE).astype(np.int64)


def _nodes(chains: Chains, evidence: Evidence, rigid: Mask) -> _Nodes:
    """Ends of chains, those of one crossing as one node."""
    paths, width = chains.paths, chains.node.shape[1]
    mark, inside = chains.node.copy(), []
    half, degree = evidence.half_width.ravel(), chains.degree.ravel()
    for number, path in enumerate(paths):
        tips = path[[0, -1]]
        if path[0] != path[-1] and degree[tips].min() > 2 and not rigid.flat[path].any():
            length = len(path) - 1
            if length <= max(1.0, min(CLUSTER / 2, MERGE * min(half[tips[0]], half[tips[1]]))):
                inside.append(number)
    joined = mark.copy()
    for number in inside:
        joined.flat[paths[number]] = True
    of, count = ndi.label(joined, EVERY)
    boxes = ndi.find_objects(of)
    spans = np.array([0, *(max(side.stop - side.start for side in box) for box in boxes)])
    # a node's pixels may touch with no chain between: then, and where too much hangs together, each is its own
    chained = _chained(of, count, [paths[number] for number in inside], chains)
    alone = mark & ((spans > CLUSTER) | ~chained)[of]
    single = np.zeros_like(of)
    single.flat[np.flatnonzero(alone)] = count + 1 + np.arange(int(alone.sum()))
    of = np.where(alone, single, np.where(((spans > CLUSTER) | ~chained)[of], 0, of))
    inner = {number for number in inside if of.flat[paths[number][0]] == of.flat[paths[number][-1]] > 0}
    ends: dict[int, list[tuple[int, bool]]] = {}
    for number, path in enumerate(paths):
        if number not in inner and not chains.is_ring(path):
            for at, start in ((0, True), (-1, False)):
                ends.setdefault(int(of.flat[path[at]]), []).append((number, start))
    pairs = {}
    for all_ends in ends.values():
        pairs.update(_paired(all_ends, paths, width))
    return _Nodes(of, ends, inner, pairs)


def _chained(of: npt.NDArray[np.int32], count: int, inside: list[PixelPath], chains: Chains) -> npt.NDArray[np.bool_]:
    """Whether the pixels of each would-be node hang together by chains: one part more than there are chains."""
    nodes = np.bincount(of[chains.node], minlength=count + 1)
    short = np.bincount(of.flat[[path[0] for path in inside]] if inside else [], minlength=count + 1)
    fits: npt.NDArray[np.bool_] = short >= nodes - 1
    return fits


def _paired(
    ends: list[tuple[int, bool]], paths: list[PixelPath], width: int
) -> dict[tuple[int, bool], tuple[int, bool]]:
    """Which ends at a node go on as which others: the straightest first."""
    if len(ends) == 2:
        return {ends[0]: ends[1], ends[1]: ends[0]}
    ways = []
    for number, start in ends:
        path = paths[number] if start else paths[number][::-1]
        near, far = path[min(2, len(path) - 1)], path[min(AWAY, len(path) - 1)]
        step = np.array((far % width - near % width, far // width - near // width), float)
        ways.append(step / (np.hypot(*step) or 1.0))
    bends = [
        (float(ways[i][0] * ways[j][0] + ways[i][1] * ways[j][1]), i, j)
        for i in range(len(ends))
        for j in range(i + 1, len(ends))
    ]
    pairs: dict[tuple[int, bool], tuple[int, bool]] = {}
    for cosine, i, j in sorted(bends):
        if cosine < STRAIGHT and ends[i] not in pairs and ends[j] not in pairs:
            pairs[ends[i]], pairs[ends[j]] = ends[j], ends[i]
    return pairs


def _read(end: tuple[int, bool], of: list[_Points]) -> _Points:
    """What is there for each pixel of a chain, read from one of its ends."""
    number, start = end
    return of[number] if start else of[number][::-1]


def _outward(end: tuple[int, bool], raw: list[_Points]) -> _Points:
    """The first points of a chain from one of its ends."""
    return _read(end, raw)[:LOOK_AHEAD]


def _place(node: int, nodes: _Nodes, raw: list[_Points], give: _Points) -> _Points:
    """Where a node lies: on the streets that go through it, else in the middle of its pixels."""
    ends = nodes.ends[node]
    tips = np.array([_outward(end, raw)[0] for end in ends])
    middle = FINE * (tips.min(0) + tips.max(0)) // 2
    through = []
    for end in ends:
        other = nodes.pairs.get(end)
        if other is not None and end < other:
            one, two = _outward(end, raw)[::-1], _outward(other, raw)
            smooth = _smooth(np.concatenate((one, two)))
            through.append((smooth[len(one) - 1] + smooth[len(one)]) // 2)
    if not through:
        return middle
    soft = min(int(give[y, x]) for x, y in tips)
    placed: _Points = middle + soft * (sum(through) // len(through) - middle) // FADE
    return placed


def _line(number: int, raw: list[_Points], nodes: _Nodes, soft: _Points) -> _Points:
    """A chain smoothed, with what goes on at its ends."""
    own = raw[number]
    before, after = (nodes.pairs.get((number, start)) for start in (True, False))
    head = _outward(before, raw)[::-1] if before else _turned(own)
    tail = _outward(after, raw) if after else _turned(own[::-1])[::-1]
    smooth = _smooth(np.concatenate((head, own, tail)))[len(head) : len(head) + len(own)]
    line: _Points = FINE * own + soft[:, None] * (smooth - FINE * own) // FADE
    return line


def _turned(points: _Points) -> _Points:
    """What lies behind the first of some points if they are turned about it, in their order."""
    turned: _Points = (2 * points[:1] - points[1 : LOOK_AHEAD + 1])[::-1]
    return turned


def _ended(line: _Points, start: _Points, end: _Points) -> _Points:
    """A line bent to where its nodes lie."""
    reach = max(1, min(FADE, len(line) - 1))
    weight = np.maximum(0, reach - np.arange(len(line)))[:, None]
    bent: _Points = line + weight * (start - line[0]) // reach + weight[::-1] * (end - line[-1]) // reach
    return bent
