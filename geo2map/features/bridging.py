"""Gaps in roads, bridged where something speaks for it: scores along the gap, or a dead end that points back."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from geo2map.features.chains import Chains, PixelPath
from geo2map.features.evidence import HELD, Evidence
from geo2map.features.pruning import dead_ends
from geo2map.types import Mask

LONGEST_BRIDGE = 52
"""Most pixels of a bridge."""
BLIND = 20
"""Pixels that a bridge may have with no score at all along it."""
FACING = 52
"""Pixels that it may have if it ends at a dead end that points back."""
ENOUGH = 0.2
"""Mean score along a bridge for which it may have its most pixels."""
BEHIND = 16
"""Pixels of a road that tell its direction."""
TURNS = np.deg2rad((-32, -24, -16, -8, 0, 8, 16, 24, 32))
BENDS = np.deg2rad((-0.6, -0.3, 0, 0.3, 0.6))
"""By how much a bridge turns at its start, and at each pixel."""
TURNED = np.add.outer(np.abs(TURNS), LONGEST_BRIDGE * np.abs(BENDS) / 2).ravel()
"""How much a bridge of each way turns, radians."""
FIRST = 4
"""Pixels from which on a bridge may meet another road."""
NEAR = 2
"""Pixels around a bridge's tip within which it meets a road."""
_REACH = LONGEST_BRIDGE + NEAR
"""Pixels around a dead end in which its bridges end."""
BRIDGING_REACH = 2 * _REACH + BEHIND
"""Pixels around one that decide whether a bridge passes it: its dead end, its goal, and the way which that points."""
AROUND_TIP = (
    np.array(
        sorted(np.ndindex(2 * NEAR + 1, 2 * NEAR + 1), key=lambda at: ((at[0] - NEAR) ** 2 + (at[1] - NEAR) ** 2, at))
    )
    - NEAR
)
"""Steps from a bridge's tip to where it may meet a road, the nearest first."""

_Points = npt.NDArray[np.float64]


class _Fan(NamedTuple):
    """All bridges tried: which end and way each has, and the pixels that they pass, (ends, ways, LONGEST_BRIDGE)."""

    rows: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]


def bridges(skeleton: Mask, chains: Chains, evidence: Evidence, inside: tuple[slice, slice]) -> Mask:
    """Pixels to add to a skeleton, all found in the skeleton as it is, so that their order does not matter."""
    added = np.zeros_like(skeleton)
    ends, _ = dead_ends(chains)
    margin = _REACH + 1
    height, width = skeleton.shape
    at = np.array([np.unravel_index(path[0], skeleton.shape) for path in ends]).reshape(-1, 2)
    # what is too near the window's border to look around is farther from its core than any reach, or from the map
    rows, columns = inside
    low = np.maximum(margin, (rows.start, columns.start))
    high = np.minimum((height - margin, width - margin), (rows.stop, columns.stop))
    roomy = np.all((at >= low) & (at < high), axis=1)
    ends = [ends[number] for number in np.flatnonzero(roomy)]
    if not ends:
        return added
    heading = np.array([_heading(path, width) for path in ends])
    tips = {int(path[0]): number for number, path in enumerate(ends)}
    fan = _fan(at[roomy], heading)
    for number, path in enumerate(ends):
        found = _best(number, path, fan, heading, skeleton, tips, evidence)
        if found is not None:
            added.flat[found] = True
    return added & ~skeleton


def _heading(path: PixelPath, width: int) -> tuple[float, float]:
    """Unit vector, rows and columns, in which a dead end points."""
    back = path[min(BEHIND, len(path) - 1)]
    row, column = path[0] // width - back // width, path[0] % width - back % width
    length = float(np.hypot(row, column)) or 1.0
    return row / length, column / length


def _fan(at: npt.NDArray[np.int64], heading: _Points) -> _Fan:
    step = np.arange(1, LONGEST_BRIDGE + 1)
    turn, bend = (grid.ravel() for grid in np.meshgrid(TURNS, BENDS, indexing="ij"))
    angle = np.arctan2(heading[:, 0], heading[:, 1])[:, None, None] + turn[:, None] + bend[:, None] * step
    # rounded before the place is added, so that the place has no part in it
    rows, columns = (np.rint(np.cumsum(part, -1)).astype(np.int64) for part in (np.sin(angle), np.cos(angle)))
    return _Fan(rows + at[:, 0, None, None], columns + at[:, 1, None, None])


