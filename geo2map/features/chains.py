"""The graph of a skeleton: chains of pixels between nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

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


def links(skeleton: Mask) -> tuple[PixelSet, PixelSet, PixelSet]:
    """Pixels of a skeleton, and the numbers of pairs of neighbours, the first one first in the raster; diagonally only
    where there is no way around a corner, so that two links never cross."""
    width = skeleton.shape[1] + 2
    padded = np.pad(skeleton, 1)
    at = np.flatnonzero(padded)
    there = padded.ravel()
    west, east, south = there[at - 1], there[at + 1], there[at + width]
    number = np.arange(len(at))
    below = np.searchsorted(at, at + width)  # the pixel to the south, or the first one after it
    pairs = (
        (east, number + 1),
        (there[at + width - 1] & ~(west | south), below - 1),
        (south, below),
        (there[at + width + 1] & ~(east | south), below),
    )
    first = np.concatenate([number[linked] for linked, _ in pairs])
    second = np.concatenate([other[linked] for linked, other in pairs])
    return (at // width - 1) * (width - 2) + at % width - 1, first, second


class _Steps(NamedTuple):
    """Each link of a skeleton as a step from a pixel to a neighbour, and as one back; in the order of their pixels.

    Attributes:
        pixels: of the skeleton, indices into the raster.
        begins: the number of each pixel's first step.
        source, target: numbers of the pixels of each step.
        back: the number of each step's way back.
    """

    pixels: PixelSet
    begins: PixelSet
    source: PixelSet
    target: PixelSet
    back: PixelSet


def trace(skeleton: Mask, state: npt.NDArray[np.uint8] | None = None) -> Chains:
    """Follows a skeleton's pixels; chains end where not exactly two links meet, and where `state` changes.

    The order of the chains and of their pixels depends on the raster's own order only, not on where it begins.
    """
    steps = _steps(skeleton)
    degree, node = np.zeros(skeleton.shape, np.int8), np.zeros(skeleton.shape, bool)
    count = np.bincount(steps.source, minlength=len(steps.pixels))
    ends = (count != 2) & (count > 0)
    if state is not None:
        states = state.flat[steps.pixels]
        ends[steps.source[(states[steps.source] != states[steps.target]) & (steps.source < steps.target)]] = True
    degree.flat[steps.pixels] = count
    node.flat[steps.pixels] = ends
    return Chains(_paths(steps, ends), degree, node)


def _steps(skeleton: Mask) -> _Steps:
    pixels, first, second = links(skeleton)
    source, target = np.concatenate((first, second)), np.concatenate((second, first))
    order = np.argsort(source * len(pixels) + target)
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    back = back[(order + len(first)) % len(order)] if len(order) else order
    source, target = source[order], target[order]
    return _Steps(pixels, np.searchsorted(source, np.arange(len(pixels))), source, target, back)


def _paths(steps: _Steps, node: npt.NDArray[np.bool_]) -> list[PixelPath]:
    """Every chain once: from its end that comes first in the raster, rings from their first pixel on.

    After a step to a pixel that is no node comes the step from there that does not lead back.
    """
    pixels, begins, source, target, back = steps
    if not len(source):
        return []
    there = begins[target]
    onward = np.where(node[target], -1, there + (target[there] == source))
    paths, done = [], np.zeros(len(source), bool)
    for run in runs(onward):
        if not done[run[0]]:
            paths.append(pixels[np.append(source[run[0]], target[run])])
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
    count, part = scipy.sparse.csgraph.connected_components(_graph(onward), connection="weak")
    first, sizes = np.empty(count, np.int64), np.bincount(part)
    first[part[::-1]] = np.arange(len(part))[::-1]
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
    pixels, first, second = links(skeleton)
    graph = scipy.sparse.csr_array((np.ones(len(first)), (first, second)), (len(pixels), len(pixels)))
    return pixels, scipy.sparse.csgraph.connected_components(graph, directed=False)[1]
