"""Removes false roads from a skeleton: spurs at uneven borders, and parts with little evidence."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage as ndi

from geo2map.features.chains import Chains, PixelPath, trace
from geo2map.features.evidence import EVERY, Evidence, spans
from geo2map.types import Mask

PRUNING_ROUNDS = 2
SPUR, SPUR_MORE = 1.3, 5.0
"""A dead end is a spur if it is shorter than the junction's half width times one plus the other, pixels."""
LONGEST_SPUR = 44
ISLAND = 64
"""Extent up to which a part of its own needs evidence, pixels."""
LEAST_EVIDENCE = 24.0
"""Sum of the score along a part's pixels."""


def pruned(skeleton: Mask, evidence: Evidence) -> Mask:
    """A skeleton without spurs and without islands of little evidence."""
    for _ in range(PRUNING_ROUNDS):
        skeleton = _without_spurs(skeleton, evidence)
    return _without_islands(skeleton, evidence)


def _without_spurs(skeleton: Mask, evidence: Evidence) -> Mask:
    chains = trace(skeleton)
    degree, half = chains.degree.ravel(), evidence.half_width.ravel()
    spurs: dict[int, list[PixelPath]] = {}
    for path in chains.paths:
        ends = degree[path[0]], degree[path[-1]]
        if min(ends) == 1 and max(ends) > 2:
            inward = path if ends[0] == 1 else path[::-1]
            if len(path) - 1 <= min(LONGEST_SPUR, SPUR * half[inward[-1]] + SPUR_MORE):
                spurs.setdefault(int(inward[-1]), []).append(inward[:-1])
    kept = skeleton.copy()
    for junction, dead in spurs.items():
        # of a fork at a road's very end one arm stays, or the road would get shorter each time
        dead.sort(key=lambda path: (-len(path), int(path[0])))
        for path in dead[1:] if len(dead) >= degree[junction] - 1 else dead:
            kept.flat[path] = False
    return kept


def _without_islands(skeleton: Mask, evidence: Evidence) -> Mask:
    parts, count = ndi.label(skeleton, EVERY)
    if not count:
        return skeleton
    where = np.flatnonzero(parts)
    score = np.rint(evidence.score.flat[where] * 255).astype(np.int64)  # whole numbers add up alike in any order
    total = np.bincount(parts.flat[where], score, count + 1)[1:] / 255
    weak = np.append(False, (spans(parts) <= ISLAND) & (total < LEAST_EVIDENCE))
    return skeleton & ~weak[parts]


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
