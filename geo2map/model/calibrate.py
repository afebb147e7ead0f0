"""Calibration of a model with a legend: inverse temperature and class bias of its scores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from geo2map.errors import ModelFileError
from geo2map.families import find_family
from geo2map.files.place import require_new
from geo2map.model.card import ModelCard
from geo2map.model.file import load_card, load_weights, save_model


def calibrate_model(
    model: Path,
    out: Path,
    *,
    inverse_temperature: float = 1.0,
    class_bias: Mapping[str, float] | None = None,
    class_bias_elsewhere: Mapping[str, float] | None = None,
    temperature: float | None = None,
    overwrite: bool = False,
) -> None:
    """Writes a model whose scores are `inverse_temperature` x (score + bias of the class), at no cost when translating.

    An inverse temperature above 1 gives steeper borders and fewer blends (Guo et al., ICML 2017). Biases make up for
    classes that held-out pictures show to be drawn too seldom or too often (logit adjustment, Menon et al., ICLR 2021).

    Args:
        model: a model file with a legend.
        out: the model file to write; its card has no metrics, unless only the temperature is new.
        inverse_temperature: more than 0.
        class_bias: by class name, in logits; 0 for the others.
        class_bias_elsewhere: the same, added on top where a scene's colours differ from the training's; decided by each
            plan, and not in the weights. None keeps the card's.
        temperature: of the confidence, for the model's scores as they are; None keeps its meaning.
        overwrite: replace an existing `out`.

    Raises:
        ModelFileError: no model, one without a legend, no such class, or numbers that cannot be.
        OutputError: `out` exists or cannot be written.
    """
    require_new(out, overwrite)
    card, bias = load_card(model), dict(class_bias or {})
    added, elsewhere = _added(model, card, bias), _added(model, card, class_bias_elsewhere or {})
    if not (math.isfinite(inverse_temperature) and inverse_temperature > 0):
        raise ModelFileError(
            f"inverse temperature {inverse_temperature} is not above 0; give a positive number",
            option="inverse_temperature",
        )
    if not all(map(math.isfinite, (*added, *elsewhere))):
        raise ModelFileError("class bias is not finite; give a number for each class", option="class_bias")
    weights = load_weights(model)
    if drawn_otherwise := inverse_temperature != 1 or any(added):
        weights = find_family(card.architecture).calibrate(weights, inverse_temperature, added)
    said = _combined(card, inverse_temperature, bias, card.fitted_temperature if temperature is None else temperature)
    if class_bias_elsewhere is not None:
        said["elsewhere"] = {name: more / card.certainty for name, more in class_bias_elsewhere.items()}
    metrics = {} if drawn_otherwise or class_bias_elsewhere is not None else card.metrics
    save_model(out, weights, replace(card, training=card.training | {"calibration": said}, metrics=metrics))


def _combined(card: ModelCard, factor: float, bias: Mapping[str, float], temperature: float | None) -> dict[str, Any]:
    """The calibrations of a card and after it as one: c2 (c1 (s + b1) + b2) = c1 c2 (s + b1 + b2 / c1)."""
    names = dict.fromkeys([*card.favours, *bias])
    favour = {name: card.favours.get(name, 0.0) + bias.get(name, 0.0) / card.certainty for name in names}
    fitted = {} if temperature is None else {"temperature": factor * temperature}
    elsewhere = {"elsewhere": dict(card.favours_elsewhere)} if card.favours_elsewhere else {}
    return {"certainty": factor * card.certainty, "favour": favour, **elsewhere, **fitted}


def _added(model: Path, card: ModelCard, bias: Mapping[str, float]) -> list[float]:
    """The bias of each colour of the legend."""
    classes = card.legend_classes
    if card.palette is None or classes is None:
        raise ModelFileError(f"{model}: no legend to calibrate; give a model trained with one")
    if unknown := bias.keys() - set(card.palette.classes):
        raise ModelFileError(f"{model}: no class {min(unknown)}; it draws {', '.join(card.palette.classes)}")
    return [bias.get(name, 0.0) for name in classes]
