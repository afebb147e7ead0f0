"""Structural similarity."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, minimum_filter

from geo2map.metrics.pooled import Mean, check_shapes, strips
from geo2map.types import Image, Mask


def ssim(truth: Image, prediction: Image, mask: Mask | None = None) -> float:
    """Structural similarity, mean over channels and pixels whose 11 x 11 window is wholly valid; -1 to 1.

    Wang et al. 2004: Gaussian window of sigma 1.5, K1 = 0.01, K2 = 0.03, range 255, population covariance. Without a
    mask equal to `skimage.metrics.structural_similarity(gaussian_weights=True, sigma=1.5, data_range=255,
    use_sample_covariance=False, channel_axis=-1)`; NaN if no window is valid.
    """
    check_shapes(truth, prediction, mask)
    mean = Mean()
    for _, wide, inner in strips(truth, halo=5):
        valid = np.ones(truth[wide].shape[:2], np.uint8) if mask is None else mask[wide].astype(np.uint8)
        valid = minimum_filter(valid, size=11, mode="constant", cval=0)[inner].astype(bool)
        similarity = _similarity(truth[wide].astype(np.float64), prediction[wide].astype(np.float64))[inner]
        mean += Mean(similarity[valid].sum(), 3 * valid.sum())
    return mean.value


def _similarity(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Local similarity of each pixel and channel, float64 (H, W, 3)."""
    blur = partial(gaussian_filter, sigma=(1.5, 1.5, 0), truncate=3.5)  # 11 x 11
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_x, mean_y = blur(x), blur(y)
    variances = blur(x * x + y * y) - mean_x**2 - mean_y**2
    covariance = blur(x * y) - mean_x * mean_y
    numerator = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return numerator / ((mean_x**2 + mean_y**2 + c1) * (variances + c2))
