"""The viewer: a self-contained HTML page with Leaflet that shows a tile set from disk or a server."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from geo2map.files.plain_text import plain_text
from geo2map.formats.documents.qgis import LegendEntries
from geo2map.formats.documents.text import script_json, unmarked
from geo2map.grid import lnglat_bounds, tile_range
from geo2map.tiles.codec import SUFFIXES
from geo2map.tiles.tilejson import TileSet

STATEMENT = "This map was made by a generative model from imagery. It was not surveyed and may be wrong."
SOURCE_STATEMENT = "These are pictures of the ground, cut into tiles. No model drew anything in them."
_MAP_COMMENT = re.compile(r"\n//# sourceMappingURL=\S+\s*$")


def viewer_page(tileset: TileSet, legend: LegendEntries, layers: Mapping[str, TileSet] | None = None) -> bytes:
    """The page `index.html` beside the zooms of a tile set.

    It works from file:// and loads only tiles: styles, script and Leaflet are embedded, and its content security
    policy allows only images from its own location.

    Args:
        tileset: the map.
        legend: classes and colours, in order.
        layers: further layers in folders beside the page, by name. The first is shown left of a swipe slider, the
            others can be switched on.

    Returns:
        HTML as UTF-8; deterministic.
    """
    parts = _parts()
    below = [_layer(name, f"{name}/", described, described.attribution) for name, described in (layers or {}).items()]
    facts = {
        "bounds": _bounds(tileset),
        "layers": [*below, _layer("map", "", tileset, tileset.attribution)],
        "legend": [[plain_text(name), list(colour)] for name, colour in legend],
    }
    page = Template(parts["viewer.html"]).substitute(
        title=escape(plain_text(tileset.name)),
        statement=escape(statement_of(tileset)),
        facts=script_json(facts),
        policy=_policy(),
        licence=parts["LICENSE.leaflet"],
        style=parts["leaflet.css"] + parts["viewer.css"],
        leaflet=parts["leaflet.js"],
        script=parts["viewer.js"],
    )
    return page.encode()


def statement_of(tileset: TileSet) -> str:
    """A disclaimer on the origin of a tile set; for other programs' tile sets, their description."""
    if tileset.is_drawn:
        return STATEMENT
    return SOURCE_STATEMENT if tileset.is_imagery else plain_text(unmarked(tileset.description))


@cache
def _parts() -> dict[str, str]:
    folder = files("geo2map.formats.documents").joinpath("viewer")
    names = ("viewer.html", "viewer.css", "viewer.js", "leaflet.css", "leaflet.js", "LICENSE.leaflet")
    parts = {name: folder.joinpath(name).read_text(encoding="utf-8") for name in names}
    parts["leaflet.js"] = _MAP_COMMENT.sub("", parts["leaflet.js"])
    return parts


@cache
def _policy() -> str:
    """Allows only images, and the two scripts of the page."""
    scripts = (_parts()[name] for name in ("leaflet.js", "viewer.js"))
    digests = (b64encode(sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    pictures = "img-src 'self' file: data:"
    return f"default-src 'none'; {pictures}; style-src 'unsafe-inline'; script-src {allowed}; base-uri 'none'"


def _layer(role: str, folder: str, tileset: TileSet, attribution: str) -> dict[str, Any]:
    """A layer for the script; "reach" is the range of columns and rows at its largest zoom."""
    return {
        "role": role,
        "tiles": f"./{folder}{{z}}/{{x}}/{tileset.row}{SUFFIXES[tileset.format]}",
        "minzoom": tileset.minzoom,
        "maxzoom": tileset.maxzoom,
        "reach": list(tile_range(tileset.window)),
        "attribution": unmarked(attribution),
    }


def _bounds(tileset: TileSet) -> list[float]:
    """West, south, east, north in degrees; east exceeds 180 across the antimeridian."""
    return [round(edge, 9) for edge in lnglat_bounds(tileset.window, tileset.maxzoom)]
