"""Sharpening and palette commitment after a model's head, with no training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from geo2map.errors import ModelFileError
from geo2map.families import build
from geo2map.files.place import require_new
from geo2map.model.file import load_card, load_weights, save_model


def sharpen_model(
    model: Path,
    out: Path,
    *,
    sharpen: float = 1.0,
    sigma: float = 2.5,
    commit: float = 0.8,
    softness: float = 30.0,
    overwrite: bool = False,
) -> None:
    """Writes a model with the same weights and sharpening after its head, in place of an earlier one.

    Args:
        model: a model file of exact mode whose card has a palette.
        out: the model file to write; its card has the margin that sharpening needs, and no metrics.
        sharpen, sigma, commit, softness: see `geo2map.families.unet.sharpen.Sharpen`; with sharpen and commit 0 there
            is no sharpening.
        overwrite: replace an existing `out`.

    Raises:
        ModelFileError: no model, one without a palette, one that is not exact, or numbers that cannot be.
        OutputError: `out` exists or cannot be written.
    """
    require_new(out, overwrite)
    card = load_card(model)
    if card.palette is None or not card.exact:
        lacks = "is not exact" if card.palette is not None else "has no palette to choose colours from"
        raise ModelFileError(f"{model} cannot be sharpened: it {lacks}; take a model that geo2map trained on maps")
    config = {key: value for key, value in card.config.items() if key != "crispen"}
    if sharpen or commit:
        choices = {"sharpen": sharpen, "sigma": sigma, "commit": commit, "softness": softness}
        config["crispen"] = {"colours": card.palette.colours.tolist(), **choices}
    try:
        margin = build(card.architecture, **config).margin
    except ValueError as error:
        raise ModelFileError(f"{model} cannot be sharpened with these numbers: {error}") from error
    save_model(out, load_weights(model), replace(card, config=config, margin=margin, metrics={}))
