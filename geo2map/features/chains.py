"""The graph of a skeleton: chains of pixels between nodes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geo2map.types import Mask

PixelPath = npt.NDArray[np.int64]
"""Indices into a raster that is read row by row."""


@dataclass(frozen=True)
class Chains:
    """A skeleton as chains.

    Attributes:
        paths: pixels of each chain from node to node, both included; a ring begins and ends with its first pixel.
        degree: int8 (H, W), how many links a skeleton's pixel has; 0 elsewhere.
        node: bool (H, W), pixels where chains end.
    """

    paths: list[PixelPath]
    degree: npt.NDArray[np.int8]
    node: Mask

    def is_ring(self, path: PixelPath) -> bool:
        """Whether a chain is a ring that meets no other."""
        return bool(path[0] == path[-1]) and not self.node.flat[path[0]]


def links(skeleton: Mask) -> tuple[PixelPath, PixelPath]:
    """Pairs of neighbouring skeleton pixels, the first one first in the raster; diagonally only where there is no
    way around a corner, so that two links never cross."""
    height, width = skeleton.shape
    first, second = [], []
    for row, column in ((0, 1), (1, -1), (1, 0), (1, 1)):
        rows = slice(0, height - row)
        here = slice(max(0, -column), width - max(0, column))
        there = slice(max(0, column), width + min(0, column))
        pair = skeleton[rows, here] & skeleton[row:, there]
        if row and column:
            pair &= ~(skeleton[rows, there] | skeleton[row:, here])
        y, x = np.nonzero(pair)
        a = y * width + x + here.start
        first.append(a)
        second.append(a + row * width + column)
    return np.concatenate(first), np.concatenate(second)


def trace(skeleton: Mask, state: npt.NDArray[np.uint8] | None = None) -> Chains:
    """Follows a skeleton's pixels; chains end where not exactly two links meet, and where `state` changes.

    The order of the chains and of their pixels depends on the raster's own order only, not on where it begins.
    """
    first, second = links(skeleton)
    size = skeleton.size
    source, target = np.concatenate((first, second)), np.concatenate((second, first))
    order = np.lexsort((target, source))
    source, target = source[order], target[order]
    degree = np.bincount(source, minlength=size)
    node = (degree != 2) & (degree > 0)
    if state is not None:
        change = state.flat[first] != state.flat[second]
        node[first[change]] = True
    pixels, begins = np.unique(source, return_index=True)
    paths = _paths(pixels, np.append(begins, len(source)), target, node)
    shape = skeleton.shape
    return Chains(paths, degree.astype(np.int8).reshape(shape), node.reshape(shape))


def _paths(pixels: PixelPath, begins: PixelPath, target: PixelPath, node: npt.NDArray[np.bool_]) -> list[PixelPath]:
    """Every chain once: from its end that comes first in the raster, rings from their first pixel."""
    where = {pixel: number for number, pixel in enumerate(pixels.tolist())}
    neighbours, ends = target.tolist(), begins.tolist()
    is_node = node[pixels].tolist()
    seen = [False] * len(where)
    paths, done = [], set()

    def follow(start: int, step: int) -> list[int]:
        path, before, now = [start, step], start, step
        while now != start and not is_node[number := where[now]]:
            seen[number] = True
            one, other = neighbours[ends[number] : ends[number + 1]]
            before, now = now, other if one == before else one
            path.append(now)
        return path

    for number in np.flatnonzero(node[pixels]).tolist():
        start = int(pixels[number])
        for step in neighbours[ends[number] : ends[number + 1]]:
            if (start, step) not in done:
                path = follow(start, step)
                done.add((path[-1], path[-2]))
                paths.append(np.array(path))
    for number, pixel in enumerate(pixels.tolist()):
        if not is_node[number] and not seen[number]:
            seen[number] = True
            paths.append(np.array(follow(pixel, neighbours[ends[number]])))
    return paths
