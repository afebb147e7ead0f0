"""Areas: parks, water and what else is one; wide roads and highways; buildings too large to be squared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import shapely
from scipy import ndimage as ndi

from geo2map.features.coverage import Fields, trace_fields
from geo2map.features.evidence import EVERY, WIDEST_ROAD, Evidence, smoothed, without_small
from geo2map.features.streets import UNITS
from geo2map.features.window import BLOCK, Box
from geo2map.types import Mask

LEAST_AREA = 150
"""Square pixels of the least park or water, and of the least wide road."""
SPECK, HOLE = 64, 60
"""Most extent of what is dropped for being less, pixels, and square pixels of holes that are filled."""
AREA_BLUR = 2.0
"""Sigma that smooths outlines, pixels."""
_WIDE = 11
"""Half width from which on a road is an area, too, pixels."""
BESIDE = 14
"""Pixels from a highway within which a road is an area."""
INSET = 0.75
"""By how much a road's own half width is more than what it cuts out of parks and water, pixels."""
_TOLERANCE = 0.8
"""Tolerance of simplification, pixels."""
ROADS = ("road", "highway")
MADE = ("land", "building", *ROADS)
"""Classes that are no areas of the ground."""


@dataclass(frozen=True)
class Region:
    """An area of one class.

    Attributes:
        kind: a class that is an area, "building", or "road" or "highway" where it is too wide for a line alone.
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
    """

    kind: str
    polygon: shapely.Polygon
    border: frozenset[tuple[int, int, int, int]]


class AreaLayer(NamedTuple):
    """Fields that areas are traced from, of a window.

    Attributes:
        kinds: the class of each field but the first.
        fields: float32 (1 + kinds, H, W).
    """

    kinds: tuple[str, ...]
    fields: Fields


def layers(evidence: Evidence, classes: tuple[str, ...], lines: Mask) -> list[AreaLayer]:
    """What areas of a window are traced from: roads, then the ground that they cut."""
    names = np.array([*classes, "unknown"])
    drawn, fast = (np.isin(names, of)[evidence.kind] for of in (ROADS, ROADS[1:]))
    roads = [_wide(evidence, drawn, without_small(fast, LEAST_AREA, SPECK)), fast]
    shares = [smoothed(mask, AREA_BLUR) for mask in roads]
    shares[1] *= _without_specks(shares[1])
    paved = _against(shares)
    cut = smoothed(_corridor(evidence, lines) | ndi.binary_erosion(paved.argmax(0) > 0), 0.7)
    found = [AreaLayer(ROADS, paved)]
    kinds = tuple(dict.fromkeys(name for name in classes if name not in MADE))
    if kinds:
        depth, where = ndi.distance_transform_edt(drawn, return_indices=True)
        ground = np.where(depth <= WIDEST_ROAD, evidence.kind[tuple(where)], len(classes))
        masks = [_whole((names == kind)[ground]) for kind in kinds]
        fields = _against([smoothed(mask, AREA_BLUR) for mask in masks])
        fields[0] = np.maximum(fields[0], 1.6 * cut)
        found.append(AreaLayer(kinds, fields))
    return found


def _without_specks(share: Fields) -> Mask:
    """Where a share of more than half belongs to an area that is not small."""
    grown = ndi.binary_dilation(without_small(share > 0.5, LEAST_AREA, SPECK), EVERY)
    return grown | (share <= 0.5)


def _whole(mask: Mask) -> Mask:
    """An area without specks and without pinholes."""
    mask = without_small(mask, LEAST_AREA, SPECK)
    return ~without_small(~mask, HOLE)


def _against(shares: list[Fields]) -> Fields:
    """Shares of classes, with what is none of them in front."""
    rest = 1 - sum(shares)
    return np.stack([np.asarray(rest, np.float32), *shares])


def _wide(evidence: Evidence, drawn: Mask, fast: Mask) -> Mask:
    """Plazas, lots and broad roads: opened by a disk; and roads along highways, which share a centre line."""
    wide = np.zeros_like(fast)
    lots = (evidence.paved_depth > 0) & ~fast
    for core, around, paved in ((evidence.paved_depth > _WIDE, _WIDE + 1, lots), (fast, BESIDE, drawn & ~fast)):
        if core.any():
            wide |= (ndi.distance_transform_edt(~core) <= around) & paved
    return wide


def _corridor(evidence: Evidence, lines: Mask) -> Mask:
    """What roads cut out of the ground: around each centre line, a little less than its half width."""
    if not lines.any():
        return lines
    distance, where = ndi.distance_transform_edt(~lines, return_indices=True)
    half = evidence.half_width[tuple(where)]
    corridor: Mask = distance < np.clip(half - INSET, 2.0, None)
    return corridor


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
        for region in trace_fields(layer.fields[:, rows, columns], x, y, _TOLERANCE * UNITS):
            border = frozenset(key for key in region.border if (key[0], key[3 - key[0]]) not in edges)
            yield AreaPart(layer.kinds[region.label - 1], region.polygon, border)


def _units(pixels: npt.NDArray[np.int64], low: int, high: int) -> npt.NDArray[np.int64]:
    """Middles of pixels; of those beyond the map, its border."""
    return np.clip(pixels * UNITS + UNITS // 2, low * UNITS, high * UNITS)
