"""Classes of a map's palette: how well they overlap."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geo2map.colour.palette import Palette
from geo2map.metrics.pooled import Counts, ratio, strips
from geo2map.types import Image, Mask

Classes = npt.NDArray[np.int64]


def classify(image: Image, palette: Palette) -> Classes:
    """Class of the nearest palette colour for each pixel, int64 (H, W); colours of one class are folded."""
    classes = np.empty(image.shape[:2], np.int64)
    for rows, _, _ in strips(image):
        packed = image[rows].astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
        colours, where = np.unique(packed, return_inverse=True)
        channels = np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=-1)
        classes[rows] = palette.classify(channels.astype(np.uint8))[where].reshape(packed.shape)
    return classes


def confusion(truth: Classes, prediction: Classes, classes: int, mask: Mask | None = None) -> Counts:
    """Counts valid pixels by class: int64 (classes, classes), a row a true class, a column a predicted one."""
    pairs = truth * classes + prediction
    return np.bincount(pairs.ravel() if mask is None else pairs[mask], minlength=classes**2).reshape(classes, classes)


def class_iou(counts: Counts) -> npt.NDArray[np.float64]:
    """Intersection over union of each class of a confusion matrix; NaN where neither truth nor prediction has it."""
    union = counts.sum(axis=0) + counts.sum(axis=1) - np.diag(counts)
    return np.array([ratio(same, either) for same, either in zip(np.diag(counts), union, strict=True)])


def mean_iou(counts: Counts) -> float:
    """Mean of `class_iou` over the classes that the truth or the prediction has; NaN if there is none."""
    present = [value for value in class_iou(counts) if not np.isnan(value)]
    return ratio(sum(present), len(present))


def overlap(truth: Classes, prediction: Classes, known: npt.NDArray[np.bool_]) -> Counts:
    """Intersection and union of each class over the pixels where it is known; int64 (classes, 2).

    Args:
        truth, prediction: int64 (H, W).
        known: bool (classes, H, W).
    """
    counts = []
    for index, valid in enumerate(known):
        true, guessed = (truth == index) & valid, (prediction == index) & valid
        counts.append(((true & guessed).sum(), (true | guessed).sum()))
    return np.array(counts, np.int64).reshape(-1, 2)


def overlap_iou(counts: Counts) -> npt.NDArray[np.float64]:
    """Intersection over union of `overlap`'s counts; NaN for a class that is nowhere."""
    return np.array([ratio(same, either) for same, either in counts])
