"""A model with a legend whose classes are drawn with more certainty, or sooner."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from geo2map.errors import ModelFileError
from geo2map.files.place import require_new
from geo2map.model.card import ModelCard
from geo2map.model.file import load_card, load_weights, save_model

LAST = "up.0.1"
"""The convolution that scores the colours of a legend."""


def calibrate_model(
    model: Path,
    out: Path,
    *,
    certainty: float = 1.0,
    favour: Mapping[str, float] | None = None,
    overwrite: bool = False,
) -> None:
    """Writes a model whose scores are `certainty` (score + favour of the class); it costs nothing when translating.

    A certainty above 1 draws borders steeper, and less often a blend (the inverse of the temperature of Guo et al.,
    ICML 2017). Favours make up for classes that are drawn too seldom or too often on pictures kept aside (logit
    adjustment, Menon et al., ICLR 2021).

    Args:
        model: a model file with a legend.
        out: the model file to write; its card has no metrics.
        certainty: more than 0.
        favour: of classes by name, in logits; others have 0.
        overwrite: replace an existing `out`.

    Raises:
        ModelFileError: no model, one without a legend, no such class, or numbers that cannot be.
        OutputError: `out` exists or cannot be written.
    """
    require_new(out, overwrite)
    card, favours = load_card(model), dict(favour or {})
    added = _added(model, card, favours)
    if not (math.isfinite(certainty) and certainty > 0 and all(map(math.isfinite, added))):
        raise ModelFileError(f"certainty {certainty}, favours {favours}: give finite numbers, and a positive certainty")
    weights = load_weights(model)
    for name in (f"{LAST}.weight", f"{LAST}.bias"):
        score = weights[name].double()
        more = score.new_tensor(added) if score.ndim == 1 else 0.0
        weights[name] = (certainty * (score + more)).to(weights[name])
    said = {"calibration": {"certainty": certainty, "favour": favours}}
    save_model(out, weights, replace(card, training=card.training | said, metrics={}))


def _added(model: Path, card: ModelCard, favours: Mapping[str, float]) -> list[float]:
    """What each colour of the legend is favoured by."""
    legend = card.config.get("legend")
    if card.palette is None or not legend:
        raise ModelFileError(f"{model}: no legend to calibrate; give a model trained with one")
    if unknown := favours.keys() - set(card.palette.classes):
        raise ModelFileError(f"{model}: no class {min(unknown)}; it draws {', '.join(card.palette.classes)}")
    classes = card.palette.classify(np.array(legend, dtype=np.uint8))  # the palette may hold fewer colours
    return [favours.get(card.palette.classes[number], 0.0) for number in classes]
