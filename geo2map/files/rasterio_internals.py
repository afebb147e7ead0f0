"""Names that rasterio keeps private: the root of GDAL's own errors, and the finder of PROJ's data."""

from rasterio._env import PROJDataFinder
from rasterio._err import CPLE_AppDefinedError, CPLE_BaseError
from rasterio.errors import CRSError, RasterioError

GDAL_ERRORS = (RasterioError, CRSError, CPLE_BaseError)
"""Whatever rasterio raises for an error of GDAL's, for `except` and `suppress`."""
GDAL_APPLICATION_ERROR = CPLE_AppDefinedError
"""GDAL's `CPLE_AppDefined`: a driver's or PROJ's refusal, which some of rasterio's functions pass on as it is."""


def proj_data_folder() -> str:
    """The folder of PROJ's database in rasterio's wheel or beside its libraries; "" where it is not found."""
    return PROJDataFinder().search() or ""
