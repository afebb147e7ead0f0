"""Opens a GeoTIFF that is to be an output of geo2map: by that name a stranger's file may come, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rasterio
from rasterio.io import DatasetReader

from geo2map.errors import SceneError, TileSetError
from geo2map.scene.trust import Trust


def open_geotiff(path: Path, **options: Any) -> DatasetReader:
    """Opens a GeoTIFF, no other kind of raster, and none that leads GDAL to files outside its folder.

    Raises:
        RasterioError: it cannot be opened.
        TileSetError: its overviews or its mask lie, or lead, elsewhere.
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
        raise TileSetError(f"{path} leads to files outside its folder and is not opened; render it again") from error
    return dataset
