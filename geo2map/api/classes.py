"""What layers need of a model: its classes, its scores."""

from __future__ import annotations

from dataclasses import replace

from geo2map.errors import PlanError
from geo2map.features import require_layer_names
from geo2map.model import ModelCard
from geo2map.plan import Storage


def require_scores(storage: Storage, card: ModelCard | None) -> None:
    """Refuse layers that show scores where there are none.

    Args:
        storage: with its legend.
        card: of the model that translates; None where nothing is translated.

    Raises:
        PlanError: nothing is translated, or the model has no legend.
    """
    needing = [layer.name for layer in storage.tile_layers if layer.score_kinds]
    if needing and (card is None or card.legend_classes is None):
        why = "nothing is translated" if card is None else f"the model {card.name} has no legend"
        threshold = storage.min_confidence is not None
        what, option = ("min_confidence", "min_confidence") if threshold else (f"layer {needing[0]}", "layers")
        raise PlanError(f"{what}: {why}, so there are no scores; leave it out", option=option)


def resolve_legend(storage: Storage, card: ModelCard | None) -> Storage:
    """The storage with the legend of the model's palette, where a layer needs it.

    Raises:
        DataError: it has classes whose features have no layer of their own.
        PlanError: nothing is translated, or the model has no palette.
    """
    if not storage.needs_legend or storage.legend is not None:
        return storage
    what = "features" if storage.is_derived else "classes"
    option = "model" if storage.is_derived else "classes" if storage.classes else "layers"
    hence = ", hence no features" if storage.is_derived else ""
    if card is None:
        raise PlanError(f"{what} need a translated map: leave them out", option=option)
    if card.palette is None:
        raise PlanError(f"the model {card.name} has no classes{hence}: choose another model", option=option)
    if storage.is_derived:
        require_layer_names(card.palette.classes)
    return replace(storage, legend=card.palette.entries, scored=storage.is_derived and card.legend_classes is not None)
