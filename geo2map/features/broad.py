"""Highways and broad roads as areas with even borders: redrawn along their centre lines, in smoothed widths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from geo2map.features.areas import AREA_BLUR, WHOLE
from geo2map.features.chains import trace
from geo2map.features.evidence import BROAD, PAVED_REACH, WIDEST_ROAD, Evidence
from geo2map.features.pruning import LONGEST_SPUR, PRUNING_ROUNDS, without_spurs
from geo2map.features.rasters import Depth, PixelSet, eroded, painted, smooth_reach, smoothed, within
from geo2map.features.roads import TIDY_PASSES
from geo2map.features.streets import CLUSTER, FADE, FINE, SMOOTHED, UNITS, Street, gaussian, streets
from geo2map.features.thinning import thin_lines
from geo2map.types import Mask

_Halves = npt.NDArray[np.float32]

_SIGMA, _ALONG = 12.0, 36
"""Standard deviation of the Gaussian that smooths widths along a street, and where it ends. Pixels."""
_WEIGHTS = gaussian(_SIGMA, _ALONG)
_AT_END = 2 * WIDEST_ROAD
"""Pixels from the edge of the data within which areas keep their shape: centre lines stop short of it, and an area
redrawn along one would end in a semicircle."""
BROAD_REACH = (
    PAVED_REACH
    + (2 * BROAD + 1)
    + smooth_reach(AREA_BLUR)
    + WIDEST_ROAD
    + 2 * TIDY_PASSES
    + PRUNING_ROUNDS * (LONGEST_SPUR + 1)
    + max(3 * CLUSTER + FADE + SMOOTHED, _ALONG)
    + WIDEST_ROAD
)
"""Pixels around one that decide whether it is part of such an area, each step after the one before it."""


def evened(evidence: Evidence) -> Evidence:
    """The evidence with even borders of highways and of broad roads."""
    return replace(evidence, highway=_evened(evidence.highway, evidence), broad=_evened(evidence.broad, evidence))


def _evened(mask: Mask, evidence: Evidence) -> Mask:
    if not mask.any():
        return mask
    part = _around(mask)
    even = np.zeros_like(mask)
    even[part] = _repainted(mask[part], evidence.cropped(part, shared=True))
    return even


def _around(mask: Mask) -> tuple[slice, slice]:
    """Rows and columns of a mask's bounding box with all that its new borders depend on."""
    found = []
    for axis, length in ((1, mask.shape[0]), (0, mask.shape[1])):
        there = np.flatnonzero(mask.any(axis))
        found.append(slice(max(0, int(there[0]) - 2 * _AT_END), min(length, int(there[-1]) + 2 * _AT_END)))
    return found[0], found[1]


def _repainted(mask: Mask, evidence: Evidence) -> Mask:
    """A mask redrawn with even borders; lots, and what lies near the edge of the data, keep their shape."""
    mask = smoothed(mask, AREA_BLUR) > WHOLE // 2
    depth = Depth(mask, WIDEST_ROAD)
    lots = depth.beyond(WIDEST_ROAD)
    alone = replace(evidence, road=mask & ~lots, depth=depth)  # as if there were no other roads
    lines = thin_lines(alone.road, TIDY_PASSES)
    for _ in range(PRUNING_ROUNDS):
        lines = without_spurs(lines, alone)
    even = within(lots, WIDEST_ROAD)
    if found := streets(trace(lines), alone):
        even |= _painted(found, alone)
    even |= mask & ~eroded(~even)  # an even width has two middle rows, and the centre line follows one
    known = evidence.known
    if not known.all():
        changed = np.flatnonzero(even != mask)
        changed = changed[Depth(known, _AT_END).at(changed) <= _AT_END]
        even.flat[changed] = mask.flat[changed]
    return even


def _painted(found: list[Street], evidence: Evidence) -> Mask:
    """Pixels within a street's smoothed half width of its centre line, bool (H, W)."""
    height, width = evidence.road.shape
    halves = evidence.half_width(np.concatenate([street.path for street in found]))
    ends = np.cumsum([len(street.path) for street in found])
    radii = np.concatenate(
        [_smoothed(own, street.ring) for own, street in zip(np.split(halves, ends[:-1]), found, strict=True)]
    )
    column, row = np.concatenate([street.line for street in found]).T // UNITS
    pixels = np.clip(row, 0, height - 1) * width + np.clip(column, 0, width - 1)
    return painted((height, width), pixels, radii)


def _smoothed(halves: _Halves, ring: bool) -> _Halves:
    """Half widths through a Gaussian along a street: in whole numbers, alike whichever way it was followed."""
    whole: PixelSet = np.rint(UNITS * halves).astype(np.int64)
    rows = np.pad(whole[:-1], _ALONG, mode="wrap") if ring else np.pad(whole, _ALONG, mode="symmetric")
    smooth = np.convolve(rows, _WEIGHTS, "valid")
    return (np.append(smooth, smooth[:1]) if ring else smooth).astype(np.float32) / np.float32(FINE * UNITS)
