"""A description of a tile set for GDAL's WMS driver, which opens it as one raster."""

from __future__ import annotations

from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement

from geo2map.files.plain_text import plain_text
from geo2map.formats.documents.text import xml_bytes
from geo2map.grid import TILE_SIZE, PixelWindow, tile_range, window_bounds
from geo2map.plan.area_tiles import parent_range
from geo2map.tiles.codec import SUFFIXES
from geo2map.tiles.tilejson import TileSet

_MEANING = "/:@!&=+,;~*'()?[]%"  # characters of a URL that stay as they are; "$", "{" and "}" are GDAL's templates


def tiles_xml(tileset: TileSet, address: str) -> bytes:
    """An XML file that GDAL opens as a raster of the whole tile set, overviews included.

    Args:
        tileset: its window defines the extent; missing tiles are transparent.
        address: absolute URL of the folder (http, https or file); GDAL does not resolve relative ones.

    Returns:
        The XML file; deterministic.
    """
    root = Element("GDAL_WMS")
    service = SubElement(root, "Service", name="TMS")
    folder = quote(plain_text(address), safe=_MEANING).rstrip("/")
    SubElement(service, "ServerUrl").text = f"{folder}/${{z}}/${{x}}/${{y}}{SUFFIXES[tileset.format]}"
    window = SubElement(root, "DataWindow")
    for tag, value in _data_window(tileset).items():
        SubElement(window, tag).text = value
    facts = {"Projection": "EPSG:3857", "BlockSizeX": str(TILE_SIZE), "BlockSizeY": str(TILE_SIZE)}
    facts |= {"BandsCount": "3" if tileset.format == "jpeg" else "4", "OverviewCount": str(_overviews(tileset))}
    facts |= {"ZeroBlockHttpCodes": "204,404", "ZeroBlockOnServerException": "true"}
    for tag, text in facts.items():
        SubElement(root, tag).text = text
    return xml_bytes(root)


def _data_window(tileset: TileSet) -> dict[str, str]:
    """Whole tiles of the coarsest overview, so that the grids of all overviews share the corner.

    Tiles beyond the antimeridian are omitted, where GDAL's columns end.
    """
    steps = _overviews(tileset)
    fine, edge = tile_range(tileset.window), 2 ** (tileset.maxzoom - steps)
    tiles = parent_range(fine, steps).intersection(PixelWindow(0, 0, edge, edge))
    bounds = window_bounds(PixelWindow(*(place * TILE_SIZE for place in tiles)), tileset.maxzoom - steps)
    return {
        "UpperLeftX": repr(bounds.left),
        "UpperLeftY": repr(bounds.top),
        "LowerRightX": repr(bounds.right),
        "LowerRightY": repr(bounds.bottom),
        "SizeX": str(tiles.width * TILE_SIZE << steps),
        "SizeY": str(tiles.height * TILE_SIZE << steps),
        "TileX": str(tiles.left << steps),
        "TileY": str(tiles.top << steps),
        "TileLevel": str(tileset.maxzoom),
        "YOrigin": "top",
    } | _from_the_south(tileset, tiles, steps)


def _from_the_south(tileset: TileSet, tiles: PixelWindow, steps: int) -> dict[str, str]:
    """For TMS folders: GDAL counts rows from the window's lower edge, to which TileY gives the offset."""
    if tileset.scheme == "xyz":
        return {}
    world = 2 ** (tileset.maxzoom - steps)
    return {"TileY": str(tiles.bottom - world << steps), "YOrigin": "bottom"}


def _overviews(tileset: TileSet) -> int:
    """As many as there are zooms, but none smaller than a tile: padding would extend the raster far beyond the map."""
    fine = tile_range(tileset.window)
    return min(tileset.maxzoom - tileset.minzoom, max(fine.width, fine.height).bit_length() - 1)
