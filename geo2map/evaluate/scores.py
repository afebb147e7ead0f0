"""The scores of translations against true pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from geo2map.colour.palette import Palette
from geo2map.errors import DataError
from geo2map.metrics import (
    Classes,
    Counts,
    Crispness,
    Differences,
    Mean,
    RoadMatches,
    classify,
    finite,
    overlap,
    overlap_iou,
    ssim,
)
from geo2map.metrics.reliability import Reliability
from geo2map.train.pictures import ALL_LABELS, LABEL_BITS, LabelMask
from geo2map.types import Image, Mask

ROAD_CLASSES = ("road", "highway")
"""A highway is a road, so road F1 is of the union of the two."""
Told = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]
"""Two percents of each pixel, uint8 (H, W): how sure the translator is, and a control."""
_NOTHING = Mean()
_NO_ROADS = RoadMatches(_NOTHING, _NOTHING)


@dataclass(frozen=True, eq=False)
class Scores:
    """Sums over pictures; `a + b` is the scores of the pictures of both.

    RMSE, accuracies, IoU and road F1 are pooled over all pixels. `rmse_sum`, PSNR, SSIM, edge ratio and flat noise
    are means over pictures, as the literature has the first; in the mean PSNR, a picture that is equal to its truth
    counts as if one channel value were one level off (its PSNR alone would be infinite).

    Where not all classes are known, a class counts where it is known itself, and all that compares colours counts only
    where everything is. Highways are roads there, since such maps do not tell them apart.

    Attributes:
        palette: names the classes; None: no IoU, no road F1, no edge ratio and no flat noise.
        differences: of all valid pixels.
        rmse_sum, psnr, ssim: means over pictures.
        overlap: intersection and union of each class, int64 (classes, 2); (0, 2) without a palette.
        roads: matches of roads within 3 px.
        edge_ratio, flat_noise, flat_noise_truth: see `geo2map.metrics.Crispness`; means over pictures.
        pictures: how many, of which some pixel is valid.
        false_water: share of what is known to be no water that is drawn as water.
        reliability: of the translator's confidence; empty without one.
    """

    palette: Palette | None
    differences: Differences
    rmse_sum: Mean
    psnr: Mean
    ssim: Mean
    overlap: Counts = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    roads: RoadMatches = _NO_ROADS
    edge_ratio: Mean = _NOTHING
    flat_noise: Mean = _NOTHING
    flat_noise_truth: Mean = _NOTHING
    false_water: Mean = _NOTHING
    pictures: int = 1
    reliability: Reliability = field(default_factory=Reliability)

    @classmethod
    def of(
        cls,
        truth: Image,
        prediction: Image,
        palette: Palette | None = None,
        mask: Mask | None = None,
        *,
        known: LabelMask | None = None,
        road_classes: tuple[str, ...] = ROAD_CLASSES,
        told: Told | None = None,
    ) -> Self:
        """Scores one prediction, uint8 (H, W, 3) twice.

        Args:
            mask: valid pixels; None: all.
            known: what is known where, see `geo2map.train.pictures.LABEL_BITS`; None: everything.
            told: confidence and its control, see `geo2map.metrics.reliability`.

        Raises:
            DataError: the shapes differ.
        """
        valid = np.ones(truth.shape[:2], bool) if mask is None else mask
        sure = valid if known is None else valid & ((known & np.uint8(ALL_LABELS)) == ALL_LABELS)
        found = Differences.of(truth, prediction, sure)
        finest = 10 * math.log10(255**2 * max(1, int(found.channel.sum())))
        empty, pictures = not sure.any(), int(valid.any())
        rmse_sum, psnr = (math.nan if empty else value for value in (found.rmse_sum, min(found.psnr, finest)))
        looks = (_once(rmse_sum), _once(psnr), _once(ssim(truth, prediction, None if sure.all() else sure)))
        if palette is None:
            return cls(None, found, *looks, pictures=pictures)
        both = classify(truth, palette), classify(prediction, palette)
        crisp = Crispness.of(truth, prediction, both[0], sure)
        if known is not None:
            both = folded(both[0], palette), folded(both[1], palette)
        certain = certain_of(palette, known, valid)
        on_roads = tuple(_is_class(side, palette, road_classes) for side in both)
        roads = RoadMatches.of(on_roads[0], on_roads[1], certain[_index(palette, road_classes)])
        return cls(
            palette,
            found,
            *looks,
            overlap=overlap(*both, certain),
            roads=roads,
            edge_ratio=_once(crisp.edge_ratio),
            flat_noise=_once(crisp.flat.value),
            flat_noise_truth=_once(crisp.flat_truth.value),
            false_water=_false(both, palette, certain),
            pictures=pictures,
            reliability=Reliability.of(*told, both, certain) if told else Reliability(),
        )

    def __add__(self, other: Self) -> Self:
        if self.palette != other.palette:
            raise DataError("scores of two palettes cannot be added: score both with one palette")
        names = [each.name for each in fields(self)[1:]]
        return type(self)(self.palette, *(getattr(self, name) + getattr(other, name) for name in names))

    def report(self) -> dict[str, Any]:
        """Figures ready for JSON: levels, decibels, and fractions of 1; None where one is undefined or infinite."""
        classes = self.palette.classes if self.palette else ()
        values = overlap_iou(self.overlap)
        present = values[~np.isnan(values)]
        iou = dict(zip(classes, values, strict=True)) | {"mean": float(present.mean()) if present.size else math.nan}
        return {
            "pictures": self.pictures,
            "rmse": finite(self.differences.rmse),
            "rmse_sum": finite(self.rmse_sum.value),
            "psnr": finite(self.psnr.value),
            "ssim": finite(self.ssim.value),
            "acc5": finite(self.differences.accuracy(5)),
            "acc10": finite(self.differences.accuracy(10)),
            "class_iou": {name: finite(value) for name, value in iou.items()},
            "road_f1": finite(self.roads.f1),
            "edge_ratio": finite(self.edge_ratio.value),
            "flat_noise": finite(self.flat_noise.value),
            "flat_noise_truth": finite(self.flat_noise_truth.value),
            "false_water": finite(self.false_water.value),
        }


def _once(value: float) -> Mean:
    return Mean() if math.isnan(value) else Mean(value, 1)


def _is_class(classes: Classes, palette: Palette, names: Sequence[str]) -> Mask:
    return np.isin(classes, [index for index, name in enumerate(palette.classes) if name in names])


def certain_of(palette: Palette, known: LabelMask | None, valid: Mask) -> npt.NDArray[np.bool_]:
    """Where each class is known, bool (classes, H, W); what has no bit of its own is known where all others are."""
    if known is None:
        return np.broadcast_to(valid, (len(palette.classes), *valid.shape))
    bits = [LABEL_BITS.get(name, ALL_LABELS) for name in palette.classes]
    return np.stack([valid & ((known & np.uint8(bit)) == bit) for bit in bits])


def _index(palette: Palette, names: Sequence[str]) -> int:
    """Index of the first class with one of these names, else 0."""
    return next((index for index, name in enumerate(palette.classes) if name in names), 0)


def folded(classes: Classes, palette: Palette) -> Classes:
    """Highways as roads, where the palette has both."""
    names = palette.classes
    if not set(ROAD_CLASSES) <= set(names):
        return classes
    return np.where(classes == names.index("highway"), names.index("road"), classes)


def _false(both: tuple[Classes, Classes], palette: Palette, certain: npt.NDArray[np.bool_]) -> Mean:
    """Pixels that are drawn as water, of those known to be none."""
    if "water" not in palette.classes:
        return Mean()
    water = palette.classes.index("water")
    dry = certain[water] & (both[0] != water)
    return Mean(int((dry & (both[1] == water)).sum()), int(dry.sum()))
