"""The calibration of a model with a legend as one call: what it draws, and what its confidence says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from geo2map.api.models import open_engine
from geo2map.errors import DataError
from geo2map.evaluate import EvaluateConfig
from geo2map.evaluate.confidence import FittedTemperature, fit_temperature
from geo2map.files.place import require_new
from geo2map.model import ModelCard, ModelOptions, calibrate_model
from geo2map.protocols import Progress
from geo2map.train.pictures import PairFile, list_places, list_splits


@dataclass(frozen=True, kw_only=True)
class CalibrationPairs:
    """The pairs that a temperature is fitted on; training must not have seen them.

    Attributes:
        data: of the model's home.
        validation: a list of those of `data` that training held out; only these are taken.
        elsewhere: of other places, a folder for each.
        elsewhere_aside: the same list of these.

    Raises:
        DataError: a list without its pairs.
    """

    data: Path | None = None
    validation: Path | None = None
    elsewhere: Path | None = None
    elsewhere_aside: Path | None = None

    def __post_init__(self) -> None:
        for pairs, name in ((self.data, "validation"), (self.elsewhere, "elsewhere_aside")):
            if pairs is None and (listed := getattr(self, name)) is not None:
                raise DataError(f"{name} {listed}: a list without its pairs; give both", option=name, usage=True)

    def places(self) -> dict[str, list[PairFile]]:
        """The pairs to take by place, "" is home.

        Raises:
            DataError: pairs or lists are missing or broken.
        """
        found: dict[str, list[PairFile]] = {}
        if self.data is not None:
            files, aside = list_splits(self.data, self.validation)
            found[""] = files if self.validation is None else aside
        if self.elsewhere is not None:
            places = list_places(self.elsewhere)
            rest = list_places(self.elsewhere, self.elsewhere_aside) if self.elsewhere_aside else {}
            for place, files in places.items():
                found[place] = [file for file in files if file not in rest.get(place, ())]
        return {place: files for place, files in found.items() if files}


@dataclass(frozen=True, kw_only=True)
class ScoreChanges:
    """What is done to the scores of a model; see `geo2map.model.calibrate_model`.

    Attributes:
        inverse_temperature: their factor.
        class_bias: what is added to those of a class.
        class_bias_elsewhere: the same, on top, where a scene's colours differ; None keeps the card's.
    """

    inverse_temperature: float = 1.0
    class_bias: Mapping[str, float] | None = None
    class_bias_elsewhere: Mapping[str, float] | None = None


def calibrate_on_pairs(
    model: Path,
    out: Path,
    *,
    changes: ScoreChanges | None = None,
    pairs: CalibrationPairs | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> FittedTemperature | None:
    """Writes a model with other steepness and favours, and with the temperature of its confidence fitted, if pairs are
    given.

    Args:
        model: a model file with a legend.
        out: the model file to write.
        changes: of the scores; None leaves them as they are.
        pairs: what to fit the temperature on; None keeps it.
        overwrite: replace an existing `out`.
        progress: told ("calibrate", done, total).

    Returns:
        What was fitted; None without pairs.

    Raises:
        ModelFileError: not a model with a legend, or numbers that cannot be.
        DataError: pairs or lists are missing or broken.
        OutputError: `out` exists or cannot be written.
    """
    require_new(out, overwrite)
    places = pairs.places() if pairs else {}
    with TemporaryDirectory(prefix="geo2map-") as folder:
        drawn, fitted = Path(folder) / out.name, None
        calibrate_model(model, drawn, **vars(changes or ScoreChanges()))
        if places:
            with open_engine(ModelOptions(model=drawn)) as engine:
                card = engine.card
                fitted = fit_temperature(places, engine, scoring_config(card), card.certainty, progress)
        calibrate_model(drawn, out, temperature=fitted.temperature if fitted else None, overwrite=overwrite)
    return fitted


def scoring_config(card: ModelCard) -> EvaluateConfig:
    """How pictures are shown to a model whose scores are looked at."""
    return EvaluateConfig(
        size_multiple=card.size_multiple,
        margin=card.margin,
        palette=card.palette,
        direction=card.direction,
        colours=card.colours,
        matching=card.matching,
        tries=card.can_try,
        favours_elsewhere=card.favours_elsewhere,
    )
