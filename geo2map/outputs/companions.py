"""Files beside a raster of classes: names and colours by code, for whatever is built on GDAL and for QGIS."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from geo2map.outputs.qgis import Legend, class_style
from geo2map.outputs.text import plain_text, xml_bytes
from geo2map.tiles.tilejson import TileSet

STYLE = ".qml"
"""Suffix of a QGIS style; one that is there is the user's and stays."""
_FIELDS = (("Value", 0, 5), ("Class", 2, 2), ("Red", 0, 6), ("Green", 0, 7), ("Blue", 0, 8))
"""Name, type (0 whole numbers, 2 text) and use of the table's columns, as GDAL numbers them."""


def companion_files(path: Path, tileset: TileSet) -> dict[str, bytes]:
    """What lies beside a raster of classes, by file name: `NAME.tif.aux.xml` and `NAME.qml`; nothing of any other."""
    if not (legend := class_legend(tileset)):
        return {}
    return {f"{path.name}.aux.xml": attribute_table(legend), f"{path.stem}{STYLE}": class_style(legend)}


def class_legend(tileset: TileSet) -> Legend:
    """Names and colours of the classes of a set of class tiles, in the order of their codes; empty for any other."""
    found: Any = tileset.extra.get("classes", ())
    return [(str(name), (int(red), int(green), int(blue))) for name, (red, green, blue) in found]


def attribute_table(legend: Legend) -> bytes:
    """GDAL's sidecar: a raster attribute table and the names of the values."""
    root = Element("PAMDataset")
    band = SubElement(root, "PAMRasterBand", band="1")
    names = SubElement(band, "CategoryNames")
    table = SubElement(band, "GDALRasterAttributeTable", tableType="thematic")
    for index, (name, kind, use) in enumerate(_FIELDS):
        field = SubElement(table, "FieldDefn", index=str(index))
        for tag, text in (("Name", name), ("Type", str(kind)), ("Usage", str(use))):
            SubElement(field, tag).text = text
    for code, (name, colour) in enumerate(legend):
        SubElement(names, "Category").text = plain_text(name)
        row = SubElement(table, "Row", index=str(code))
        for value in (str(code), plain_text(name), *map(str, colour)):
            SubElement(row, "F").text = value
    return xml_bytes(root)
