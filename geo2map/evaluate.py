"""Scores a translator on a folder of A|B pictures and sets them beside a constant picture's.

Three protocols. "native": A is translated at its own size and compared with B there. "maps256": both the translation
and B are then reduced to 256 px with Pillow's antialiased bicubic, which makes the figures comparable with the
literature on the maps pictures. "maps256-reduced": A is reduced first, as pix2pix itself was tested; the network then
sees pictures 2.3 times coarser than what a model of native resolution was trained on.

The seam ratio of every protocol is that of the translator's own output, before any reduction, at the borders of the
network's grid (every `size_multiple` pixels). JPEG's own 8 px blocks count too where they meet that grid: at 32 px
the maps pictures themselves measure 1.09 (aerial) and 1.37 (map), mean of 40. A ratio well above these is a seam.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from PIL import Image as Pillow

from geo2map.errors import DataError
from geo2map.metrics import (
    Classes,
    Counts,
    Differences,
    Mean,
    RoadMatches,
    SeamGradient,
    class_iou,
    classify,
    confusion,
    mean_iou,
    ssim,
)
from geo2map.palette import Palette
from geo2map.protocols import Progress, Translator
from geo2map.train.dataset import list_pictures, load_pair
from geo2map.types import Image, Mask

ProtocolName = Literal["native", "maps256", "maps256-reduced"]
Direction = Literal["a2b", "b2a"]
ROAD_CLASSES = ("road", "highway")
"""A highway is a road, so road F1 is of the union of the two."""
REDUCED_SIZE = 256
_NO_SEAM = SeamGradient(Mean(), Mean())


@dataclass(frozen=True, eq=False)
class Scores:
    """Sums over pictures; `a + b` is the scores of the pictures of both.

    RMSE, accuracies, IoU, road F1 and the seam ratio are pooled over all pixels. `rmse_sum`, PSNR and SSIM are means
    over pictures, as the literature has them; in the mean PSNR, a picture that is equal to its truth counts as if
    one channel value were one level off (its PSNR alone would be infinite).

    Attributes:
        palette: names the classes; None: no IoU and no road F1.
        differences: of all valid pixels.
        rmse_sum, psnr, ssim: means over pictures.
        confusion: int64 (classes, classes), rows true; (0, 0) without a palette.
        roads: matches of roads within 3 px.
        seam: first differences at and off the borders of the network's grid.
    """

    palette: Palette | None
    differences: Differences
    rmse_sum: Mean
    psnr: Mean
    ssim: Mean
    confusion: Counts
    roads: RoadMatches
    seam: SeamGradient

    @classmethod
    def of(
        cls,
        truth: Image,
        prediction: Image,
        palette: Palette | None = None,
        mask: Mask | None = None,
        *,
        seam: SeamGradient = _NO_SEAM,
        road_classes: tuple[str, ...] = ROAD_CLASSES,
    ) -> Self:
        """Scores one prediction, uint8 (H, W, 3) twice; the seam is measured by the caller, who knows the grid.

        Raises:
            DataError: the shapes differ.
        """
        found = Differences.of(truth, prediction, mask)
        finest = 10 * math.log10(255**2 * max(1, int(found.channel.sum())))
        one = [_once(v) for v in (found.rmse_sum, min(found.psnr, finest), ssim(truth, prediction, mask))]
        counts, roads = np.zeros((0, 0), np.int64), RoadMatches(Mean(), Mean())
        if palette is not None:
            classes = classify(truth, palette), classify(prediction, palette)
            counts = confusion(*classes, len(palette.classes), mask)
            true_roads, predicted_roads = (_is_class(side, palette, road_classes) for side in classes)
            roads = RoadMatches.of(true_roads, predicted_roads, mask)
        return cls(palette, found, one[0], one[1], one[2], counts, roads, seam)

    def __add__(self, other: Self) -> Self:
        if self.palette != other.palette:
            raise DataError("scores of two palettes cannot be added: score both with one palette")
        names = [field.name for field in fields(self)[1:]]
        return type(self)(self.palette, *(getattr(self, name) + getattr(other, name) for name in names))

    def report(self) -> dict[str, Any]:
        """Figures ready for JSON: levels, decibels, and fractions of 1; None where one is undefined or infinite."""
        classes = self.palette.classes if self.palette else ()
        iou = dict(zip(classes, class_iou(self.confusion), strict=True)) | {"mean": mean_iou(self.confusion)}
        return {
            "pictures": self.rmse_sum.count,
            "rmse": _finite(self.differences.rmse),
            "rmse_sum": _finite(self.rmse_sum.value),
            "psnr": _finite(self.psnr.value),
            "ssim": _finite(self.ssim.value),
            "acc5": _finite(self.differences.accuracy(5)),
            "acc10": _finite(self.differences.accuracy(10)),
            "class_iou": {name: _finite(value) for name, value in iou.items()},
            "road_f1": _finite(self.roads.f1),
            "seam_ratio": _finite(self.seam.ratio),
        }


def _once(value: float) -> Mean:
    return Mean() if math.isnan(value) else Mean(value, 1)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _is_class(classes: Classes, palette: Palette, names: Sequence[str]) -> Mask:
    return np.isin(classes, [index for index, name in enumerate(palette.classes) if name in names])


@dataclass(frozen=True)
class EvaluateConfig:
    """How pictures are fed to a translator and compared.

    Attributes:
        size_multiple: the translator takes pictures whose sides are multiples of this many pixels.
        margin: pixels of context, made by reflection, around a picture.
        palette: of the target pictures; None for photographs: no IoU, no road F1, no baseline.
        protocol: see the module.
        direction: "a2b" translates the left half, "b2a" the right.
        limit: how many pictures at most, the first in natural order; None: all.
        name: of the translator in the table.
    """

    size_multiple: int
    margin: int
    palette: Palette | None = None
    protocol: ProtocolName = "native"
    direction: Direction = "a2b"
    limit: int | None = None
    name: str = "model"

    def __post_init__(self) -> None:
        if self.size_multiple < 1 or self.margin < 0 or (self.limit is not None and self.limit < 1):
            raise DataError(
                f"size multiple {self.size_multiple}, margin {self.margin}, limit {self.limit} asked: "
                "the margin must be at least 0, the others at least 1"
            )


@dataclass(frozen=True)
class Row:
    """A line of the table: who, compared how, and how well."""

    name: str
    protocol: ProtocolName
    direction: Direction
    scores: Scores

    def report(self) -> dict[str, Any]:
        """The row ready for JSON."""
        return {"name": self.name, "protocol": self.protocol, "direction": self.direction, **self.scores.report()}


def evaluate(
    folder: Path, translator: Translator, config: EvaluateConfig, progress: Progress | None = None
) -> tuple[Row, ...]:
    """Scores a translator on the pictures of a folder, one at a time.

    Args:
        folder: holds side-by-side A|B pictures, JPEG or PNG.
        translator: what to score.
        config: how.
        progress: told after each picture.

    Returns:
        The translator's row and, with a palette, the row of a picture of constant land colour.

    Raises:
        DataError: there are no pictures, one is broken, or the translator changes the size.
    """
    paths = list_pictures(folder)[: config.limit]
    rows: dict[str, Row] = {}
    for done, path in enumerate(paths, start=1):
        for name, scores in _score_pair(path, translator, config):
            row = Row(name, config.protocol, config.direction, scores)
            rows[name] = replace(row, scores=rows[name].scores + scores) if name in rows else row
        if progress:
            progress("evaluate", done, len(paths))
    return tuple(rows.values())


def _score_pair(path: Path, translator: Translator, config: EvaluateConfig) -> Iterator[tuple[str, Scores]]:
    real_a, real_b = load_pair(path)[:: 1 if config.direction == "a2b" else -1]
    if config.protocol == "maps256-reduced":
        real_a = resize_to_256(real_a)
    fake_b = translate_padded(real_a, translator, config.size_multiple, config.margin)
    seam = SeamGradient.of(fake_b, config.size_multiple, -config.margin)
    if config.protocol != "native":
        fake_b, real_b = resize_to_256(fake_b), resize_to_256(real_b)
    yield config.name, Scores.of(real_b, fake_b, config.palette, seam=seam)
    if config.palette:
        land = np.broadcast_to(land_colour(config.palette), real_b.shape)
        yield "constant land colour", Scores.of(real_b, land, config.palette)


def translate_padded(image: Image, translator: Translator, size_multiple: int, margin: int) -> Image:
    """Translates a uint8 (H, W, 3) of any size: reflects `margin` pixels around it, and on the right and below as
    many more as make the sides multiples of `size_multiple`; returns its own pixels, uint8 (H, W, 3).

    Borders of the network's grid then lie at columns and rows -`margin` + k `size_multiple`.

    Raises:
        DataError: the translator returns another size than it was given.
    """
    extra = [-(side + 2 * margin) % size_multiple for side in image.shape[:2]]
    padded = np.pad(image, [*((margin, margin + more) for more in extra), (0, 0)], mode="reflect")
    translated = translator.translate(padded[None])
    if translated.shape != (1, *padded.shape):
        raise DataError(
            f"a translation of {padded.shape[1]} x {padded.shape[0]} px asked, found an array of shape "
            f"{translated.shape}: check the model's size multiple ({size_multiple})"
        )
    return translated[0, margin : margin + image.shape[0], margin : margin + image.shape[1]]


def resize_to_256(image: Image) -> Image:
    """To uint8 (256, 256, 3) with Pillow's bicubic, antialiased when shrinking; an image of 256 px is kept."""
    size = (REDUCED_SIZE, REDUCED_SIZE)
    return np.asarray(Pillow.fromarray(np.ascontiguousarray(image)).resize(size, Pillow.Resampling.BICUBIC))


