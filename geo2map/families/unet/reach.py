"""Which pixels a U-Net needs for some of its output: intervals walked back, one axis at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

Interval = tuple[int, int]
"""[first, past) at the resolution of some level: level k works at 1/2^k of the picture's."""


def walk_up(wanted: Interval, size: int, depth: int) -> list[Interval]:
    """What the outermost levels of the way up must give, from `wanted` of the output inwards.

    Output i of a 4x4 stride-2 transposed convolution needs its inputs ceil((i-2)/2) to floor((i+1)/2).

    Args:
        wanted: of the output, within [0, size).
        size: of the picture.
        depth: how many levels.

    Returns:
        depth + 1 intervals; entry k is what level k's transposed convolution takes. Nothing reaches beyond the
        picture, where there are only the zeros that convolutions pad with.
    """
    found = [wanted]
    for level in range(1, depth + 1):
        first, past = found[-1]
        found.append(clip(((first - 1) // 2, past // 2 + 1), size >> level))
    return found


def walk_down(wanted: Interval, size: int, residual_blocks: Sequence[int]) -> list[Interval]:
    """What the outermost levels of the way down must give for `wanted` of the innermost of them.

    Output j of a 4x4 stride-2 convolution needs its inputs 2j-1 to 2j+2; a residual block needs 2 more on either
    side.

    Args:
        wanted: of the output of the last of these levels, within [0, size / 2^levels).
        size: of the picture.
        residual_blocks: of each of these levels, outermost first.

    Returns:
        One interval more than there are levels: entry 0 of the picture, entry k of level k's output.
    """
    found = [wanted]
    for level in range(len(residual_blocks), 0, -1):
        first, past = widen(found[0], 2 * residual_blocks[level - 1], size >> level)
        found.insert(0, clip((2 * first - 1, 2 * past + 1), size >> (level - 1)))
    return found


def widen(interval: Interval, radius: int, size: int) -> Interval:
    """The interval and `radius` around it, within [0, size)."""
    return clip((interval[0] - radius, interval[1] + radius), size)


def clip(interval: Interval, size: int) -> Interval:
    """The part of an interval that is within [0, size)."""
    return max(interval[0], 0), min(interval[1], size)


def split_interval(interval: Interval, length: int) -> Iterator[Interval]:
    """Cuts an interval into strips of `length`, the last one perhaps shorter."""
    for first in range(interval[0], interval[1], length):
        yield first, min(first + length, interval[1])
