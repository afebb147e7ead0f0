"""The two CRSs of a QGIS layer definition, as QGIS stores them.

QGIS does not accept an authority code alone: without WKT the layer has no CRS and is not shown.
"""

from __future__ import annotations

from typing import Literal
from xml.etree.ElementTree import Element, SubElement

LayerCrs = Literal["EPSG:3857", "EPSG:4326"]

_WGS84 = (
    'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563,AUTHORITY["EPSG","7030"]],'
    'AUTHORITY["EPSG","6326"]],PRIMEM["Greenwich",0,AUTHORITY["EPSG","8901"]],'
    'UNIT["degree",0.0174532925199433,AUTHORITY["EPSG","9122"]]'
)
_MERCATOR = (
    f'PROJCS["WGS 84 / Pseudo-Mercator",{_WGS84},AUTHORITY["EPSG","4326"]],PROJECTION["Mercator_1SP"],'
    'PARAMETER["central_meridian",0],PARAMETER["scale_factor",1],PARAMETER["false_easting",0],'
    'PARAMETER["false_northing",0],UNIT["metre",1,AUTHORITY["EPSG","9001"]],AXIS["Easting",EAST],'
    'AXIS["Northing",NORTH],EXTENSION["PROJ4","+proj=merc +a=6378137 +b=6378137 +lat_ts=0 +lon_0=0 +x_0=0 +y_0=0 '
    '+k=1 +units=m +nadgrids=@null +wktext +no_defs"],AUTHORITY["EPSG","3857"]]'
)
_FIELDS: dict[LayerCrs, dict[str, str]] = {
    "EPSG:3857": {
        "wkt": _MERCATOR,
        "proj4": "+proj=merc +a=6378137 +b=6378137 +lat_ts=0 +lon_0=0 +x_0=0 +y_0=0 +k=1 +units=m +nadgrids=@null "
        "+wktext +no_defs",
        "srsid": "3857",
        "srid": "3857",
        "authid": "EPSG:3857",
        "description": "WGS 84 / Pseudo-Mercator",
        "projectionacronym": "merc",
        "ellipsoidacronym": "EPSG:7030",
        "geographicflag": "false",
    },
    "EPSG:4326": {
        "wkt": f'{_WGS84},AXIS["Latitude",NORTH],AXIS["Longitude",EAST],AUTHORITY["EPSG","4326"]]',
        "proj4": "+proj=longlat +datum=WGS84 +no_defs",
        "srsid": "3452",
        "srid": "4326",
        "authid": "EPSG:4326",
        "description": "WGS 84",
        "projectionacronym": "longlat",
        "ellipsoidacronym": "EPSG:7030",
        "geographicflag": "true",
    },
}


def add_crs(layer: Element, crs: LayerCrs) -> None:
    """Add the `srs` element of a layer."""
    known = SubElement(SubElement(layer, "srs"), "spatialrefsys")
    for tag, text in _FIELDS[crs].items():
        SubElement(known, tag).text = text
