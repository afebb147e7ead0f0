"""What rasterio raises for an error of GDAL's, in one tuple: rasterio keeps the root of GDAL's own errors private."""

from rasterio._err import CPLE_AppDefinedError, CPLE_BaseError
from rasterio.errors import CRSError, RasterioError

GDAL_ERRORS = (RasterioError, CRSError, CPLE_BaseError)
"""For `except` and `suppress`."""
GDAL_APPLICATION_ERROR = CPLE_AppDefinedError
"""GDAL's `CPLE_AppDefined`: a driver's or PROJ's refusal, which some of rasterio's functions pass on as it is."""
