"""Areas: parks, water and what else is one; wide roads and highways; buildings too large to be squared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import shapely

from geo2map.features.coverage import Labels, Shares, trace_fields
from geo2map.features.evidence import GROUND, ROADS, Evidence
from geo2map.features.rasters import eroded, painted, smooth_reach, smooth_weight, smoothed, within
from geo2map.features.streets import UNITS
from geo2map.features.window import BLOCK, Box, CodesArray
from geo2map.types import Mask

COVERAGE = "coverage"
"""Kind of the areas where a map is, whatever their class."""
LEAST_AREA = 150
"""Square pixels of the least park or water, of the least wide road, and of the least hole in them."""
AREA_BLUR, CUT_BLUR = (4, 4, 4, 2), (2, 2)
"""Running sums that smooth outlines, and what roads cut out; Gaussians of 2 and of 0.7 pixels."""
WHOLE = smooth_weight(AREA_BLUR)
"""The share of a class that has all of a pixel."""
CUT_SHARE = WHOLE * 8 // 5
"""The share that roads have of a pixel in their midst."""
BESIDE = 14
"""Pixels from a highway within which a road is an area."""
COVERED_REACH = BESIDE + smooth_reach(AREA_BLUR)
"""Pixels around one that decide whether a road's area covers it."""
INSET = 0.75
"""By how much a road's own half width is more than what it cuts out of parks and water, pixels."""


@dataclass(frozen=True)
class Region:
    """An area of one class.

    Attributes:
        kind: a class that is an area, "building", "road" or "highway" where it is too wide for a line alone, or
            `COVERAGE`.
        polygon: in sixteenths of a pixel, whole numbers.
        area: square metres.
        confidence: mean probability, 0 to 1; None where it was not kept.
    """

    kind: str
    polygon: shapely.Polygon
    area: float
    confidence: float | None = None


class AreaPart(NamedTuple):
    """What a block has of an area.

    Attributes:
        kind: its class.
        polygon: in units.
        border: keys of the stretches of the block's border where it may go on.
        score: sum of 255 times the probability over its pixels; None where it was not kept.
        pixels: their number.
    """

    kind: str
    polygon: shapely.Polygon
    border: frozenset[tuple[int, int, int, int]]
    score: int | None
    pixels: int


class AreaLayer(NamedTuple):
    """What areas of a window are traced from.

    Attributes:
        kinds: the classes.
        top: uint8 (H, W), 1 plus the index of each pixel's class; 0 where there is none.
        shares: uint16 (H, W) of nothing and of each class, which draw the borders; empty for half way.
        score: uint8 (H, W), 255 times the probability of the classes; None where it was not kept.
        tolerance: by how much outlines are simplified, pixels.
    """

    kinds: tuple[str, ...]
    top: Labels
    shares: tuple[Shares, ...]
    score: CodesArray | None = None
    tolerance: float = 0.8


def layers(evidence: Evidence, lines: Mask, unseen: Mask, scored: bool) -> Iterator[AreaLayer]:
    """What areas of a window are traced from: roads, then the ground that they cut; one at a time, for memory.

    Args:
        evidence: of the window.
        lines: centre lines of its roads, bool (H, W).
        unseen: those that only areas show, bool (H, W); where there is no area, they cut nothing.
        scored: whether the map has scores.
    """
    paved = _paved(evidence)._replace(score=evidence.score if scored else None)
    covered = paved.top > 0
    yield paved
    del paved
    cut = smoothed(_corridor(evidence, lines & (covered | ~unseen)) | eroded(covered), CUT_BLUR)
    kinds = tuple(dict.fromkeys(name for name in evidence.names[:-1] if name not in GROUND))
    if kinds:
        yield _ground(evidence, kinds, cut)


def coverage_layer(evidence: Evidence) -> AreaLayer:
    """Where anything is known, to the pixel."""
    return AreaLayer((COVERAGE,), evidence.known.view(np.uint8), (), tolerance=0.0)


def _paved(evidence: Evidence) -> AreaLayer:
    """Highways, and roads too wide for a line."""
    return _layer(ROADS, [_share(_wide(evidence)), _share(evidence.highway)])


def _share(mask: Mask) -> Shares:
    return smoothed(mask, AREA_BLUR) if mask.any() else mask.astype(np.uint16)