def land_colour(palette: Palette) -> Image:
    """Colour of the class "land", else the palette's first; uint8 (3,)."""
    named = [index for index, (name, _) in enumerate(palette.entries) if name == "land"]
    return palette.colours[named[0] if named else 0]


COLUMNS = {
    "name": ("model", "{}"),
    "protocol": ("protocol", "{}"),
    "pictures": ("pictures", "{}"),
    "rmse": ("RMSE", "{:.2f}"),
    "rmse_sum": ("RMSE sum", "{:.2f}"),
    "psnr": ("PSNR dB", "{:.2f}"),
    "ssim": ("SSIM", "{:.3f}"),
    "acc5": ("ACC<5", "{:.1%}"),
    "acc10": ("ACC<10", "{:.1%}"),
    "mean_iou": ("mean IoU", "{:.3f}"),
    "road_f1": ("road F1", "{:.3f}"),
    "seam_ratio": ("seam", "{:.3f}"),
}


def table(rows: Sequence[Row]) -> str:
    """An aligned Markdown table, which is as readable on a terminal; "-" where a figure is undefined."""
    figures = [row.report() | {"mean_iou": row.scores.report()["class_iou"]["mean"]} for row in rows]
    lines = [[title for title, _ in COLUMNS.values()]]
    lines += [["-" if r[k] is None else form.format(r[k]) for k, (_, form) in COLUMNS.items()] for r in figures]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |" for line in lines]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)


def to_json(rows: Sequence[Row]) -> str:
    """The rows as a JSON array, every figure unrounded."""
    return json.dumps([row.report() for row in rows], indent=2, allow_nan=False)
