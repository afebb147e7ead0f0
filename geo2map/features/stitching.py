"""Joins what cores found into whole features, holding only what is not finished."""

from __future__ import annotations

from collections.abc import Iterator

import shapely

from geo2map.features.areas import COVERAGE, LEAST_AREA, AreaPart, Region
from geo2map.features.roads import RoadLine, RoadPart
from geo2map.features.streets import UNITS

Key = tuple[int, int]


class RoadStitcher:
    """Joins parts of roads at the pixels where cores cut them."""

    def __init__(self, metres: float, scored: bool) -> None:
        self._metres, self._scored = metres, scored
        self._open: dict[Key, RoadPart] = {}

    def add(self, part: RoadPart) -> Iterator[RoadLine]:
        """Takes a part and yields the road that it completes, if it does."""
        for at_end in (True, False):
            key = part.end if at_end else part.start
            if key is None or (key == part.start == part.end):
                continue
            other = self._open.pop(key, None)
            if other is None:
                continue
            for end in (other.start, other.end):
                if end is not None and self._open.get(end) is other:
                    del self._open[end]
            if at_end:
                part = part.followed(other if other.start == key else other.reversed())
            else:
                part = (other if other.end == key else other.reversed()).followed(part)
        if part.start == part.end:  # both at nodes, or a ring that is closed
            yield part.finished(self._metres, self._scored)
            return
        for end in (part.start, part.end):
            if end is not None:
                self._open[end] = part

    @property
    def held(self) -> int:
        """How many unfinished parts are held."""
        return len({id(part) for part in self._open.values()})


class _Group:
    """Parts of one area so far, and how many stretches of border it goes on over."""

    def __init__(self, part: AreaPart) -> None:
        self.kind, self.polygons, self.open = part.kind, [part.polygon], 0
        self.score, self.pixels = part.score, part.pixels
        self._into: _Group | None = None

    def root(self) -> _Group:
        """The group that this one has become a part of."""
        group = self
        while group._into is not None:
            if group._into._into is not None:
                group._into = group._into._into
            group = group._into
        return group

    def joined(self, other: _Group) -> _Group:
        """Both groups as one."""
        if other is self:
            return self
        more, less = (self, other) if len(self.polygons) >= len(other.polygons) else (other, self)
        more.polygons += less.polygons
        more.open += less.open
        more.pixels += less.pixels
        more.score = None if more.score is None or less.score is None else more.score + less.score
        less.polygons, less._into = [], more
        return more


class AreaStitcher:
    """Joins parts of areas over the borders of blocks."""

    def __init__(self, metres: float) -> None:
        self._metres = metres
        self._open: dict[tuple[str, int, int, int, int], _Group] = {}

    def add(self, part: AreaPart) -> Iterator[Region]:
        """Takes a part and yields the area that it completes, if it does."""
        group = _Group(part)
        for key in part.border:
            other = self._open.pop((part.kind, *key), None)
            if other is None:
                self._open[part.kind, *key] = group
                group.open += 1
            else:
                group = group.joined(other.root())
                group.open -= 1
        if not group.open:
            yield from self._finished(group)

    def _finished(self, group: _Group) -> Iterator[Region]:
        polygon = group.polygons[0] if len(group.polygons) == 1 else shapely.union_all(group.polygons)
        least = 0 if group.kind == COVERAGE else LEAST_AREA * UNITS**2
        if polygon.area < least:
            return
        holes = [ring for ring in polygon.interiors if shapely.Polygon(ring).area >= least]
        if len(holes) < len(polygon.interiors):
            polygon = shapely.Polygon(polygon.exterior, holes)
        confidence = None if group.score is None else round(group.score / 255 / group.pixels, 4)
        yield Region(group.kind, polygon.normalize(), polygon.area / UNITS**2 * self._metres**2, confidence)

    @property
    def held(self) -> int:
        """How many parts are held."""
        return sum(len(group.polygons) for group in {group.root() for group in self._open.values()})
