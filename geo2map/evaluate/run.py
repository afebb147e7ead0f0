"""The evaluation itself: pair by pair, in little memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from geo2map.errors import DataError
from geo2map.evaluate.config import EvaluateConfig, ProtocolName
from geo2map.evaluate.scores import Scores
from geo2map.evaluate.seams import Seams, measure_seams
from geo2map.evaluate.translate import as_scene, resize_to_256, translate_picture, translate_scored
from geo2map.evaluate.vectors import VectorScores, measure_vectors
from geo2map.metrics import finite
from geo2map.metrics.reliability import plainness
from geo2map.model.card import MID_GREY
from geo2map.protocols import PixelTranslator, Progress, ScoreKind
from geo2map.train.pictures import PairFile
from geo2map.types import Direction, Image


class PictureDistances(Protocol):
    """A distance between the distributions of translations and true pictures, such as FID."""

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
        place: whose pairs these are, where there are several places.
        distances: what `PictureDistances` reported; empty where none were asked.
        vectors: of features read out of the translations; None where they were not asked for.
    """

    name: str
    protocol: ProtocolName
    direction: Direction
    scores: Scores
    seams: Seams
    distances: dict[str, Any]
    place: str = ""
    vectors: VectorScores | None = None

    def report(self) -> dict[str, Any]:
        """The row ready for JSON."""
        who = {"name": self.name, "protocol": self.protocol, "direction": self.direction}
        who |= {"place": self.place} if self.place else {}
        seams = {"seam_ratio": finite(self.seams.between.ratio), "seams": self.seams.report()}
        sure = self.scores.reliability.report()
        more = ({"confidence": sure} if sure else {}) | ({"vectors": self.vectors.report()} if self.vectors else {})
        return {**who, **self.scores.report(), **more, **seams, **self.distances}


def evaluate(
    files: Sequence[PairFile],
    translator: PixelTranslator,
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
        raise DataError("no pairs to evaluate on: give at least one")
    spread = np.linspace(0, len(files) - 1, min(config.seams, len(files))).round().astype(int).tolist()
    total: Scores | None = None
    vectors: VectorScores | None = None
    seams = Seams()
    for index, file in enumerate(files):
        scores, found, features = _score(file, translator, config, index in spread, distances)
        total, seams = scores if total is None else total + scores, seams + found
        vectors = features if vectors is None or features is None else vectors + features
        if progress:
            progress("evaluate", index + 1, len(files))
    assert total is not None
    far = distances.report() if distances else {}
    return Row(config.name, config.protocol, config.direction, total, seams, far, vectors=vectors)


def _score(
    file: PairFile,
    translator: PixelTranslator,
    config: EvaluateConfig,
    with_seams: bool,
    distances: PictureDistances | None,
) -> tuple[Scores, Seams, VectorScores | None]:
    """Seams are those of the translator's own output, before any reduction."""
    image, truth = file.load()[:: 1 if config.direction == "a2b" else -1]
    known = file.load_label_mask() if config.protocol in ("native", "scene") else None
    if config.protocol == "maps256-reduced":
        image, truth = resize_to_256(image), resize_to_256(truth)
    neutral, plain = None, plainness(image)
    if config.protocol == "scene":
        neutral = config.colours.neutral(config.direction) if config.colours else MID_GREY
        image, translator = as_scene(image, translator, config) if config.direction == "a2b" else (image, translator)
    sides, told, evidence = (config.size_multiple, config.margin, neutral), None, None
    if translator.has_scores and config.palette and config.protocol in ("native", "scene"):
        kinds: frozenset[ScoreKind] = frozenset(("confidence", "probabilities") if config.vectors else ("confidence",))
        drawn = translate_scored(
            image, translator, *sides, scores=lambda some: translator.begin_scored(some, 0, kinds)()
        )
        prediction, told = drawn.pixels[0], (drawn.planes[0, 0], plain)
        evidence = drawn.planes[0, 1:] if config.vectors else None
    else:
        prediction = translate_picture(image, translator, *sides)
    seams = measure_seams(image, truth, prediction, translator, config) if with_seams else Seams()
    if config.protocol == "maps256":
        prediction, truth = resize_to_256(prediction), resize_to_256(truth)
    if distances:
        distances.add(truth, prediction)
    features = None
    if config.vectors and config.palette:
        metres = config.metres
        features = measure_vectors(truth, prediction, evidence, palette=config.palette, metres=metres, known=known)
    return Scores.of(truth, prediction, config.palette, known=known, told=told), seams, features
