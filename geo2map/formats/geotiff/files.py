"""Opens an untrusted GeoTIFF of tiles: reads no file outside its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rasterio
from rasterio.io import DatasetReader

from geo2map.errors import SceneError, TileSetError
from geo2map.scene.documents import TRUST_ADVICE
from geo2map.scene.trust import Trust


def open_geotiff(path: Path, **options: Any) -> DatasetReader:
    """Open a GeoTIFF; refuses other raster formats, and files that make GDAL read outside their folder.

    Raises:
        RasterioError: it cannot be opened.
        TileSetError: its overviews or mask are, or refer, elsewhere, or a sidecar is malformed.
    """
    trust = Trust(path)
    try:
        trust.before_opening()
        dataset = rasterio.open(path, driver="GTiff", **options)
        try:
            trust.after_opening(dataset)
        except BaseException:
            dataset.close()
            raise
    except SceneError as error:
        raise TileSetError(str(error).replace(TRUST_ADVICE, "it is not opened as a map")) from error
    return dataset
