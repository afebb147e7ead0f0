"""QGIS documents: a layer definition (.qlr) for a folder of tiles, and a style (.qml) for classes."""

from __future__ import annotations

import json
from hashlib import blake2b
from xml.etree.ElementTree import Element, SubElement

from geo2map.files.plain_text import plain_text
from geo2map.formats.documents.feature_styles import tile_renderer
from geo2map.formats.documents.qgis_crs import add_crs
from geo2map.formats.documents.shown_styles import LegendEntries, styles_of
from geo2map.formats.documents.text import xml_bytes
from geo2map.grid import lnglat_bounds
from geo2map.tiles.codec import SUFFIXES
from geo2map.tiles.tilejson import TileSet

_OUTLINE = "footprint"


def layer_definition(tileset: TileSet, legend: LegendEntries) -> bytes:
    """A QGIS layer definition beside the zooms of a tile set.

    A group of two layers: the tiles, by a relative URL, and their outline, whose legend shows the map's classes. The
    outline is needed for "Zoom to Layer", since QGIS gives every XYZ layer the extent of the world. Below vector tiles,
    which have no background, it is filled with the colour of land. Tested with QGIS 3.22, which does not read XYZ tiles
    below a folder with "#", "?" or "%" in its name.

    Returns:
        The .qlr file; deterministic.
    """
    name, key = plain_text(tileset.name), _key(tileset)
    root = Element("qlr")
    tree = SubElement(root, "layer-tree-group")  # represents the project's root
    group = SubElement(tree, "layer-tree-group", name=name, expanded="1", checked="Qt::Checked")
    layers = SubElement(root, "maplayers")
    is_vector = tileset.format == "mvt"
    shown = [(f"{name}: outline and legend", "ogr", f"{key}_0"), (name, _provider(tileset), f"{key}_1")]
    for title, provider, layer in reversed(shown) if is_vector else shown:
        facts = {"name": title, "id": layer, "providerKey": provider}
        SubElement(group, "layer-tree-layer", facts | {"checked": "Qt::Checked", "expanded": "1"})
    _outline_layer(layers, f"{key}_0", f"{name}: outline and legend", tileset, legend)
    tiles = _tile_layer(layers, f"{key}_1", name, tileset)
    if is_vector:
        tiles.append(tile_renderer(styles_of(tileset)[0], tileset.feature_layers))
    return xml_bytes(root, "<!DOCTYPE qgis-layer-definition>\n")


def class_style(legend: LegendEntries) -> bytes:
    """A QGIS style (.qml) for a raster of class codes: code i has the first colour of class i."""
    root = Element("qgis", version="3.22.0", styleCategories="Symbology")
    pipe = SubElement(root, "pipe")
    renderer = SubElement(pipe, "rasterrenderer", type="paletted", band="1", opacity="1", alphaBand="-1")
    SubElement(renderer, "rasterTransparency")
    palette = SubElement(renderer, "colorPalette")
    first = dict(reversed(legend))
    for code, name in enumerate(_classes(legend)):
        label, colour = plain_text(name), "#{:02x}{:02x}{:02x}".format(*first[name])
        SubElement(palette, "paletteEntry", value=str(code), color=colour, alpha="255", label=label)
    return xml_bytes(root, "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n")


def doubt_style() -> bytes:
    """A QGIS style (.qml) for a raster of confidence in percent: a white veil, thick where the model is unsure."""
    root = Element("qgis", version="3.22.0", styleCategories="Symbology")
    pipe = SubElement(root, "pipe")
    renderer = SubElement(
        pipe,
        "rasterrenderer",
        type="singlebandpseudocolor",
        band="1",
        opacity="1",
        alphaBand="2",
        classificationMin="0",
        classificationMax="100",
    )
    SubElement(renderer, "rasterTransparency")
    shader = SubElement(SubElement(renderer, "rastershader"), "colorrampshader")
    for name, value in {
        "colorRampType": "INTERPOLATED",
        "minimumValue": "0",
        "maximumValue": "100",
        "clip": "0",
    }.items():
        shader.set(name, value)
    for percent, alpha in ((0, 255), (50, 190), (100, 0)):
        label = f"{percent} % sure"
        SubElement(shader, "item", value=str(percent), color="#ffffff", alpha=str(alpha), label=label)
    return xml_bytes(root, "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n")


