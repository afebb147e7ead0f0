"""What a document states about a set of tiles that geo2map did not make: to be held against the tiles themselves."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from geo2map.errors import TileSetError
from geo2map.files.plain_text import plain_text
from geo2map.grid import MAX_ZOOM, to_lnglat
from geo2map.types import Bounds, LngLatBounds, Scheme

WORDS = ("attribution", "description", "legend", "license", "type", "version")
"""What people say of a set in their own words, as TileJSON and MBTiles name it: kept wherever a set goes."""
_MERCATOR = re.compile(
    r'(^|[:/"\s])(3857|900913|3785|102100|102113|41001)"?\]*$|pseudo.mercator|mercator_auxiliary_sphere'
)
_WKT_NAME = re.compile(r'\w+\["([^"]+)"')
_OTHER_PROFILES = frozenset({"geodetic", "global-geodetic", "raster", "local", "custom"})


@dataclass(frozen=True)
class Statement:
    """What one document states; what it is silent about is empty or None.

    Attributes:
        document: its name.
        order: how it counts rows: "xyz" from the north, "tms" from the south.
        grid: another grid than web-mercator's, in words for a message.
        bounds: degrees, as the document has them; any four numbers.
        boxes: the same as it may be meant: lower left and upper right, or latitudes first, or metres.
        name, format: of the set.
        zooms: lowest and largest.
        center: degrees, and a zoom where there is one.
        words: the `WORDS` that are there.
    """

    document: str
    order: Scheme | None = None
    grid: str = ""
    bounds: tuple[float, ...] = ()
    boxes: tuple[LngLatBounds, ...] = ()
    name: str = ""
    format: str = ""
    zooms: tuple[int, int] | None = None
    center: tuple[float, ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)

    @property
    def box(self) -> LngLatBounds | None:
        """The bounds as they should be read: west, south, east, north; None where they make no such sense."""
        in_metres = max(map(abs, self.bounds), default=0) > 360
        return next((box for box in self.boxes if in_metres or box[:2] == self.bounds[:2]), None)


def state(document: str, facts: Mapping[str, Any]) -> Statement:
    """The statement of a TileJSON document, or of metadata with the same names."""
    templates = facts.get("tiles")
    template = next((text for text in templates if isinstance(text, str)), "") if isinstance(templates, list) else ""
    bounds = _numbers(facts.get("bounds"), 4)
    return Statement(
        document=document,
        order=_order(facts.get("scheme"), template),
        grid=other_grid(facts.get("profile"), facts.get("crs"), facts.get("srs")) or swapped_grid(template),
        bounds=bounds,
        boxes=read_boxes(bounds),
        name=_text(facts.get("name")),
        format=_text(facts.get("format")),
        zooms=_zooms(facts),
        center=_numbers(facts.get("center"), 2, 3),
        words=words_of(facts),
    )


def require_mercator(where: object, *statements: Statement) -> None:
    """Refuses tiles that are stated to lie on another grid than web-mercator's.

    Raises:
        TileSetError: names the grid, and the document that states it.
    """
    for statement in statements:
        if statement.grid:
            raise TileSetError(
                f"{where} holds tiles of another scheme ({statement.grid}; see {statement.document}), but geo2map "
                "reads web-mercator tiles named {z}/{x}/{y}: cut the scene anew for web-mercator"
            )


def words_of(facts: Mapping[str, Any]) -> dict[str, str]:
    """The `WORDS` that facts have."""
    found = {key: _text(facts.get(key)) for key in WORDS}
    return {key: text for key, text in found.items() if text}


def other_grid(profile: Any, *systems: Any) -> str:
    """A profile or reference system that is not web-mercator's, as a document names it; "" where there is none."""
    for system in map(_text, systems):
        if system and not _MERCATOR.search(system.lower()):
            named = _WKT_NAME.match(system)
            return named[1] if named else system[:40]
    kind = _text(profile)
    return f"profile {kind}" if kind.lower() in _OTHER_PROFILES else ""


def swapped_grid(template: str) -> str:
    """What is special about a tile's address that names the row before the column, "" where it does not."""
    row, column = (max(template.find(word) for word in words) for words in (("{y}", "{-y}"), ("{x}",)))
    return "{z}/{y}/{x}, rows before columns" if 0 <= row < column else ""


def read_boxes(bounds: tuple[float, ...]) -> tuple[LngLatBounds, ...]:
    """Four numbers as bounds in degrees, the likeliest reading first."""
    if len(bounds) != 4:
        return ()
    first, second, third, fourth = bounds
    if max(map(abs, bounds)) > 360:  # metres
        return tuple(_boxes(*to_lnglat(Bounds(*bounds))))
    return (*_boxes(*bounds), *_boxes(second, first, fourth, third))  # older gdal2tiles put latitudes first


def _boxes(west: float, south: float, east: float, north: float) -> Iterable[LngLatBounds]:
    if east <= west and east >= -180 and west <= 180 and west - east > 180:  # across the antimeridian
        east += 360
    if -90 <= south < north <= 90 and -180.001 <= west < east <= 540.001 and west <= 180:
        yield LngLatBounds(west, south, east, north)


def _order(scheme: Any, template: str) -> Scheme | None:
    if "{-y}" in template:
        return "tms"
    return {"tms": "tms", "xyz": "xyz"}.get(_text(scheme).lower())  # type: ignore[return-value]


def _zooms(facts: Mapping[str, Any]) -> tuple[int, int] | None:
    found = [_numbers([facts.get(key)], 1) for key in ("minzoom", "maxzoom")]
    if not all(found) or not all(0 <= number <= MAX_ZOOM + 8 for (number,) in found):
        return None
    return int(found[0][0]), int(found[1][0])


def _numbers(value: Any, *lengths: int) -> tuple[float, ...]:
    """Some numbers, of a list or a text with commas; () where it is anything else."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or len(parts) not in lengths:
        return ()
    try:
        numbers = tuple(float(part) for part in parts)
    except (TypeError, ValueError):
        return ()
    return numbers if all(map(math.isfinite, numbers)) else ()


def _text(value: Any) -> str:
    """A value as text that any file can hold: numbers and objects are spelled, nothing is ""."""
    if value is None or isinstance(value, bool):
        return ""
    return plain_text(value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
