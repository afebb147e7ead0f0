"""A measurement of models as one call, from pairs to rows of a table."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Unpack

from geo2map.api.calibrating import scoring_config
from geo2map.api.keywords import pick_options, require_known
from geo2map.api.model_keywords import EvaluateKeywords
from geo2map.api.models import ModelLike, as_choice, open_engine
from geo2map.colour.palette import MAPS_PALETTE
from geo2map.engine import Engine
from geo2map.engine.transfer import torch_threads
from geo2map.errors import Geo2MapError
from geo2map.evaluate import TILE, Direction, EvaluateConfig, ProtocolName, Row, constant_baseline, evaluate
from geo2map.evaluate.inception import WEIGHTS, Inception, find_weights
from geo2map.model import ModelCard, ModelOptions
from geo2map.plan import choose_margin
from geo2map.protocols import PixelTranslator, Progress
from geo2map.threads import Budget
from geo2map.train.pictures import PairFile, has_places, list_pairs, list_places

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Measuring:
    """The options of an evaluation.

    Attributes:
        protocols: see `geo2map.evaluate`; None is "native", or "scene" where there are several places.
        direction: which side is translated; None is the model's.
        limit: pictures at most; None is all.
        margin: pixels of context; None is the model's.
        seams: pictures that are also translated in two grids of tiles.
        vectors: whether features are read out of the translations and measured, too.
        inception: torch-fidelity's weights for FID and KID; None takes those of torch.hub's cache, where they are.
    """

    protocols: Sequence[ProtocolName] | None = None
    direction: Direction | None = None
    limit: int | None = None
    margin: int | None = None
    seams: int = 16
    vectors: bool = False
    inception: Path | None = None


@dataclass(frozen=True)
class Evaluation:
    """The results of an evaluation.

    Attributes:
        own: rows of the model, by protocol and place.
        others: rows of the baselines: other models, and a picture of constant colour.
        notes: sentences a user should read.
    """

    own: list[Row]
    others: list[Row]
    notes: tuple[str, ...]

    @property
    def rows(self) -> list[Row]:
        """All of them."""
        return [*self.own, *self.others]


def evaluate_model(
    data: str | Path,
    *,
    engine: ModelLike = "sat2map",
    baselines: Sequence[str] = (),
    progress: Progress | None = None,
    **options: Unpack[EvaluateKeywords],
) -> Evaluation:
    """Measures a model on held-out pairs, beside other models and a picture of constant colour.

    Args:
        data: a folder of pairs, or one folder of pairs for each place.
        engine: the model.
        baselines: names or files of other models, run as this one is.
        progress: told ("pictures", done, total).
        options: the fields of `Measuring`.

    Raises:
        DataError: the pairs are missing or broken.
        ModelFileError: not a model.
    """
    require_known(options, EvaluateKeywords)
    asked, choice = pick_options(Measuring, options), as_choice(engine)
    places = _places(Path(data))
    protocols = asked.protocols or (("scene",) if len(places) > 1 else ("native",))
    with open_engine(choice) as loaded:
        config, notes = _config(loaded.card, asked)
        table = _Table(places, protocols, _inception(asked.inception, loaded), progress, loaded.budget)
        own, others = table.rows(loaded, config), []
    for model in baselines:
        with open_engine(replace(choice, model=model) if isinstance(choice, ModelOptions) else model) as other:
            chosen, more = _config(other.card, replace(asked, direction=config.direction))
            others += table.rows(other, replace(chosen, palette=config.palette))
            notes += more
    constant = constant_baseline([file for files in places.values() for file in files], config)
    plain = replace(config, name=constant.name, size_multiple=1, margin=0, seams=0, vectors=False)
    plain = replace(plain, tries=False, favours_elsewhere=())
    table = replace(table, protocols=protocols[:1])  # the same in all of them
    return Evaluation(own, [*others, *table.rows(constant, plain)], notes)


def _config(card: ModelCard, asked: Measuring) -> tuple[EvaluateConfig, tuple[str, ...]]:
    """The configuration for a model, and notes where an option does not suit it."""
    trained = card.direction
    direction = asked.direction or trained
    palette = card.palette if direction == trained else None
    context, notes = choose_margin(card, asked.margin)
    if direction != trained:
        notes += (f"warning: {card.name} was trained {trained}, and is measured {direction}",)
    config = replace(
        scoring_config(card),
        margin=context,
        palette=palette or (MAPS_PALETTE if direction == "a2b" else None),
        direction=direction,
        limit=asked.limit,
        name=card.name,
        seams=asked.seams,
        vectors=asked.vectors,
        metres=card.ground_resolution,
        tile=max(TILE, 2 * card.size_multiple) if card.exact else TILE,
    )
    return config, notes


def _places(data: Path) -> dict[str, list[PairFile]]:
    """The pairs of each place; "" for a folder that is not a folder of places."""
    return list_places(data) if has_places(data) else {"": list_pairs(data)}


@dataclass(frozen=True)
class _Table:
    """Makes rows."""

    places: Mapping[str, Sequence[PairFile]]
    protocols: Sequence[ProtocolName]
    inception: Inception | None
    progress: Progress | None
    budget: Budget

    def rows(self, translator: PixelTranslator, config: EvaluateConfig) -> list[Row]:
        """A translator's rows, by protocol and place."""
        rows = []
        for protocol, (place, files) in product(self.protocols, self.places.items()):
            distances = self.inception.distances() if self.inception else None
            with torch_threads(self.budget.threads):
                row = evaluate(files, translator, replace(config, protocol=protocol), self.progress, distances)
            rows.append(replace(row, place=place))
        return rows


def _inception(asked: Path | None, engine: Engine) -> Inception | None:
    """The network of FID and KID, where its weights are at hand."""
    weights = asked or find_weights()
    if weights is None:
        log.info("FID and KID left out: %s is not in torch.hub's cache, and no weights were given", WEIGHTS)
        return None
    try:
        return Inception(weights, engine.device)
    except Geo2MapError as error:
        if asked:
            raise
        log.warning("FID and KID left out: %s", error)
        return None
