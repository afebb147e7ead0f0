"""Other programs' documents beside tiles: gdal2tiles, mbutil, MapTiler, GDAL, WMTS servers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError, fromstring

from geo2map.files.encoding import decode_text
from geo2map.tiles.statement import Statement, other_grid, parse_statement, read_boxes, swapped_grid, words_of

_LARGEST = 2**21
"""Size limit of a document, in bytes."""
_TEMPLATE = re.compile(r"""["'](?:\./)?(\{z\}/[^"']*?)["']""")
_PROJECTION = re.compile(r"""projection:\s*(?:new\s+ol\.proj\.Projection\(\{\s*code:\s*)?["']([A-Za-z]+:\d+)["']""")
_LEAFLET_ORDER = re.compile(r"\btms\s*:\s*(1|0|true|false)\b")
_BROKEN = (ValueError, ParseError, TypeError, KeyError, AttributeError, RecursionError)
_HALF_WORLD = 2e7
"""Slightly less than half the world in metres: an origin that far north is the upper edge."""


def read_statements(folder: Path) -> tuple[Statement, ...]:
    """The statements of the documents in a folder of tiles, most reliable first; unreadable ones are ignored."""
    found = []
    for name, read in _READERS.items():
        text = _read(folder / name)
        try:
            statement = read(name, text) if text else None
        except _BROKEN:
            statement = None
        if statement is not None:
            found.append(statement)
    return tuple(found)


def _read(path: Path) -> str:
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST:
            return ""
        data = path.read_bytes()
    except OSError:
        return ""
    try:
        return decode_text(data)
    except UnicodeDecodeError:  # e.g. Latin-1: the relevant parts are ASCII
        return data.decode(errors="replace")


def _json(name: str, text: str) -> Statement | None:
    found = json.loads(text)
    return parse_statement(name, found) if isinstance(found, dict) else None


def _tile_map_service(name: str, text: str) -> Statement | None:
    """tilemapresource.xml of OSGeo's TMS: rows count from its origin, usually the south."""
    root = _xml(text, "TileMap")
    sets, box, origin = (next(_all(root, tag), None) for tag in ("TileSets", "BoundingBox", "Origin"))
    system = _first(root, "SRS")
    zooms = [int(entry.get("order", "")) for entry in _all(root, "TileSet") if entry.get("order", "").isdigit()]
    bounds = () if box is None else tuple(float(box.get(key, "")) for key in ("minx", "miny", "maxx", "maxy"))
    north = origin is not None and float(origin.get("y") or 0) > _HALF_WORLD
    tile = next(_all(root, "TileFormat"), None)
    facts = {"attribution": _first(root, "Attribution"), "description": _first(root, "Abstract")}
    return Statement(
        document=name,
        order="xyz" if north else "tms",
        grid=other_grid(None if sets is None else sets.get("profile"), system),
        bounds=bounds,
        boxes=read_boxes(bounds),
        name=_first(root, "Title"),
        format="" if tile is None else tile.get("mime-type") or tile.get("extension") or "",
        zooms=(min(zooms), max(zooms)) if zooms else None,
        words=words_of(facts),
    )


def _leaflet(name: str, text: str) -> Statement | None:
    if (address := _TEMPLATE.search(text)) is None:
        return None
    counted = _LEAFLET_ORDER.search(text, address.end(), address.end() + 200)
    from_south = "{-y}" in address[1] or (counted is not None and counted[1] in ("1", "true"))
    known = from_south or counted is not None
    return Statement(name, "tms" if from_south else "xyz" if known else None, swapped_grid(address[1]))


def _open_layers(name: str, text: str) -> Statement | None:
    if (address := _TEMPLATE.search(text)) is None:
        return None
    projection = _PROJECTION.search(text)
    grid = other_grid(None, projection[1] if projection else None) or swapped_grid(address[1])
    return Statement(name, "tms" if "{-y}" in address[1] else "xyz", grid)


def _wmts(name: str, text: str) -> Statement | None:
    """Rows count from the north; the grid is another one if none of those listed is web-mercator."""
    root = _xml(text, "Capabilities")
    systems = [entry.text or "" for entry in _all(root, "SupportedCRS")]
    grids = [other_grid(None, system) for system in systems]
    template = next((entry.get("template", "") for entry in _all(root, "ResourceURL")), "")
    for theirs, ours in (("{TileMatrix}", "{z}"), ("{TileCol}", "{x}"), ("{TileRow}", "{y}")):
        template = template.replace(theirs, ours)
    return Statement(name, "xyz", (grids[0] if grids and all(grids) else "") or swapped_grid(template))


def _gdal(name: str, text: str) -> Statement | None:
    """A GDAL WMS description of type TMS."""
    root = _xml(text, "GDAL_WMS")
    address = _first(root, "ServerUrl").replace("${", "{")
    top = _first(root, "YOrigin").lower() == "top"
    return Statement(
        name, "xyz" if top else "tms", other_grid(None, _first(root, "Projection")) or swapped_grid(address)
    )


def _stac(name: str, text: str) -> Statement | None:
    """A STAC item with the "tiled assets" extension, as written by `gdal raster tile`: rows count from the north."""
    found: Any = json.loads(text)
    sets = found["properties"]["tiles:tile_matrix_sets"].values()
    systems = [entry.get("supportedCRS") or entry.get("crs") for entry in sets]
    return Statement(name, "xyz", other_grid(None, *systems))


def _xml(text: str, tag: str) -> Element:
    """The root of an XML document of a given type.

    Raises:
        ValueError: it is of another type, or defines entities, which may expand without limit.
    """
    if "<!ENTITY" in text or (root := fromstring(text)).tag.rpartition("}")[2] != tag:
        raise ValueError(f"no {tag}")
    return root


def _all(root: Element, tag: str) -> Iterator[Element]:
    """Elements of a name, in any namespace."""
    return (entry for entry in root.iter() if entry.tag.rpartition("}")[2] == tag)


def _first(root: Element, tag: str) -> str:
    return next(((entry.text or "").strip() for entry in _all(root, tag)), "")


_READERS: dict[str, Callable[[str, str], Statement | None]] = {
    "tilejson.json": _json,
    "tiles.json": _json,
    "metadata.json": _json,
    "tilemapresource.xml": _tile_map_service,
    "openlayers.html": _open_layers,
    "leaflet.html": _leaflet,
    "WMTSCapabilities.xml": _wmts,
    "tiles.xml": _gdal,
    "stacta.json": _stac,
}
