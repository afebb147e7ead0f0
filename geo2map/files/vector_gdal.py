"""pyogrio, whose GDAL lives beside rasterio's: loaded when a vector file is read or written."""

from __future__ import annotations

from functools import cache
from types import ModuleType


@cache
def vector_gdal() -> ModuleType:
    """The package pyogrio, its module `raw` included."""
    import pyogrio
    import pyogrio.raw

    # reading a GeoPackage with metadata would write an .aux.xml beside it
    pyogrio.set_gdal_config_options({"GDAL_PAM_ENABLED": "NO"})
    return pyogrio
