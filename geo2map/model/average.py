"""The weighted mean of models of one training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from geo2map.errors import ModelFileError
from geo2map.files.place import require_new
from geo2map.model.card import ModelCard
from geo2map.model.file import load_card, load_weights, save_model

_ALIKE = ("architecture", "config", "zoom", "ground_resolution", "direction")


def average_models(
    models: Sequence[Path],
    out: Path,
    *,
    shares: Sequence[float] | None = None,
    name: str | None = None,
    overwrite: bool = False,
) -> None:
    """Writes a model whose weights are a weighted mean of several models' (Wortsman et al., ICML 2022).

    Of use for ends of one training, such as some with the discriminator and some without: between their errors lie
    better weights than any one's. Models that were trained apart have nothing to do with each other, and their mean
    draws nonsense.

    Args:
        models: two model files or more, of one architecture, scale and direction; the card is the first's without its
            metrics, and says what went in.
        out: the model file to write.
        shares: of each model, in any unit; default equal ones.
        name: of the model; default the first's.
        overwrite: replace an existing `out`.

    Raises:
        ModelFileError: not models, too few, of different kinds, or shares that do not fit them.
        OutputError: `out` exists or cannot be written.
    """
    require_new(out, overwrite)
    if len(models) < 2:
        raise ModelFileError(f"no mean of {len(models)} models; give two or more", usage=True)
    parts = _normalised([1.0] * len(models) if shares is None else shares, len(models))
    cards = [_like(models[0], model) for model in models]
    mean = load_weights(models[0])
    floating = [key for key, weight in mean.items() if weight.is_floating_point()]
    sums = {key: parts[0] * mean[key] for key in floating}
    for model, part in zip(models[1:], parts[1:], strict=True):
        weights = load_weights(model)
        sums = {key: sums[key] + part * weights[key] for key in floating}
    went_in = [_entry(card, part, cards[0]) for card, part in zip(cards, parts, strict=True)]
    training = cards[0].training | {"mean_of": went_in}
    save_model(out, mean | sums, replace(cards[0], name=name or cards[0].name, training=training, metrics={}))


def _normalised(shares: Sequence[float], count: int) -> list[float]:
    if len(shares) != count or min(shares) < 0 or not sum(shares):
        given = ",".join(f"{share:g}" for share in shares)
        raise ModelFileError(
            f"shares {given} do not fit {count} models; give one for each model, none below 0, not all 0",
            option="shares",
            usage=True,
        )
    return [share / sum(shares) for share in shares]


def _like(first: Path, model: Path) -> ModelCard:
    """The card of a model that can be averaged with the first one."""
    ours, theirs = load_card(first), load_card(model)
    for field in _ALIKE:
        found = getattr(ours, field), getattr(theirs, field)
        if found[0] != found[1]:
            raise ModelFileError(
                f"{first} and {model} have no useful mean: they differ in {field.replace('_', ' ')} ({found[0]} and "
                f"{found[1]}); give ends of one training"
            )
    return theirs


def _entry(card: ModelCard, share: float, first: ModelCard) -> dict[str, Any]:
    """What a card says of a model that went into a mean: what of its recipe is not the first's."""
    recipe, firsts = (facts.training.get("recipe", {}) for facts in (card, first))
    own = {key: value for key, value in recipe.items() if value != firsts.get(key)}
    return {"name": card.name, "share": round(share, 4), "weights_sha256": card.training.get("weights_sha256")} | own
