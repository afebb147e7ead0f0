"""The viewer: a self-contained HTML page that shows a tile set; pictures with Leaflet, features with MapLibre GL JS."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from string import Template
from typing import Any, NamedTuple

from geo2map.files.plain_text import plain_text
from geo2map.formats.documents.maplibre import page_styles, style_file
from geo2map.formats.documents.shown_styles import LegendEntries
from geo2map.formats.documents.text import script_json, unmarked
from geo2map.grid import lnglat_bounds, tile_range
from geo2map.tiles.codec import SUFFIXES
from geo2map.tiles.layer import PERCENT_UNIT
from geo2map.tiles.tilejson import TileSet

STATEMENT = "This map was made by a generative model from imagery. It was not surveyed and may be wrong."
SOURCE_STATEMENT = "These are pictures of the ground, cut into tiles. No model drew anything in them."
FROM_DISK = (
    "Browsers do not let a page on a disk read vector tiles: run geo2map view with this folder, or open the page from "
    "any web server."
)
_MAP_COMMENT = re.compile(r"\n//# sourceMappingURL=\S+\s*$")


@dataclass(frozen=True)
class _Kind:
    """What draws a page's map, and what it may load.

    Attributes:
        library: its name.
        script, style, licence: its files.
        own: the script that uses it.
        policy: of the page, besides its scripts.
    """

    library: str
    script: str
    style: str
    licence: str
    own: str
    policy: str

    @property
    def scripts(self) -> tuple[str, ...]:
        """Files of all scripts, in their order."""
        return self.script, "panel.js", self.own


_PICTURES = _Kind("Leaflet", "leaflet.js", "leaflet.css", "LICENSE.leaflet", "viewer.js", "img-src 'self' file: data:")
_FEATURES = _Kind(
    "MapLibre GL JS",
    "maplibre-gl.js",
    "maplibre-gl.css",
    "LICENSE.maplibre",
    "features.js",
    "img-src 'self' data: blob:; connect-src 'self'; worker-src blob:",
)


class OnDemand(NamedTuple):
    """How the tiles of a map are made while somebody looks.

    Attributes:
        least_zoom: lowest zoom that is made so; lower ones are stored.
        block_span: tiles at maxzoom along a side of a block.
    """

    least_zoom: int
    block_span: int


def viewer_page(
    tileset: TileSet,
    legend: LegendEntries,
    layers: Mapping[str, TileSet] | None = None,
    *,
    on_demand: OnDemand | None = None,
) -> bytes:
    """The page `index.html` beside the zooms of a tile set.

    It loads only tiles, and styles where they hold features, from its own location, as its content security policy
    says: everything else is embedded. With pictures, it works from file://.

    Args:
        tileset: the map.
        legend: classes and colours, in order.
        layers: further layers in folders beside the page, by name, all of them pictures. Beside pictures, the first
            is shown left of a swipe slider, the others can be switched on; confidence is a veil over what is doubtful.
        on_demand: how tiles of pictures are made while somebody looks; None where all are stored. Such a page opens at
            maxzoom instead of showing the whole map, and says how many of the blocks in view are drawn.

    Returns:
        HTML as UTF-8; deterministic.
    """
    is_vector = tileset.format == "mvt"
    kind = _FEATURES if is_vector else _PICTURES
    facts = _feature_facts(tileset, layers or {}) if is_vector else _picture_facts(tileset, legend, layers or {})
    library, panel, own = (_part(name) for name in kind.scripts)
    page = Template(_part("viewer.html")).substitute(
        title=escape(plain_text(tileset.name)),
        statement=escape(statement_of(tileset)),
        facts=script_json({"bounds": _bounds(tileset), **facts, **_live_facts(on_demand)}),
        policy=_policy(kind),
        library=kind.library,
        licence=_part(kind.licence),
        style=_part(kind.style) + _part("viewer.css"),
        library_script=library,
        panel_script=panel,
        map_script=own,
    )
    return page.encode()


def statement_of(tileset: TileSet) -> str:
    """A disclaimer on the origin of a tile set; for other programs' tile sets, their description."""
    if tileset.is_drawn:
        return STATEMENT
    return SOURCE_STATEMENT if tileset.is_imagery else plain_text(unmarked(tileset.description))


@cache
def _part(name: str) -> str:
    text = files("geo2map.formats.documents").joinpath("viewer", name).read_text(encoding="utf-8")
    return _MAP_COMMENT.sub("", text)


@cache
def _policy(kind: _Kind) -> str:
    """Allows what the kind needs, and the scripts of the page."""
    digests = (b64encode(sha256(_part(name).encode()).digest()).decode() for name in kind.scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return f"default-src 'none'; {kind.policy}; style-src 'unsafe-inline'; script-src {allowed}; base-uri 'none'"


def _picture_facts(tileset: TileSet, legend: LegendEntries, layers: Mapping[str, TileSet]) -> dict[str, Any]:
    below = [_layer(name, f"{name}/", described, described.attribution) for name, described in layers.items()]
    return {"layers": [*below, _layer("map", "", tileset, tileset.attribution)], "legend": _colours(legend)}


def _layer(role: str, folder: str, tileset: TileSet, attribution: str) -> dict[str, Any]:
    """A layer for the script; "reach" is the range of columns and rows at its largest zoom."""
    return {
        "role": role,
        "tiles": f"./{folder}{{z}}/{{x}}/{tileset.row}{SUFFIXES[tileset.format]}",
        "minzoom": tileset.minzoom,
        "maxzoom": tileset.maxzoom,
        "reach": list(tile_range(tileset.window)),
        "veil": tileset.unit == PERCENT_UNIT,
        "attribution": unmarked(attribution),
    }


def _live_facts(on_demand: OnDemand | None) -> dict[str, Any]:
    return {} if on_demand is None else {"live": {"least": on_demand.least_zoom, "span": on_demand.block_span}}


def _feature_facts(tileset: TileSet, layers: Mapping[str, TileSet]) -> dict[str, Any]:
    """Facts for the script; MapLibre takes attributions for HTML."""
    return {
        "minzoom": tileset.minzoom,
        "maxzoom": tileset.maxzoom,
        "tiles": f"{{z}}/{{x}}/{{y}}{SUFFIXES[tileset.format]}",
        "layers": [layer["id"] for layer in tileset.vector_layers],
        "styles": [
            {"name": name, "file": style_file(name), "legend": _colours(shown.legend)}
            for name, shown in page_styles(tileset).items()
        ],
        "below": [
            {
                "role": name,
                "tiles": f"{name}/{{z}}/{{x}}/{{y}}{SUFFIXES[described.format]}",
                "scheme": described.scheme,
                "minzoom": described.minzoom,
                "maxzoom": described.maxzoom,
                "attribution": escape(unmarked(described.attribution)),
            }
            for name, described in layers.items()
        ],
        "from_disk": FROM_DISK,
    }


def _colours(legend: LegendEntries) -> list[Any]:
    return [[plain_text(name), list(colour)] for name, colour in legend]


def _bounds(tileset: TileSet) -> list[float]:
    """West, south, east, north in degrees; east exceeds 180 across the antimeridian."""
    return [round(edge, 9) for edge in lnglat_bounds(tileset.window, tileset.maxzoom)]
