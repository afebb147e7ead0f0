"""Companion files of a raster for GDAL and QGIS: a CRS, and names and colours of classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from geo2map.files.plain_text import plain_text
from geo2map.formats.documents.qgis import class_style, doubt_style
from geo2map.formats.documents.shown_styles import LegendEntries
from geo2map.formats.documents.text import xml_bytes
from geo2map.tiles.layer import PERCENT_UNIT
from geo2map.tiles.tilejson import TileSet

STYLE = ".qml"
"""Suffix of a QGIS style; an existing one belongs to the user and stays."""
_FIELDS = (("Value", 0, 5), ("Class", 2, 2), ("Red", 0, 6), ("Green", 0, 7), ("Blue", 0, 8))
"""Name, type (0 integer, 2 string) and usage of the table columns, by GDAL's codes."""


def companion_files(path: Path, tileset: TileSet, crs: str | None = None) -> dict[str, bytes]:
    """Companions of a raster by file name: `NAME.tif.aux.xml` if needed, and a style for classes and for confidence.

    Args:
        crs: WKT of a CRS that the raster cannot store.
    """
    legend = class_legend(tileset)
    files = {f"{path.name}.aux.xml": sidecar(legend, crs)} if legend or crs else {}
    style = class_style(legend) if legend else doubt_style() if tileset.unit == PERCENT_UNIT else None
    return files | ({f"{path.stem}{STYLE}": style} if style else {})


def class_legend(tileset: TileSet) -> LegendEntries:
    """Names and colours of class tiles, by code; empty for other tile sets."""
    found: Any = tileset.extra.get("classes", ())
    return [(str(name), (int(red), int(green), int(blue))) for name, (red, green, blue) in found]


def sidecar(legend: LegendEntries, crs: str | None = None) -> bytes:
    """A .aux.xml file for GDAL: a CRS, a raster attribute table and the category names."""
    root = Element("PAMDataset")
    if crs is not None:
        SubElement(root, "SRS").text = plain_text(crs)
    if legend:
        _add_attribute_table(root, legend)
    return xml_bytes(root)


def _add_attribute_table(root: Element, legend: LegendEntries) -> None:
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
