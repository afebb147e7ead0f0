"""The capabilities of a WMTS, from which QGIS reads the map's extent and zooms."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement

from geo2map.files.plain_text import plain_text
from geo2map.formats.documents.text import unmarked, xml_bytes
from geo2map.grid import HALF_WORLD, TILE_SIZE, PixelWindow, mercator_resolution, tile_range
from geo2map.tiles.tilejson import TileSet
from geo2map.types import TileFormat

MATRIX_SET = "GoogleMapsCompatible"
MEDIA_TYPES: dict[TileFormat, str] = {
    "png": "image/png",
    "webp": "image/webp",
    "jpeg": "image/jpeg",
    "avif": "image/avif",
    "mvt": "application/vnd.mapbox-vector-tile",
}
_PIXEL = 0.00028  # metres, the standard's screen pixel
_SPACES = {
    "xmlns": "http://www.opengis.net/wmts/1.0",
    "xmlns:ows": "http://www.opengis.net/ows/1.1",
    "xmlns:xlink": "http://www.w3.org/1999/xlink",
    "version": "1.0.0",
}


def wmts_capabilities(layers: Mapping[str, TileSet], templates: Mapping[str, str], address: str) -> bytes:
    """The document of a WMTS with RESTful tiles on web-mercator's grid.

    Args:
        layers: tile sets by the layer's title, the topmost first.
        templates: for each of them the absolute URL of a tile, with {z}, {x} and {y} in it.
        address: absolute URL of the document itself.

    Returns:
        XML as UTF-8; the same arguments give the same bytes.
    """
    root = Element("Capabilities", _SPACES)
    service = SubElement(root, "ows:ServiceIdentification")
    title, top = next(iter(layers.items()))
    abstract = unmarked(top.attribution or top.description)
    for tag, text in (("Title", title), ("Abstract", abstract), ("ServiceType", "OGC WMTS")):
        if text:
            SubElement(service, f"ows:{tag}").text = plain_text(text)
    SubElement(service, "ows:ServiceTypeVersion").text = "1.0.0"
    contents = SubElement(root, "Contents")
    for number, (title, tileset) in enumerate(layers.items()):
        _layer(contents, f"layer{number}", title, tileset, templates[title])
    zooms = range(min(t.minzoom for t in layers.values()), max(t.maxzoom for t in layers.values()) + 1)
    _matrix_set(contents, zooms)
    SubElement(root, "ServiceMetadataURL", {"xlink:href": plain_text(address)})
    return xml_bytes(root, '<?xml version="1.0" encoding="UTF-8"?>\n')


def _layer(contents: Element, key: str, title: str, tileset: TileSet, template: str) -> None:
    layer = SubElement(contents, "Layer")
    SubElement(layer, "ows:Title").text = plain_text(title)
    box = SubElement(layer, "ows:WGS84BoundingBox")
    west, south, east, north = tileset.to_dict()["bounds"]
    SubElement(box, "ows:LowerCorner").text = f"{west} {south}"
    SubElement(box, "ows:UpperCorner").text = f"{east} {north}"
    SubElement(layer, "ows:Identifier").text = key
    style = SubElement(layer, "Style", isDefault="true")
    SubElement(style, "ows:Identifier").text = "default"
    media = MEDIA_TYPES[tileset.format]
    SubElement(layer, "Format").text = media
    link = SubElement(layer, "TileMatrixSetLink")
    SubElement(link, "TileMatrixSet").text = MATRIX_SET
    limits = SubElement(link, "TileMatrixSetLimits")
    for zoom in range(tileset.minzoom, tileset.maxzoom + 1):
        _limits(limits, zoom, tiles_at(tileset, zoom))
    place = template.replace("{z}", "{TileMatrix}").replace("{x}", "{TileCol}").replace("{y}", "{TileRow}")
    SubElement(layer, "ResourceURL", format=media, resourceType="tile", template=plain_text(place))


def tiles_at(tileset: TileSet, zoom: int) -> PixelWindow:
    """Columns and rows of the tiles at a zoom, right and bottom excluded; all columns across the antimeridian."""
    fine, depth, world = tile_range(tileset.window), tileset.maxzoom - zoom, 1 << zoom
    left, right = fine.left >> depth, -(-fine.right >> depth)
    if right > world:
        left, right = 0, world
    return PixelWindow(left, fine.top >> depth, right, -(-fine.bottom >> depth))


def _limits(limits: Element, zoom: int, tiles: PixelWindow) -> None:
    found = SubElement(limits, "TileMatrixLimits")
    values = (zoom, tiles.top, tiles.bottom - 1, tiles.left, tiles.right - 1)
    names = ("TileMatrix", "MinTileRow", "MaxTileRow", "MinTileCol", "MaxTileCol")
    for name, value in zip(names, values, strict=True):
        SubElement(found, name).text = str(value)


def _matrix_set(contents: Element, zooms: range) -> None:
    matrices = SubElement(contents, "TileMatrixSet")
    SubElement(matrices, "ows:Identifier").text = MATRIX_SET
    SubElement(matrices, "ows:SupportedCRS").text = "urn:ogc:def:crs:EPSG::3857"
    SubElement(matrices, "WellKnownScaleSet").text = f"urn:ogc:def:wkss:OGC:1.0:{MATRIX_SET}"
    for zoom in zooms:
        matrix = SubElement(matrices, "TileMatrix")
        SubElement(matrix, "ows:Identifier").text = str(zoom)
        SubElement(matrix, "ScaleDenominator").text = repr(mercator_resolution(zoom) / _PIXEL)
        SubElement(matrix, "TopLeftCorner").text = f"{-HALF_WORLD!r} {HALF_WORLD!r}"
        for tag, value in (("Tile", TILE_SIZE), ("Matrix", 1 << zoom)):
            SubElement(matrix, f"{tag}Width").text = str(value)
            SubElement(matrix, f"{tag}Height").text = str(value)
