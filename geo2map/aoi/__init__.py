"""Areas of interest: polygons that limit what is written, never what is read."""

from geo2map.aoi.area import Aoi
from geo2map.aoi.reader import AoiLike, load_aoi, make_aoi
from geo2map.aoi.shape import bounds_aoi

__all__ = ["Aoi", "AoiLike", "bounds_aoi", "load_aoi", "make_aoi"]
