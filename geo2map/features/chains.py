"""The graph of a skeleton: chains of pixels between nodes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy  # loads scipy.sparse when it is used: most commands never trace a road

from geo2map.features.rasters import PixelSet
from geo2map.types import Mask

PixelPath = npt.NDArray[np.int64]
"""Indices into a raster that is read row by row, along a line."""


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


def links(skeleton: Mask) -> tuple[PixelSet, PixelSet]:
    """Pairs of neighbouring skeleton pixels, the first one first in the raster; diagonally only where there is no
    way around a corner, so that two links never cross."""
    width = skeleton.shape[1] + 2
    padded = np.pad(skeleton, 1)
    at = np.flatnonzero(padded)
    there = padded.ravel()
    east, south = there[at + 1], there[at + width]
    west = there[at - 1]
    pairs = (
        (at[east], 1),
        (at[there[at + width - 1] & ~(west | south)], width - 1),
        (at[south], width),
        (at[there[at + width + 1] & ~(east | south)], width + 1),
    )
    first = np.concatenate([pixels for pixels, _ in pairs])
    second = np.concatenate([pixels + step for pixels, step in pairs])
    return tuple((p // width - 1) * (width - 2) + p % width - 1 for p in (first, second))


def trace(skeleton: Mask, state: npt.NDArray[np.uint8] | None = None) -> Chains:
    """Follows a skeleton's pixels; chains end where not exactly two links meet, and where `state` changes.

    The order of the chains and of their pixels depends on the raster's own order only, not on where it begins.
    """
    first, second = links(skeleton)
    source, target = np.concatenate((first, second)), np.concatenate((second, first))
    order = np.lexsort((target, source))
    source, target = source[order], target[order]
    pixels, begins, count = np.unique(source, return_index=True, return_counts=True)
    degree, node = np.zeros(skeleton.shape, np.int8), np.zeros(skeleton.shape, bool)
    degree.flat[pixels] = count
    node.flat[pixels] = count != 2
    if state is not None:
        node.flat[first[state.flat[first] != state.flat[second]]] = True
    return Chains(_paths(source, target, begins, node.ravel()), degree, node)


def _paths(source: PixelSet, target: PixelSet, begins: PixelSet, node: npt.NDArray[np.bool_]) -> list[PixelPath]:
    """Every chain once: from its end that comes first in the raster, rings from their first pixel on.

    Each link is a step from a pixel to a neighbour, and one back. After a step to a pixel that is no node comes the
    step from there that does not lead back.
    """
    if not len(source):
        return []
    there = begins[np.searchsorted(source[begins], target)]
    onward = np.where(node[target], -1, there + (target[there] == source))
    back = np.lexsort((source, target))
    paths, done = [], np.zeros(len(source), bool)
    for run in runs(onward):
        if not done[run[0]]:
            paths.append(np.append(source[run[0]], target[run]))
            done[run] = done[back[run]] = True
    return paths


def runs(onward: PixelSet) -> list[PixelSet]:
    """Runs along `onward`, (N,) with the number that comes after each one, -1 at ends; no number comes twice.

    Rings begin with their least number. The runs are in the order of their first numbers.
    """
    order, sizes = run_order(onward)
    return np.split(order, np.cumsum(sizes)[:-1])


def run_order(onward: PixelSet) -> tuple[PixelSet, PixelSet]:
    """The same as one array, and how many numbers of it each run has."""
    goes = onward >= 0
    before = np.full(len(onward), -1)
    before[onward[goes]] = np.flatnonzero(goes)
    _, part = scipy.sparse.csgraph.connected_components(_graph(onward), connection="weak")
    _, first, sizes = np.unique(part, return_index=True, return_counts=True)
    heads, tails = np.flatnonzero(before < 0), np.flatnonzero(~goes)
    first[part[heads]] = heads
    last = before[first]
    last[part[tails]] = tails
    order = np.argsort(first)
    first, last = first[order], last[order]
    chained = onward.copy()  # all runs as one: where one ends, the next begins
    chained[last] = np.append(first[1:], -1)
    whole = scipy.sparse.csgraph.depth_first_order(_graph(chained), first[0], return_predecessors=False)
    return whole.astype(np.int64), sizes[order]


def _graph(onward: PixelSet) -> scipy.sparse.csr_array:
    goes = onward >= 0
    ends = np.concatenate(([0], np.cumsum(goes)))
    return scipy.sparse.csr_array((np.ones(int(ends[-1])), onward[goes], ends), (len(onward), len(onward)))


def connected(skeleton: Mask) -> tuple[PixelSet, npt.NDArray[np.int32]]:
    """Pixels of a skeleton, and the number of the connected part of each, from 0 on."""
    pixels = np.flatnonzero(skeleton)
    first, second = (np.searchsorted(pixels, ends) for ends in links(skeleton))
    graph = scipy.sparse.csr_array((np.ones(len(first)), (first, second)), (len(pixels), len(pixels)))
    return pixels, scipy.sparse.csgraph.connected_components(graph, directed=False)[1]
