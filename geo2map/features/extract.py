"""Features of a map of classes, core by core."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, pairwise
from typing import NamedTuple

from geo2map.errors import DataError
from geo2map.features.areas import COVERED_REACH, CUT_BLUR, AreaPart, Region, area_parts, coverage_layer, layers
from geo2map.features.bridging import BRIDGING_REACH
from geo2map.features.broad import evened
from geo2map.features.buildings import BUILDING_BLUR, LARGEST, STICKING, Buildings
from geo2map.features.evidence import PAVED_REACH, WIDEST_ROAD, Evidence, gather_evidence
from geo2map.features.lines import NODING_CELL
from geo2map.features.pruning import ISLAND, LONGEST_SPUR, PRUNING_ROUNDS, TAIL
from geo2map.features.rasters import smooth_reach
from geo2map.features.roads import AHEAD, HIGHWAY, TIDY, TIDY_PASSES, RoadLine, RoadPart, road_parts, road_skeleton
from geo2map.features.stitching import AreaStitcher, RoadStitcher
from geo2map.features.streets import AWAY, CLUSTER, FADE, SMOOTHED
from geo2map.features.window import BLOCK, Box, ClassMap
from geo2map.types import Mask

EVIDENCE_REACH = PAVED_REACH + WIDEST_ROAD
"""Pixels around one that decide whether it is road."""
SKELETON_REACH = (
    EVIDENCE_REACH
    + 2 * (TIDY_PASSES + TIDY)
    + (PRUNING_ROUNDS + 1) * (LONGEST_SPUR + 1)
    + (2 * TAIL + 1)
    + ISLAND
    + BRIDGING_REACH
)
"""Pixels that a skeleton's pixel depends on, each step after the one before it."""
LINES_REACH = max(2 * CLUSTER + NODING_CELL + (CLUSTER + FADE + SMOOTHED), CLUSTER + AHEAD + AWAY)
"""Pixels of skeleton around a core that its lines depend on: two that cross and are off their pixels by a cluster at
most, a cell of the other, what bends and smooths that; or the widths of what goes on."""
AREAS_REACH = WIDEST_ROAD + smooth_reach(CUT_BLUR) + COVERED_REACH + 1
"""Pixels of skeleton and evidence around a core that its areas depend on."""
BUILDINGS_REACH = LARGEST + 2 * STICKING + smooth_reach(BUILDING_BLUR) + 1
"""Pixels of codes around a core that its buildings depend on."""
NEAR_CORE = max(max(LINES_REACH, AREAS_REACH) + WIDEST_ROAD, BUILDINGS_REACH)
"""Pixels around a core in which there is a skeleton; it ends in evidence of how wide roads are."""
HALO = SKELETON_REACH + max(LINES_REACH, AREAS_REACH)
"""Pixels around a core that its features may depend on."""
_BEYOND = 128
"""Pixels for which the map's border goes on beyond it, so that roads run over it."""
WINDOW = 2048 + 2 * HALO
"""Most extent of a core with its halo unless the cores' size is given, pixels: memory grows with its square."""

Feature = RoadLine | Region


class CoreParts(NamedTuple):
    """What a core holds: whole features, and parts that go on in its neighbours."""

    buildings: list[Region]
    roads: list[RoadPart]
    areas: list[AreaPart]
    scored: bool


def extract(source: ClassMap, core: int | None = None) -> Iterator[Feature]:
    """Features of a whole map, each as soon as it is complete; the same ones whatever the core.

    Args:
        source: the map.
        core: most extent of what is worked on at once, a multiple of `BLOCK`; None is what fits into `WINDOW`.

    Raises:
        DataError: `core` is not a multiple of `BLOCK`.
    """
    return stitch(source, (extract_core(source, window) for window in cores(source.bounds, core)))


def cores(bounds: Box, core: int | None = None) -> list[Box]:
    """The cores of a map, row by row: of whole blocks, as few as can be, and alike, since each has a halo."""
    if core is not None and (core < BLOCK or core % BLOCK):
        raise DataError(f"cores of {core} px: give a multiple of {BLOCK}")
    columns = _divided(bounds.left, bounds.right, core)
    return [
        Box(left, top, right, bottom)
        for top, bottom in _divided(bounds.top, bounds.bottom, core)
        for left, right in columns
    ]


def _divided(start: int, stop: int, most: int | None) -> list[tuple[int, int]]:
    """Stretches of whole blocks that cover one, at most so long, or such that they fit into `WINDOW`."""
    first, last = start // BLOCK, -(-stop // BLOCK)
    for count in range(1, last - first + 1):
        borders = [BLOCK * (first + (last - first) * number // count) for number in range(count + 1)]
        parts = list(pairwise(borders))
        if max(high - low if most else _extent(low, high, start, stop) for low, high in parts) <= (most or WINDOW):
            break
    return parts


def _extent(low: int, high: int, start: int, stop: int) -> int:
    """How much is read for a stretch of a map, which goes on for a little beyond its border."""
    return min(high + HALO, stop + _BEYOND) - max(low - HALO, start - _BEYOND)


def extract_core(source: ClassMap, core: Box) -> CoreParts:
    """What one core holds; depends on nothing farther than `HALO` from it."""
    inner, whole = core.clipped(source.bounds), source.bounds.grown(_BEYOND)
    window, near = (inner.grown(by).clipped(whole) for by in (HALO, NEAR_CORE))
    reading, part = source.beyond(window), near.part(window)
    score = None if reading.building is None else reading.building[part].copy()
    scored, evidence = reading.road is not None, gather_evidence(reading, source.classes)
    del reading  # the window is large, and memory is held by each core under way
    evidence = evened(evidence)
    skeleton, state = road_skeleton(evidence, window, near, source.bounds)
    evidence = evidence.cropped(part)
    roads = road_parts(skeleton, state, evidence, near, inner, source.bounds)
    areas = list(_areas(evidence, skeleton, state & HIGHWAY > 0, near, inner, source.bounds, scored=scored))
    del skeleton, state
    buildings = Buildings(evidence, score, source.bounds.clipped(near).part(near))
    areas += area_parts(buildings.layer, near, core, source.bounds)
    return CoreParts(list(buildings.squared(near, inner, source.metres)), roads, areas, scored)


def _areas(
    evidence: Evidence, lines: Mask, unseen: Mask, window: Box, inner: Box, bounds: Box, *, scored: bool
) -> Iterator[AreaPart]:
    """Parts of a core's areas, a row of blocks at a time: the shares of all classes are many planes."""
    for top in range(inner.top // BLOCK * BLOCK, inner.bottom, BLOCK):
        row = Box(inner.left, top, inner.right, top + BLOCK).clipped(inner)
        around = row.grown(AREAS_REACH).clipped(window)
        part = around.part(window)
        there = evidence.cropped(part, shared=True)
        for layer in chain(layers(there, lines[part], unseen[part], scored), (coverage_layer(there),)):
            yield from area_parts(layer, around, row, bounds)


def stitch(source: ClassMap, parts: Iterable[CoreParts]) -> Iterator[Feature]:
    """Joins what cores hold, given in any order; yields each feature as soon as it is complete."""
    areas = AreaStitcher(source.metres)
    roads: RoadStitcher | None = None
    for found in parts:
        roads = roads or RoadStitcher(source.metres, found.scored)
        yield from found.buildings
        for road in found.roads:
            yield from roads.add(road)
        for area in found.areas:
            yield from areas.add(area)
