"""Removes false roads from a skeleton: spurs at uneven borders, and parts with little evidence."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geo2map.features.chains import Chains, PixelPath, connected, trace
from geo2map.features.evidence import Evidence
from geo2map.features.rasters import PixelSet
from geo2map.types import Mask

PRUNING_ROUNDS = 2
SPUR, SPUR_MORE = 1.3, 5.0
"""A dead end is a spur if it is shorter than the junction's half width times one plus the other, pixels."""
WEAK, STUB = 0.6, 16.0
"""Pixels instead of the other for what is still a dead end once gaps are bridged, if the mean score is less."""
LONGEST_SPUR = 32
ISLAND = 48
"""Extent up to which a part of its own needs evidence, pixels."""
LEAST_EVIDENCE = 14.0
"""Sum of the score along a part's pixels."""


def pruned(skeleton: Mask, evidence: Evidence, inside: tuple[slice, slice]) -> Mask:
    """A skeleton without spurs, and without islands of little evidence inside the map."""
    for _ in range(PRUNING_ROUNDS):
        skeleton = without_spurs(skeleton, evidence)
    skeleton[inside] = _without_islands(skeleton[inside], evidence.score[inside])
    return skeleton


def without_spurs(skeleton: Mask, evidence: Evidence, weak: float = SPUR_MORE) -> Mask:
    """A skeleton without dead ends too short for the road that they leave; `weak` is for those of little score."""
    chains = trace(skeleton)
    degree = chains.degree.ravel()
    dead = [path if degree[path[0]] == 1 else path[::-1] for path in chains.paths if len(path) <= LONGEST_SPUR + 1]
    dead = [path for path in dead if degree[path[0]] == 1 and degree[path[-1]] > 2]
    widths = evidence.half_width(np.array([path[-1] for path in dead], np.int64))
    spurs: dict[int, list[PixelPath]] = {}
    for inward, half in zip(dead, widths, strict=True):
        if len(inward) - 1 <= SPUR * half + (weak if evidence.score.flat[inward].mean() < 255 * WEAK else SPUR_MORE):
            spurs.setdefault(int(inward[-1]), []).append(inward[:-1])
    kept = skeleton.copy()
    for junction, arms in spurs.items():
        # of a fork at a road's very end one arm stays, or the road would get shorter each time
        arms.sort(key=lambda path: (-len(path), int(path[0])))
        for path in arms[1:] if len(arms) >= degree[junction] - 1 else arms:
            kept.flat[path] = False
    return kept


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
