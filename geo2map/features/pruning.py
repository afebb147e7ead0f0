"""Mends a skeleton: spurs at uneven borders, parts with little evidence, roads that turn where the data end."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geo2map.features.chains import Chains, PixelPath, connected, trace
from geo2map.features.evidence import Evidence
from geo2map.features.rasters import Depth, PixelSet
from geo2map.types import Mask

PRUNING_ROUNDS = 2
SPUR, SPUR_MORE = 1.3, 5.0
"""A dead end is a spur if it is shorter than the junction's half width times one plus the other, pixels."""
WEAK, STUB = 0.6, 16.0
"""Pixels instead of the other for what is still a dead end once gaps are bridged, if the mean score is less."""
LONGEST_SPUR = 32
ISLAND = 48
"""Extent up to which a part of its own needs evidence, pixels."""
LEAST_EVIDENCE = 28.0
"""Sum of the score along a part's pixels."""
TAIL = 20
"""Most pixels of a road that are straightened where the data end."""
AXIS = 12
"""Pixels before them that tell the direction."""


def pruned(skeleton: Mask, evidence: Evidence, inside: tuple[slice, slice]) -> Mask:
    """A skeleton without spurs, without islands of little evidence inside the map, straight to where the data end."""
    for _ in range(PRUNING_ROUNDS):
        skeleton = without_spurs(skeleton, evidence)
    skeleton = straightened(skeleton, evidence)
    skeleton[inside] = _without_islands(skeleton[inside], evidence.score[inside])
    return skeleton


def without_spurs(skeleton: Mask, evidence: Evidence, weak: float = SPUR_MORE, highway: Mask | None = None) -> Mask:
    """A skeleton without dead ends too short for the road that they leave.

    Args:
        weak: pixels instead of `SPUR_MORE` for those of little score.
        highway: where highways are, or their borders waver, bool (H, W): no short dead end there is a road.
    """
    chains = trace(skeleton)
    degree = chains.degree.ravel()
    dead = [path if degree[path[0]] == 1 else path[::-1] for path in chains.paths if len(path) <= LONGEST_SPUR + 1]
    dead = [path for path in dead if degree[path[0]] == 1 and degree[path[-1]] > 2]
    widths = evidence.half_width(np.array([path[-1] for path in dead], np.int64))
    spurs: dict[int, list[PixelPath]] = {}
    for inward, half in zip(dead, widths, strict=True):
        more = weak if evidence.score.flat[inward].mean() < 255 * WEAK else SPUR_MORE
        within = highway is not None and bool(highway.flat[inward].all())
        if within or len(inward) - 1 <= SPUR * half + more:
            spurs.setdefault(int(inward[-1]), []).append(inward[:-1])
    kept = skeleton.copy()
    for junction, arms in spurs.items():
        # of a fork at a road's very end one arm stays, or the road would get shorter each time
        arms.sort(key=lambda path: (-len(path), int(path[0])))
        for path in arms[1:] if len(arms) >= degree[junction] - 1 else arms:
            kept.flat[path] = False
    return kept


def straightened(skeleton: Mask, evidence: Evidence) -> Mask:
    """A skeleton whose dead ends go straight on where the data end; thinning leads into a corner of what is cut off."""
    known = evidence.known
    if known.all():
        return skeleton
    ends, alone = dead_ends(trace(skeleton))
    ends = [path for path, other in zip(ends, alone, strict=True) if len(path) > TAIL + (TAIL if other else AXIS)]
    tips, before = (np.array([path[at] for path in ends], np.int64) for at in (0, TAIL))
    halves = evidence.half_width(before)
    kept, added = skeleton.copy(), np.zeros_like(skeleton)
    for number in np.flatnonzero(Depth(known, TAIL).at(tips) <= halves):
        path = ends[number]
        tail = path[: min(TAIL, int(2 * halves[number]))]
        kept.flat[tail] = False
        added.flat[_straight(path, len(tail), evidence.road)] = True
    return kept | added


def _straight(path: PixelPath, turn: int, road: Mask) -> PixelPath:
    """Pixels that go on as a path came, from the one where it is cut to beside its tip or to the end of the road."""
    rows, columns = np.divmod(path[[turn, turn + AXIS, 0]], road.shape[1])
    down, right = rows[0] - rows[1], columns[0] - columns[1]
    onward = (rows[2] - rows[0]) * down + (columns[2] - columns[0]) * right
    longer = max(abs(down), abs(right), 1)
    step = np.arange(1, onward * longer // max(down**2 + right**2, 1) + 1)
    # rounded before the place is added, so that the place has no part in it
    row = rows[0] + np.rint(step * down / longer).astype(np.int64)
    column = columns[0] + np.rint(step * right / longer).astype(np.int64)
    inside = (row >= 0) & (row < road.shape[0]) & (column >= 0) & (column < road.shape[1])
    on_road = np.zeros(len(step), bool)
    on_road[inside] = road[row[inside], column[inside]]
    there = np.logical_and.accumulate(on_road)
    straight: PixelPath = row[there] * road.shape[1] + column[there]
    return straight


def _without_islands(skeleton: Mask, scores: npt.NDArray[np.uint8]) -> Mask:
    pixels, part = connected(skeleton)
    if not len(pixels):
        return skeleton
    score = np.bincount(part, scores.flat[pixels])  # whole numbers add up alike in any order
    weak = (_extent(pixels, part, skeleton.shape[1]) <= ISLAND) & (score < 255 * LEAST_EVIDENCE)
    kept = skeleton.copy()
    kept.flat[pixels[weak[part]]] = False
    return kept


def _extent(pixels: PixelSet, part: npt.NDArray[np.int32], width: int) -> PixelSet:
    """Most extent of each part either way, pixels."""
    order = np.argsort(part, kind="stable")
    starts = np.flatnonzero(np.diff(part[order], prepend=-1))
    extent: PixelSet = np.max(
        [
            np.maximum.reduceat(along, starts) - np.minimum.reduceat(along, starts) + 1
            for along in (pixels[order] // width, pixels[order] % width)
        ],
        axis=0,
    )
    return extent


def dead_ends(chains: Chains) -> tuple[list[PixelPath], npt.NDArray[np.bool_]]:
    """Chains that end nowhere, each read from its dead end; and whether the other end is one, too."""
    degree = chains.degree.ravel()
    ends = []
    for path in chains.paths:
        if degree[path[0]] == 1:
            ends.append(path)
        if degree[path[-1]] == 1:
            ends.append(path[::-1])
    return ends, np.array([degree[path[-1]] == 1 for path in ends], bool)
