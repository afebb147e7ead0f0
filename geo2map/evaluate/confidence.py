"""The temperature at which a model's confidence means what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from geo2map.errors import DataError
from geo2map.evaluate.config import EvaluateConfig
from geo2map.evaluate.scores import certain_of, folded
from geo2map.evaluate.translate import as_scene, translate_scored
from geo2map.metrics import classify
from geo2map.metrics.reliability import Reliability, plainness
from geo2map.model.card import MID_GREY
from geo2map.protocols import PixelTranslator, Progress, Scored
from geo2map.train.pictures import PairFile
from geo2map.types import Batch

TEMPERATURES_A_DOUBLING = 8
"""How finely the search goes."""
DOUBLINGS = (-1, 2)
"""How far down and up from a model's certainty the search goes: networks are mostly too sure of themselves."""


class TemperedTranslator(Protocol):
    """A translator that tells its confidence at any temperatures: `geo2map.engine.Engine`."""

    def translate_tempered(self, batch: Batch, margin: int, temperatures: Sequence[float]) -> Scored:
        """Pixels, and a plane of confidence for each temperature."""
        ...


@dataclass(frozen=True)
class FittedTemperature:
    """What a fit found.

    Attributes:
        temperature: of the least calibration error at home and, on average, elsewhere, each half.
        errors: the expected calibration error there by place, "" at home.
    """

    temperature: float
    errors: Mapping[str, float]


def fit_temperature(
    places: Mapping[str, Sequence[PairFile]],
    translator: PixelTranslator,
    config: EvaluateConfig,
    certainty: float,
    progress: Progress | None = None,
) -> FittedTemperature:
    """Find the temperature of the least expected calibration error on pictures that training did not see.

    Args:
        places: pairs by place; "" is home, whose pictures are taken as they are, others as a renderer shows them.
        translator: also a `TemperedTranslator`.
        config: with a palette.
        certainty: of the model's card; the search goes from half to four times that.
        progress: told after each picture.

    Raises:
        DataError: no place has pixels whose class is known.
    """
    steps = range(TEMPERATURES_A_DOUBLING * DOUBLINGS[0], TEMPERATURES_A_DOUBLING * DOUBLINGS[1] + 1)
    temperatures = [certainty * 2 ** (step / TEMPERATURES_A_DOUBLING) for step in steps]
    total, done, errors = sum(map(len, places.values())), 0, dict[str, list[float]]()
    for place, files in places.items():
        sums = [Reliability() for _ in temperatures]
        for number, file in enumerate(files):
            found = reliability_at(file, translator, config, temperatures, abroad=bool(place))
            sums = [a + b for a, b in zip(sums, found, strict=True)] if number else found
            done += 1
            if progress:
                progress("calibrate", done, total)
        if files and sums[0].ranking.counts.any():
            errors[place] = [each.ranking.calibration_error() for each in sums]
    if not errors:
        raise DataError("no pixel whose class is known: give pairs with labels", option="data")
    sides = [[errors[""]] if "" in errors else [], [values for place, values in errors.items() if place]]
    best = int(np.mean([np.mean(side, axis=0) for side in sides if side], axis=0).argmin())
    return FittedTemperature(temperatures[best], {place: values[best] for place, values in errors.items()})


def reliability_at(
    file: PairFile,
    translator: PixelTranslator,
    config: EvaluateConfig,
    temperatures: Sequence[float],
    *,
    abroad: bool,
) -> list[Reliability]:
    """How reliable the confidence of a picture is at each temperature.

    Args:
        file: a pair.
        translator: also a `TemperedTranslator`.
        config: with a palette.
        abroad: whether the picture is shown as a renderer would, its colours matched.
    """
    (image, truth), palette, known = file.load(), config.palette, file.load_label_mask()
    assert palette is not None, "models with scores have a palette"
    control, neutral = plainness(image), None
    if abroad:
        neutral = config.colours.neutral(config.direction) if config.colours else MID_GREY
        image, translator = as_scene(image, translator, config)

    def tell(batch: Batch) -> Scored:
        return translator.translate_tempered(batch, 0, temperatures)  # type: ignore[attr-defined]

    found = translate_scored(image, translator, config.size_multiple, config.margin, neutral, tell)
    both = classify(truth, palette), classify(found.pixels[0], palette)
    if known is not None:
        both = folded(both[0], palette), folded(both[1], palette)
    certain = certain_of(palette, known, np.ones(truth.shape[:2], bool))
    return [Reliability.of(plane, control, both, certain) for plane in found.planes[0]]
