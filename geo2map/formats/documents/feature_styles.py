"""Styles of features as documents: for QGIS (.qml) and for MapLibre GL (style JSON)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from geo2map.features import Rgb, Rule, Style
from geo2map.formats.documents.text import xml_bytes
from geo2map.grid import ground_resolution

_DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
_WIDE, _NARROW = 24, 0
"""Zooms between which MapLibre interpolates widths in metres."""
SOURCE = "map"
"""Name of the vector tiles in a MapLibre style."""


def layer_style(style: Style, classes: Sequence[str], *, is_line: bool) -> bytes:
    """A QGIS style (.qml) for one layer of features, a symbol for each class.

    Lines are as wide as their `width` in metres. Casings lie below all lines of the layer.
    """
    root = Element("qgis", version="3.22.0", styleCategories="Symbology")
    renderer = SubElement(root, "renderer-v2", type="categorizedSymbol", attr="class", symbollevels="1")
    categories, symbols = SubElement(renderer, "categories"), SubElement(renderer, "symbols")
    for number, kind in enumerate(classes):
        name = str(number)
        category = {"value": kind, "label": kind, "symbol": name, "render": "true", "type": "string"}
        SubElement(categories, "category", category)
        rules = [rule for rule in style.rules if rule.kind == kind]
        symbol = SubElement(symbols, "symbol", type="line" if is_line else "fill", name=name)
        for rule in rules:
            order = str(style.rules.index(rule))
            if is_line and rule.shape != "area":
                _line(symbol, rule, order)
            elif not is_line and rule.shape == "area":
                _fill(symbol, rule, order)
    return xml_bytes(root, _DOCTYPE)


def _line(symbol: Element, rule: Rule, order: str) -> None:
    values = {
        "line_color": _rgba(rule.colour),
        "line_width": "8",
        "line_width_unit": "RenderMetersInMapUnits",
        "capstyle": "round",
        "joinstyle": "round",
    }
    layer = _symbol_layer(symbol, "SimpleLine", values, order)
    # in_area: an area shows the road; its line is drawn thin, so that it is seen where the area is hidden
    width = f'if("in_area", 0.1, "width" + {2 * rule.more:g})'
    properties = SubElement(SubElement(layer, "data_defined_properties"), "Option", type="Map")
    SubElement(properties, "Option", name="name", value="", type="QString")
    chosen = SubElement(SubElement(properties, "Option", name="properties", type="Map"), "Option", type="Map")
    chosen.set("name", "outlineWidth")
    for name, value, kind in (("active", "true", "bool"), ("expression", width, "QString"), ("type", "3", "int")):
        SubElement(chosen, "Option", name=name, value=value, type=kind)
    SubElement(properties, "Option", name="type", value="collection", type="QString")


def _fill(symbol: Element, rule: Rule, order: str) -> None:
    _symbol_layer(symbol, "SimpleFill", {"color": _rgba(rule.colour), "style": "solid", "outline_style": "no"}, order)


def _symbol_layer(symbol: Element, kind: str, values: dict[str, str], order: str) -> Element:
    layer = SubElement(symbol, "layer", {"class": kind, "enabled": "1", "pass": order, "locked": "0"})
    options = SubElement(layer, "Option", type="Map")
    for name, value in values.items():
        SubElement(options, "Option", name=name, value=value, type="QString")
    return layer


def maplibre_style(
    style: Style, layers: Iterable[tuple[str, bool]], tiles: dict[str, Any], *, latitude: float
) -> dict[str, Any]:
    """A MapLibre GL style for vector tiles.

    Args:
        layers: names of the tiles' layers, and whether they hold lines.
        tiles: the style's source of vector tiles, e.g. {"type": "vector", "tiles": [...]}.
        latitude: of the map's middle, in degrees, at which widths in metres are exact.
    """
    names = list(layers)
    drawn: list[dict[str, Any]] = [
        {"id": "background", "type": "background", "paint": {"background-color": _hex(style.background)}}
    ]
    for number, rule in enumerate(style.rules):
        for name, is_line in names:
            if is_line == (rule.shape != "area"):
                drawn.append(_maplibre_layer(f"{name}-{rule.kind}-{number}", name, rule, latitude))
    return {"version": 8, "name": style.name, "sources": {SOURCE: tiles}, "layers": drawn}


def _maplibre_layer(key: str, layer: str, rule: Rule, latitude: float) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": key,
        "type": "fill" if rule.shape == "area" else "line",
        "source": SOURCE,
        "source-layer": layer,
        "filter": ["==", ["get", "class"], rule.kind],
    }
    if rule.least_zoom:
        found["minzoom"] = rule.least_zoom
    if rule.shape == "area":
        return found | {"paint": {"fill-color": _hex(rule.colour), "fill-antialias": True}}
    # on the screen, a MapLibre pixel is half of a tile's of 256 px: its zooms are of tiles of 512 px
    metres = ["case", ["get", "in_area"], 0, ["get", "width"]]
    stops: list[Any] = []
    for at in range(_NARROW, _WIDE + 1, 2):
        size = ground_resolution(at + 1, latitude)
        stops += [at, ["max", rule.least, ["+", ["/", metres, size], 2 * rule.more]]]
    width = ["interpolate", ["exponential", 2], ["zoom"], *stops]
    layout = {"line-cap": "round", "line-join": "round"}
    return found | {"layout": layout, "paint": {"line-color": _hex(rule.colour), "line-width": width}}


def _rgba(colour: Rgb) -> str:
    return "{},{},{},255".format(*colour)


def _hex(colour: Rgb) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
