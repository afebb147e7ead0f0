"""Styles of vector tiles for MapLibre GL (style JSON), of geo2map's tiles and of other programs'."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from geo2map.features import FeatureLayer, Rgb, Rule, Style
from geo2map.formats.documents.shown_styles import LegendEntries, drawn_rules, style_legend, styles_of
from geo2map.formats.documents.text import file_stem, unmarked
from geo2map.grid import ground_resolution, lnglat_bounds, window_latitude
from geo2map.tiles.codec import SUFFIXES
from geo2map.tiles.tilejson import TileSet

SOURCE = "map"
"""Name of the vector tiles in a style."""
_FINER = 1
"""Of MapLibre, whose zooms are of tiles of 512 px on the screen: at its zoom 13, a pixel is as large as one of tiles of
256 px at zoom 14, which all other zooms here are of."""
_WIDE, _NARROW = 24, 0
"""Zooms between which widths in metres are interpolated."""
_INWARDS = 1e-8
"""Degrees, a millimetre: bounds on the border of a tile do not touch the next one, however they are rounded."""
_PLAIN = "plain"
"""Name of the only style of another program's tiles."""
_PLAIN_COLOURS: tuple[Rgb, ...] = (
    *((141, 160, 203), (102, 166, 130), (217, 140, 95), (200, 120, 170)),
    *((150, 150, 150), (200, 170, 60), (110, 170, 190), (170, 110, 100)),
)


@dataclass(frozen=True)
class ShownStyle:
    """A style of a tile set as the page offers it.

    Attributes:
        layers: of the MapLibre style.
        legend: classes and colours.
    """

    layers: list[dict[str, Any]]
    legend: LegendEntries


def page_styles(tileset: TileSet) -> dict[str, ShownStyle]:
    """The styles of vector tiles by name, the one that is shown first in front: as features were given one, or in the
    map's own colours."""
    layers = tileset.feature_layers
    if not layers:
        return {_PLAIN: _plain(tileset)}
    latitude = window_latitude(tileset.window, tileset.maxzoom)
    return {
        style.name: ShownStyle(maplibre_layers(style, layers, latitude=latitude), style_legend(style, tileset))
        for style in styles_of(tileset)
    }


def style_file(name: str) -> str:
    """File name of a style beside the tiles."""
    return f"style.{file_stem(name)}.json"


def style_documents(tileset: TileSet, template: str | None = None) -> dict[str, dict[str, Any]]:
    """MapLibre styles of vector tiles, by file name.

    Args:
        template: URL of a tile with {z}, {x} and {y} in it; None is relative to the style, which MapLibre leaves to
            the page to resolve.
    """
    source: dict[str, Any] = {
        "type": "vector",
        "tiles": [template or f"./{{z}}/{{x}}/{{y}}{SUFFIXES[tileset.format]}"],
        "scheme": tileset.scheme if template is None else "xyz",
        "minzoom": tileset.minzoom,
        "maxzoom": tileset.maxzoom,
        "attribution": escape(unmarked(tileset.attribution)),
    }
    bounds = lnglat_bounds(tileset.window, tileset.maxzoom)
    if bounds.east <= 180:  # MapLibre asks for no tiles outside, but does not go on over the antimeridian
        moved = zip(bounds, (_INWARDS, _INWARDS, -_INWARDS, -_INWARDS), strict=True)
        source["bounds"] = [round(edge + inwards, 9) for edge, inwards in moved]
    return {
        style_file(name): {"version": 8, "name": name, "sources": {SOURCE: source}, "layers": shown.layers}
        for name, shown in page_styles(tileset).items()
    }


def maplibre_layers(style: Style, layers: Mapping[str, FeatureLayer], *, latitude: float) -> list[dict[str, Any]]:
    """The layers of a MapLibre style.

    Args:
        layers: of the tiles, by name.
        latitude: of the map's middle, in degrees, at which widths in metres are exact.
    """
    drawn = [_maplibre_layer(key, layer.name, rule, latitude) for key, layer, rule in drawn_rules(style, layers)]
    return [_background(style.background), *drawn]


def _background(colour: Rgb) -> dict[str, Any]:
    return {"id": "background", "type": "background", "paint": {"background-color": _hex(colour)}}


def _maplibre_layer(key: str, layer: str, rule: Rule, latitude: float) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": key,
        "type": "fill" if rule.shape == "area" else "line",
        "source": SOURCE,
        "source-layer": layer,
        "filter": ["==", ["get", "class"], rule.kind],
    }
    if rule.least_zoom:
        found["minzoom"] = rule.least_zoom - _FINER
    if rule.shape == "area":
        return found | {"paint": {"fill-color": _hex(rule.colour), "fill-antialias": True}}
    metres = ["case", ["get", "in_area"], 0, ["get", "width"]]
    stops: list[Any] = []
    for at in range(_NARROW, _WIDE + 1, 2):
        size = ground_resolution(at + _FINER, latitude)
        stops += [at, ["max", rule.least, ["+", ["/", metres, size], 2 * rule.more]]]
    width = ["interpolate", ["exponential", 2], ["zoom"], *stops]
    layout = {"line-cap": "round", "line-join": "round"}
    return found | {"layout": layout, "paint": {"line-color": _hex(rule.colour), "line-width": width}}


def _plain(tileset: TileSet) -> ShownStyle:
    """A colour for each layer of tiles whose classes are not known."""
    names = [str(layer["id"]) for layer in tileset.vector_layers]
    legend = [(name, _PLAIN_COLOURS[number % len(_PLAIN_COLOURS)]) for number, name in enumerate(names)]
    shapes: tuple[tuple[str, str, dict[str, float]], ...] = (
        ("fill", "Polygon", {"fill-opacity": 0.6}),
        ("line", "LineString", {"line-width": 1.2}),
        ("circle", "Point", {"circle-radius": 3}),
    )
    drawn: list[dict[str, Any]] = [
        {
            "id": f"{name}-{kind}",
            "type": kind,
            "source": SOURCE,
            "source-layer": name,
            "filter": ["==", ["geometry-type"], geometry],
            "paint": paint | {f"{kind}-color": _hex(colour)},
        }
        for kind, geometry, paint in shapes
        for name, colour in legend
    ]
    return ShownStyle([_background((247, 247, 245)), *drawn], legend)


def _hex(colour: Rgb) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
