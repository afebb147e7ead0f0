"""Styles of features for QGIS: of a layer (.qml), and of vector tiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element, SubElement

from geo2map.features import FeatureLayer, Rgb, Rule, Style
from geo2map.formats.documents.shown_styles import drawn_rules
from geo2map.formats.documents.text import xml_bytes

_NORTH = "y(@map_extent_center) / 6378137"
_STRETCH = f"if(@map_crs = 'EPSG:3857', (exp({_NORTH}) + exp(-{_NORTH})) / 2, 1)"
"""Units of a web-mercator canvas for a metre on the ground, which QGIS takes for one metre each."""
_DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"


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
        rules = [(str(order), rule) for order, rule in enumerate((style.ground, *style.rules)) if rule.kind == kind]
        symbol = SubElement(symbols, "symbol", type="line" if is_line else "fill", name=name)
        for order, rule in rules:
            if is_line and rule.shape != "area":
                _line(symbol, rule, order)
            elif not is_line and rule.shape == "area":
                _fill(symbol, rule, order)
    return xml_bytes(root, _DOCTYPE)


def tile_renderer(style: Style, layers: Mapping[str, FeatureLayer]) -> Element:
    """The renderer of a QGIS layer of vector tiles, whose layers are given: an entry for each rule, in order."""
    renderer = Element("renderer", type="basic")
    styles = SubElement(renderer, "styles")
    for key, layer, rule in drawn_rules(style, layers):
        facts = {"name": key, "layer": layer.name, "geometry": "1" if layer.is_line else "2", "enabled": "1"}
        facts |= {"expression": f"\"class\" = '{rule.kind}'", "min-zoom": str(rule.least_zoom or -1), "max-zoom": "-1"}
        symbol = SubElement(
            SubElement(SubElement(styles, "style", facts), "symbols"),
            "symbol",
            type="line" if layer.is_line else "fill",
            name="0",
        )
        (_line if layer.is_line else _fill)(symbol, rule, "0")
    return renderer


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
    width = f'if("in_area", 0.1, "width" + {2 * rule.more:g}) * {_STRETCH}'
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


def _rgba(colour: Rgb) -> str:
    return "{},{},{},255".format(*colour)
