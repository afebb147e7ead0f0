"""How close a translated image is to the true one, and whether tile borders are visible: pure array functions.

Pictures are uint8 (H, W, 3); a mask is bool (H, W), True where both pictures are valid. Work is done in strips
of rows, so a tall raster needs little memory beside itself. A mean over nothing is NaN. Two pictures (or a picture
and a mask) of different shapes raise DataError.

Everything is a sum that can be pooled over images and honours a mask; tests compare with scikit-image and torchmetrics,
which support neither for SSIM, IoU and PSNR at once.
"""

from geo2map.metrics.classes import Classes, class_iou, classify, confusion, mean_iou, overlap, overlap_iou
from geo2map.metrics.crispness import Crispness
from geo2map.metrics.differences import (
    Differences,
    TileMismatch,
    accuracy,
    psnr,
    rmse,
    rmse_sum,
    tile_mismatch,
)
from geo2map.metrics.pooled import Counts, Mean, Summed, finite
from geo2map.metrics.roads import ROAD_TOLERANCE, RoadMatches, road_f1
from geo2map.metrics.seams import SeamGradient, seam_gradient_ratio
from geo2map.metrics.similarity import ssim

__all__ = [
    "ROAD_TOLERANCE",
    "Classes",
    "Counts",
    "Crispness",
    "Differences",
    "Mean",
    "RoadMatches",
    "SeamGradient",
    "Summed",
    "TileMismatch",
    "accuracy",
    "class_iou",
    "classify",
    "confusion",
    "finite",
    "mean_iou",
    "overlap",
    "overlap_iou",
    "psnr",
    "rmse",
    "rmse_sum",
    "road_f1",
    "seam_gradient_ratio",
    "ssim",
    "tile_mismatch",
]
