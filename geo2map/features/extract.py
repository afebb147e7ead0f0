"""Features of a map of classes, core by core."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from geo2map.errors import DataError
from geo2map.features.areas import BESIDE, AreaPart, Region, area_parts, layers
from geo2map.features.bridging import BEHIND, LONGEST_BRIDGE, NEAR
from geo2map.features.buildings import LARGEST, Buildings
from geo2map.features.evidence import ACROSS, BLUR, HOLE_EXTENT, WIDEST_ROAD, gather_evidence
from geo2map.features.lines import NODING_CELL
from geo2map.features.pruning import ISLAND, LONGEST_SPUR, PRUNING_ROUNDS
from geo2map.features.rasters import smooth_reach
from geo2map.features.roads import AHEAD, TIDY, TIDY_PASSES, RoadLine, RoadPart, road_parts, road_skeleton
from geo2map.features.stitching import AreaStitcher, RoadStitcher
from geo2map.features.streets import CLUSTER
from geo2map.features.window import BLOCK, Box, ClassMap

LINES_REACH = CLUSTER + AHEAD + NODING_CELL
"""Pixels around a core that its lines depend on, once there is a skeleton: nodes, smoothing, widths, crossings."""
AREAS_REACH = max(BESIDE + WIDEST_ROAD, LARGEST) + 16
"""Pixels around a core that its areas and buildings depend on, once there is a skeleton."""
SKELETON_REACH = (
    2 * smooth_reach(BLUR)
    + ACROSS
    + HOLE_EXTENT
    + 2 * TIDY_PASSES
    + PRUNING_ROUNDS * (LONGEST_SPUR + 1)
    + ISLAND
    + (2 * LONGEST_BRIDGE + BEHIND + 2 * NEAR)
    + 2 * TIDY
    + LONGEST_SPUR
    + 1
)
"""Pixels that a skeleton's pixel depends on: evidence, thinning, pruning, bridges, and thinning once more."""
HALO = SKELETON_REACH + max(LINES_REACH, AREAS_REACH)
"""Pixels around a core that its features may depend on."""
_BEYOND = 128
"""Pixels for which the map's border goes on beyond it, so that roads run over it."""
CORE = 2048
"""Side of a core unless another is given, pixels."""

Feature = RoadLine | Region


class CoreParts(NamedTuple):
    """What a core holds: whole features, and parts that go on in its neighbours."""

    buildings: list[Region]
    roads: list[RoadPart]
    areas: list[AreaPart]
    scored: bool


def extract(source: ClassMap, core: int = CORE) -> Iterator[Feature]:
    """Features of a whole map, each as soon as it is complete; the same ones whatever the core.

    Args:
        source: the map.
        core: side of the squares worked on at once, a multiple of `BLOCK`; memory grows with its square.

    Raises:
        DataError: `core` is not a multiple of `BLOCK`.
    """
    return stitch(source, (extract_core(source, window) for window in cores(source.bounds, core)))


def cores(bounds: Box, core: int = CORE) -> list[Box]:
    """The cores of a map, row by row."""
    if core < BLOCK or core % BLOCK:
        raise DataError(f"cores of {core} px: give a multiple of {BLOCK}")
    return list(bounds.tiled(core))


def extract_core(source: ClassMap, core: Box) -> CoreParts:
    """What one core holds; depends on nothing farther than `HALO` from it."""
    inner, whole = core.clipped(source.bounds), source.bounds.grown(_BEYOND)
    window, by_lines, by_areas = (
        inner.grown(by).clipped(whole) for by in (HALO, LINES_REACH + WIDEST_ROAD, AREAS_REACH)
    )
    reading = source.beyond(window)
    evidence = gather_evidence(reading, source.classes)
    skeleton, state = road_skeleton(evidence, window.clipped(source.bounds).part(window))
    near = by_lines.part(window)
    roads = road_parts(skeleton[near], state[near], evidence.cropped(near), by_lines, inner, source.bounds)
    near = by_areas.part(window)
    evidence = evidence.cropped(near)
    buildings = Buildings(evidence, None if reading.building is None else reading.building[near])
    areas = [
        part
        for layer in (*layers(evidence, skeleton[near]), buildings.layer)
        for part in area_parts(layer, by_areas, core, source.bounds)
    ]
    return CoreParts(list(buildings.squared(by_areas, inner, source.metres)), roads, areas, reading.road is not None)


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
