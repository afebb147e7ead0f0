"""The mean of two models that grew from the same one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from geo2map.errors import ModelFileError, OutputError
from geo2map.model.file import load_card, load_weights, save_model


def average_models(
    a: Path, b: Path, out: Path, *, share: float = 0.5, name: str | None = None, overwrite: bool = False
) -> None:
    """Writes a model whose weights are a weighted mean of two models' (Wortsman et al., ICML 2022).

    Of use for two ends of one training, such as one with the discriminator and one without: between their errors
    lie better weights than both. Models that were trained apart have nothing to do with each other, and their mean
    draws nonsense.

    Args:
        a, b: model files of one architecture, scale and direction; the card is `a`'s without its metrics.
        out: the model file to write.
        share: of `a`, 0 to 1.
        name: of the model; default `a`'s.
        overwrite: replace an existing `out`.

    Raises:
        ModelFileError: not models, or of different kinds.
        OutputError: `out` exists or cannot be written.
    """
    if out.exists() and not overwrite:
        raise OutputError(f"output {out} asked, but it exists: pass --overwrite or another --out")
    ours, theirs = load_card(a), load_card(b)
    for field in ("architecture", "config", "zoom", "ground_resolution", "direction"):
        found = getattr(ours, field), getattr(theirs, field)
        if found[0] != found[1]:
            raise ModelFileError(
                f"the mean of {a} and {b} asked, but their {field} differ ({found[0]} and {found[1]}): "
                "give two ends of one training"
            )
    mine, others = load_weights(a), load_weights(b)
    weights = {key: share * mine[key] + (1 - share) * others[key] for key in mine if mine[key].is_floating_point()}
    parents = {"share": share, "of": theirs.training | {"name": theirs.name}}
    training = ours.training | {"averaged_with": parents}
    save_model(out, mine | weights, replace(ours, name=name or ours.name, training=training, metrics={}))