def _classes(legend: LegendEntries) -> list[str]:
    """The classes of a legend, by code."""
    return list(dict.fromkeys(name for name, _ in legend))


def _key(tileset: TileSet) -> str:
    """A layer id that depends only on the map; QGIS renames layers whose id is taken."""
    facts = json.dumps([tileset.name, tileset.maxzoom, list(tileset.window)])
    return f"geo2map_{blake2b(facts.encode(), digest_size=8).hexdigest()}"


def _provider(tileset: TileSet) -> str:
    """QGIS's name of what reads the tiles."""
    return "vectortile" if tileset.format == "mvt" else "wms"


def _layer(layers: Element, facts: dict[str, str], attribution: str, kind: dict[str, str]) -> Element:
    layer = SubElement(layers, "maplayer", kind)
    for tag, text in facts.items():
        SubElement(layer, tag).text = text
    SubElement(layer, "attribution").text = attribution
    add_crs(layer, "EPSG:4326" if facts["provider"] == "ogr" else "EPSG:3857")
    return layer


def _tile_layer(layers: Element, key: str, title: str, tileset: TileSet) -> Element:
    """An XYZ layer as written by QGIS 3.22, with tiles beside the definition."""
    row = tileset.row.replace("{", "%7B").replace("}", "%7D")
    url = f"file:./%7Bz%7D/%7Bx%7D/{row}{SUFFIXES[tileset.format]}"
    source = f"type=xyz&url={url}&zmax={tileset.maxzoom}&zmin={tileset.minzoom}"
    facts = {"id": key, "datasource": source, "layername": title, "provider": _provider(tileset)}
    kind = "vector-tile" if tileset.format == "mvt" else "raster"
    return _layer(layers, facts, tileset.attribution, {"type": kind})


def _outline_layer(layers: Element, key: str, title: str, tileset: TileSet, legend: LegendEntries) -> None:
    """The outline as embedded GeoJSON, with an unused category for each class as a legend."""
    west, south, east, north = (round(edge, 9) for edge in lnglat_bounds(tileset.window, tileset.maxzoom))
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    feature = {"type": "Feature", "properties": {"class": _OUTLINE}} | {
        "geometry": {"type": "Polygon", "coordinates": [ring]}
    }
    source = json.dumps({"type": "FeatureCollection", "features": [feature]}, separators=(",", ":"))
    kind = {"type": "vector", "geometry": "Polygon"}
    facts = {"id": key, "datasource": source, "layername": title, "provider": "ogr"}
    layer = _layer(layers, facts, tileset.attribution, kind)
    renderer = SubElement(layer, "renderer-v2", type="categorizedSymbol", attr="class")
    categories, symbols = SubElement(renderer, "categories"), SubElement(renderer, "symbols")
    first = dict(reversed(legend))  # a class may have several colours
    filling = first.get("land") if tileset.format == "mvt" else None
    entries = [(_OUTLINE, filling), *((name, first[name]) for name in _classes(legend))]
    for number, (name, colour) in enumerate(entries):
        label = plain_text(name)
        value = f"{number} {label}" if number else label
        SubElement(categories, "category", value=value, label=label, symbol=str(number), render="true", type="string")
        _fill(SubElement(symbols, "symbol", type="fill", name=str(number)), colour)


def _fill(symbol: Element, colour: tuple[int, int, int] | None) -> None:
    """A filled polygon, or just an outline."""
    layer = SubElement(symbol, "layer", {"class": "SimpleFill", "enabled": "1", "pass": "0", "locked": "0"})
    filled = {"style": "solid", "color": "{},{},{},255".format(*colour)} if colour else {"style": "no"}
    options = SubElement(layer, "Option", type="Map")
    for name, value in {**filled, "outline_color": "90,90,90,255", "outline_width": "0.3"}.items():
        SubElement(options, "Option", name=name, value=value, type="QString")
