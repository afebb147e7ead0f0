"""The evaluation itself: pair by pair, in little memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from geo2map.errors import DataError
from geo2map.evaluate.config import Direction, EvaluateConfig, ProtocolName
from geo2map.evaluate.scores import Scores
from geo2map.evaluate.seams import Seams, measure_seams
from geo2map.evaluate.translate import resize_to_256, translate_picture
from geo2map.metrics import finite
from geo2map.protocols import Progress, Translator
from geo2map.train.pictures import PairFile, Picture
from geo2map.types import Image


class PictureDistances(Protocol):
    """Something that compares the look of all translations with that of all true pictures, such as FID."""

    def add(self, truth: Image, prediction: Image) -> None:
        """Takes note of two uint8 (H, W, 3)."""
        ...

    def report(self) -> dict[str, Any]:
        """Figures ready for JSON."""
        ...


@dataclass(frozen=True)
class Row:
    """A line of the table: who, compared how, and how well.

    Attributes:
        distances: what `PictureDistances` reported; empty where none were asked.
    """

    name: str
    protocol: ProtocolName
    direction: Direction
    scores: Scores
    seams: Seams
    distances: dict[str, Any]

    def report(self) -> dict[str, Any]:
        """The row ready for JSON."""
        who = {"name": self.name, "protocol": self.protocol, "direction": self.direction}
        seams = {"seam_ratio": finite(self.seams.between.ratio), "seams": self.seams.report()}
        return {**who, **self.scores.report(), **seams, **self.distances}


def evaluate(
    files: Sequence[PairFile],
    translator: Translator,
    config: EvaluateConfig,
    progress: Progress | None = None,
    distances: PictureDistances | None = None,
) -> Row:
    """Scores a translator on pairs, one at a time.

    Args:
        files: the pairs, see `geo2map.train.pictures.list_pairs`.
        translator: what to score.
        config: how.
        progress: told after each picture.
        distances: FID and the like, fresh; None: none.

    Raises:
        DataError: there are no pictures, one is broken, or the translator changes the size.
    """
    files = files[: config.limit]
    if not files:
        raise DataError("an evaluation on no pairs asked: give at least one")
    spread = np.linspace(0, len(files) - 1, min(config.seams, len(files))).round().astype(int).tolist()
    total: Scores | None = None
    seams = Seams()
    for index, file in enumerate(files):
        image, truth = file.load()[:: 1 if config.direction == "a2b" else -1]
        scores, found = _score(image, truth, translator, config, index in spread, distances)
        total, seams = scores if total is None else total + scores, seams + found
        if progress:
            progress("evaluate", index + 1, len(files))
    assert total is not None
    far = distances.report() if distances else {}
    return Row(config.name, config.protocol, config.direction, total, seams, far)


def _score(
    image: Picture,
    truth: Picture,
    translator: Translator,
    config: EvaluateConfig,
    with_seams: bool,
    distances: PictureDistances | None,
) -> tuple[Scores, Seams]:
    """Seams are those of the translator's own output, before any reduction."""
    if config.protocol == "maps256-reduced":
        image, truth = resize_to_256(image), resize_to_256(truth)
    prediction = translate_picture(image, translator, config.size_multiple, config.margin)
    seams = measure_seams(image, truth, prediction, translator, config) if with_seams else Seams()
    if config.protocol == "maps256":
        prediction, truth = resize_to_256(prediction), resize_to_256(truth)
    if distances:
        distances.add(truth, prediction)
    return Scores.of(truth, prediction, config.palette), seams
