"""Opens a GeoTIFF of tiles, which may be a stranger's: no file outside its folder is read for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rasterio
from rasterio.io import DatasetReader

from geo2map.errors import SceneError, TileSetError
from geo2map.scene.documents import TRUST_ADVICE
from geo2map.scene.trust import Trust


def open_geotiff(path: Path, **options: Any) -> DatasetReader:
    """Opens a GeoTIFF, no other kind of raster, and none that leads GDAL to files outside its folder.

    Raises:
        RasterioError: it cannot be opened.
        TileSetError: its overviews or its mask lie, or lead, elsewhere, or a document beside it is malformed.
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
        raise TileSetError(str(error).replace(TRUST_ADVICE, "it is not opened as a map")) from error  # advice on scenes
    return dataset
