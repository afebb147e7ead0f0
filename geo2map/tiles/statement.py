"""Statements of a document about a tile set of another program, to be compared with its tiles."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from geo2map.errors import TileSetError
from geo2map.files.plain_text import plain_text
from geo2map.grid import MAX_ZOOM, to_lnglat
from geo2map.types import Bounds, LngLatBounds, Scheme

WORDS = ("attribution", "description", "legend", "license", "type", "version")
"""Descriptive texts of TileJSON and MBTiles, preserved by conversions."""
_MERCATOR = re.compile(
    r'(^|[:/"\s])(3857|900913|3785|102100|102113|41001)"?\]*$|pseudo.mercator|mercator_auxiliary_sphere'
)
_WKT_NAME = re.compile(r'\w+\["([^"]+)"')
_OTHER_PROFILES = frozenset({"geodetic", "global-geodetic", "raster", "local", "custom"})


@dataclass(frozen=True)
class Statement:
    """Statements of one document; empty or None if not stated.

    Attributes:
        document: file name.
        order: row order: "xyz" from the north, "tms" from the south.
        grid: a grid other than web-mercator, in words for a message.
        bounds: the four numbers of the document, nominally degrees.
        boxes: their possible interpretations: lower left and upper right, latitudes first, or metres.
        name, format: of the tile set.
        zooms: lowest and largest.
        center: degrees, optionally with a zoom.
        words: texts by `WORDS`.
        vector_layers: layers of vector tiles, see `vector_layers_of`; None if the document cannot list them.
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
    vector_layers: tuple[Mapping[str, Any], ...] | None = None

    @property
    def box(self) -> LngLatBounds | None:
        """The bounds by their standard interpretation: west, south, east, north; None if that is invalid."""
        in_metres = max(map(abs, self.bounds), default=0) > 360
        return next((box for box in self.boxes if in_metres or box[:2] == self.bounds[:2]), None)


def parse_statement(document: str, facts: Mapping[str, Any]) -> Statement:
    """Statements of a TileJSON document, or of metadata with the same keys."""
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
        vector_layers=vector_layers_of(facts),
    )


def require_mercator(where: object, *statements: Statement) -> None:
    """Refuse tiles stated to be on another grid than web-mercator.

    Raises:
        TileSetError: names the grid and the document.
    """
    for statement in statements:
        if statement.grid:
            raise TileSetError(
                f"{where}: tiles of another grid ({statement.grid}; see {statement.document}), but geo2map reads "
                "web-mercator tiles named {z}/{x}/{y}; tile the scene again for web-mercator"
            )


def words_of(facts: Mapping[str, Any]) -> dict[str, str]:
    """The texts by `WORDS` in some metadata."""
    found = {key: _text(facts.get(key)) for key in WORDS}
    return {key: text for key, text in found.items() if text}


def vector_layers_of(facts: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """The layers of vector tiles in some metadata: objects with an "id", as TileJSON has them; MBTiles in "json"."""
    listed = facts.get("vector_layers")
    if listed is None and isinstance(text := facts.get("json"), str):
        with suppress(ValueError, AttributeError):
            listed = json.loads(text).get("vector_layers")
    entries = listed if isinstance(listed, list) else []
    return tuple(entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("id"), str))


def other_grid(profile: Any, *systems: Any) -> str:
    """Name of a profile or reference system other than web-mercator; "" without one."""
    for system in map(_text, systems):
        if system and not _MERCATOR.search(system.lower()):
            named = _WKT_NAME.match(system)
            return named[1] if named else system[:40]
    kind = _text(profile)
    return f"profile {kind}" if kind.lower() in _OTHER_PROFILES else ""


def swapped_grid(template: str) -> str:
    """Description of a URL template with the row before the column; "" for any other."""
    row, column = (max(template.find(word) for word in words) for words in (("{y}", "{-y}"), ("{x}",)))
    return "{z}/{y}/{x}, rows before columns" if 0 <= row < column else ""


def read_boxes(bounds: tuple[float, ...]) -> tuple[LngLatBounds, ...]:
    """Interpretations of four numbers as bounds in degrees, the likeliest first."""
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
    """Numbers from a list or a comma-separated text; () for anything else."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or len(parts) not in lengths:
        return ()
    try:
        numbers = tuple(float(part) for part in parts)
    except (TypeError, ValueError):
        return ()
    return numbers if all(map(math.isfinite, numbers)) else ()


def _text(value: Any) -> str:
    """A value as text for any file: numbers and objects as JSON, None as ""."""
    if value is None or isinstance(value, bool):
        return ""
    return plain_text(value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
