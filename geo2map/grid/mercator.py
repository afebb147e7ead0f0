"""The CRS of web-mercator. Created when needed: PROJ may be broken, but importing must work."""

from __future__ import annotations

import os
from functools import cache

import rasterio
from rasterio.crs import CRS
from rasterio.errors import CRSError

from geo2map.errors import SetupError

PROJ_VARIABLES = ("PROJ_DATA", "PROJ_LIB")


@cache
def web_mercator() -> CRS:
    """EPSG:3857.

    Raises:
        SetupError: PROJ has no data, or those of another version, as where QGIS, PostGIS or conda set PROJ_LIB.
    """
    try:
        with rasterio.Env():  # else PROJ prints its errors
            return CRS.from_epsg(3857)
    except CRSError as error:
        given = next((name for name in PROJ_VARIABLES if os.environ.get(name)), None)
        if given is None:
            said = " ".join(str(error).split())
            raise SetupError(f"PROJ cannot use its data ({said}); install rasterio again") from error
        where = os.environ[given]
        raise SetupError(
            f"{given} leads to another program's PROJ data ({where}); unset {given} and run again"
        ) from error