def _best(
    number: int,
    path: PixelPath,
    fan: _Fan,
    heading: _Points,
    skeleton: Mask,
    tips: dict[int, int],
    evidence: Evidence,
) -> PixelPath | None:
    """The pixels of the best bridge from a dead end, or None."""
    rows, columns = fan.rows[number], fan.columns[number]
    width = skeleton.shape[1]
    row, column = int(path[0]) // width, int(path[0]) % width
    others = _others(skeleton, path)
    y, x = rows - row + _REACH, columns - column + _REACH
    meets = _widened(others)[y, x]
    meets[:, :FIRST] = False
    ways = np.flatnonzero(meets.any(1))
    if not len(ways):
        return None
    hit = meets[ways].argmax(1)
    length = hit + 1
    around = y[ways, hit, None] + AROUND_TIP[:, 0], x[ways, hit, None] + AROUND_TIP[:, 1]
    nearest = others[around].argmax(1), np.arange(len(ways))
    goals = (around[0].T[nearest] + row - _REACH) * width + around[1].T[nearest] + column - _REACH
    before = np.arange(LONGEST_BRIDGE) <= hit[:, None]
    passed = rows[ways], columns[ways]
    score = evidence.score[passed]
    blocked = (evidence.blocking[evidence.kind[passed]] & before & (score < 255 * HELD)).any(1)
    mean = (score * before).sum(1, dtype=np.int64) / 255 / length
    other = [tips.get(goal) for goal in goals.tolist()]
    facing = np.array([to is not None and float(np.dot(heading[number], heading[to])) < -0.7 for to in other])
    allowed = BLIND + (LONGEST_BRIDGE - BLIND) * np.minimum(1.0, mean / ENOUGH)
    good = ~blocked & (length <= np.maximum(allowed, np.where(facing, FACING, 0)))
    if not good.any():
        return None
    cost = length * (1.2 - mean) * (1 + TURNED[ways]) * np.where(facing, 0.7, 1.0)
    best = int(np.argmin(np.where(good, cost, np.inf)))
    way, steps, goal = int(ways[best]), int(length[best]), int(goals[best])
    passed_corners = zip(rows[way, : steps - 2 : 4].tolist(), columns[way, : steps - 2 : 4].tolist(), strict=True)
    return _line([(row, column), *passed_corners, (goal // width, goal % width)], width)


def _others(skeleton: Mask, path: PixelPath) -> Mask:
    """The square around a dead end with what is there of other roads."""
    width = skeleton.shape[1]
    row, column = int(path[0]) // width, int(path[0]) % width
    box = skeleton[row - _REACH : row + _REACH + 1, column - _REACH : column + _REACH + 1].copy()
    back = path[: 2 * LONGEST_BRIDGE + 8]  # the road itself, as far as its own bridges could reach it
    rows, columns = back // width - row + _REACH, back % width - column + _REACH
    inside = (rows >= 0) & (rows <= 2 * _REACH) & (columns >= 0) & (columns <= 2 * _REACH)
    box[rows[inside], columns[inside]] = False
    return box


def _widened(mask: Mask) -> Mask:
    """Pixels within `NEAR` of one of the mask, along rows and columns."""
    padded = np.pad(mask, NEAR)
    height, width = mask.shape
    rows = np.logical_or.reduce([padded[step : step + height] for step in range(2 * NEAR + 1)])
    return np.logical_or.reduce([rows[:, step : step + width] for step in range(2 * NEAR + 1)])


def _line(corners: list[tuple[int, int]], width: int) -> PixelPath:
    """Pixels along straight pieces from corner to corner."""
    parts = []
    for (y0, x0), (y1, x1) in pairwise(corners):
        steps = max(abs(y1 - y0), abs(x1 - x0), 1)
        along = np.arange(steps + 1)
        # halves are rounded away from the start, alike in every window
        y = y0 + (2 * along * abs(y1 - y0) + steps) // (2 * steps) * (1 if y1 >= y0 else -1)
        x = x0 + (2 * along * abs(x1 - x0) + steps) // (2 * steps) * (1 if x1 >= x0 else -1)
        parts.append(y * width + x)
    return np.concatenate(parts)