def _ground(evidence: Evidence, kinds: tuple[str, ...], cut: Shares) -> AreaLayer:
    """Parks, water and what else is one; below roads goes on what lies beside them."""
    shares = [_share(evidence.where(kind)) for kind in kinds]
    beside = _share(~evidence.where(*ROADS))
    here = np.flatnonzero((reduce(np.bitwise_or, shares) > 0) & ((beside < WHOLE) | (cut > 0)))
    beside = beside.flat[here].astype(np.uint32)
    for share in shares:
        share.flat[here] = share.flat[here] * np.uint32(WHOLE) // np.maximum(beside, 1)
    layer = _layer(kinds, shares)
    nothing = layer.shares[0]
    nothing.flat[here] = np.maximum(
        nothing.flat[here], cut.flat[here] * np.uint32(CUT_SHARE) // smooth_weight(CUT_BLUR)
    )
    return _chosen(kinds, (nothing, *shares))


def _layer(kinds: tuple[str, ...], shares: list[Shares]) -> AreaLayer:
    """Shares of classes, with what is none of them in front."""
    nothing = np.full(shares[0].shape, WHOLE, np.uint16)
    for share in shares:
        nothing -= np.minimum(share, nothing)
    return _chosen(kinds, (nothing, *shares))


def _chosen(kinds: tuple[str, ...], shares: tuple[Shares, ...]) -> AreaLayer:
    """The class of the greatest share; of equal ones the first."""
    top, most = np.zeros(shares[0].shape, np.uint8), shares[0]
    for number, share in enumerate(shares[1:], 1):
        top[share > most] = number
        most = np.maximum(most, share)
    return AreaLayer(kinds, top, shares)


def _wide(evidence: Evidence) -> Mask:
    """Broad roads, and roads along highways, which share a centre line."""
    beside = within(evidence.highway, BESIDE) & evidence.where("road")
    return (evidence.broad | beside) & ~(evidence.highway | evidence.where("highway"))


def _corridor(evidence: Evidence, lines: Mask) -> Mask:
    """What roads cut out of the ground: around each centre line, a little less than its half width."""
    pixels = np.flatnonzero(lines)
    return painted(lines.shape, pixels, np.maximum(evidence.half_width(pixels) - INSET, np.float32(2)))


def area_parts(layer: AreaLayer, window: Box, core: Box, bounds: Box) -> Iterator[AreaPart]:
    """Parts of a layer's areas, block by block of a core."""
    for block in core.tiled(BLOCK):
        # the outermost blocks begin half a pixel before the map's first middle, at its border
        left = block.left if block.left > bounds.left else bounds.left - 1
        top = block.top if block.top > bounds.top else bounds.top - 1
        right, bottom = min(block.right, bounds.right), min(block.bottom, bounds.bottom)
        if right <= max(left, bounds.left) or bottom <= max(top, bounds.top):
            continue
        rows = slice(top - window.top, bottom + 1 - window.top)
        columns = slice(left - window.left, right + 1 - window.left)
        x = _units(np.arange(left, right + 1), bounds.left, bounds.right)
        y = _units(np.arange(top, bottom + 1), bounds.top, bounds.bottom)
        edges = {(1, int(x[0])), (1, int(x[-1])), (0, int(y[0])), (0, int(y[-1]))} & {
            (1, UNITS * bounds.left),
            (1, UNITS * bounds.right),
            (0, UNITS * bounds.top),
            (0, UNITS * bounds.bottom),
        }
        shares = [share[rows, columns] for share in layer.shares]
        score = None if layer.score is None else layer.score[rows, columns]
        top_here, tolerance = layer.top[rows, columns], layer.tolerance * UNITS
        for region in trace_fields(top_here, shares, x, y, tolerance=tolerance, values=score):
            border = frozenset(key for key in region.border if (key[0], key[3 - key[0]]) not in edges)
            total = None if score is None else region.total
            yield AreaPart(layer.kinds[region.label - 1], region.polygon, border, total, region.pixels)


def _units(pixels: npt.NDArray[np.int64], low: int, high: int) -> npt.NDArray[np.int64]:
    """Middles of pixels; of those beyond the map, its border."""
    return np.clip(pixels * UNITS + UNITS // 2, low * UNITS, high * UNITS)
