"""Features of a map of classes, core by core."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from geo2map.errors import DataError
from geo2map.features.areas import AreaPart, Region, area_parts, layers
from geo2map.features.buildings import Buildings
from geo2map.features.evidence import gather
from geo2map.features.roads import RoadLine, RoadPart, road_parts, skeleton
from geo2map.features.stitching import AreaStitcher, RoadStitcher
from geo2map.features.window import BLOCK, Box, ClassMap

HALO = 640
"""Pixels around a core that its features may depend on."""
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
        DataError: a core that is no such multiple.
    """
    return stitch(source, (extract_core(source, window) for window in cores(source.bounds, core)))


def cores(bounds: Box, core: int = CORE) -> list[Box]:
    """The cores of a map, row by row."""
    if core < BLOCK or core % BLOCK:
        raise DataError(f"cores of {core} px: give a multiple of {BLOCK}")
    return list(bounds.tiled(core))


def extract_core(source: ClassMap, core: Box) -> CoreParts:
    """What one core holds; depends on nothing farther than `HALO` from it."""
    window = core.clipped(source.bounds).grown(HALO)
    reading = source.beyond(window)
    evidence = gather(reading, source.classes)
    lines, state = skeleton(evidence)
    buildings = Buildings(evidence, source.classes, reading)
    inner = core.clipped(source.bounds)
    areas = [
        part
        for layer in (*layers(evidence, source.classes, lines), buildings.layer)
        for part in area_parts(layer, window, core, source.bounds)
    ]
    return CoreParts(
        list(buildings.squared(window, inner, source.metres)),
        road_parts(lines, state, evidence, window, core, source.bounds),
        areas,
        reading.road is not None,
    )


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
