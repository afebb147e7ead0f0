"""The classes of a class map: those of its model."""

from __future__ import annotations

from dataclasses import replace

from geo2map.errors import PlanError
from geo2map.model import ModelCard
from geo2map.plan import Storage


def resolve_legend(storage: Storage, card: ModelCard | None) -> Storage:
    """The storage with the legend of the model's palette, where a layer needs it.

    Raises:
        PlanError: nothing is translated, or the model has no palette.
    """
    if not storage.needs_legend or storage.legend is not None:
        return storage
    options = {"redraw": storage.redraw, "vector": storage.vector, "classes": storage.classes}
    option = next((name for name, given in options.items() if given), "layers")
    if card is None:
        raise PlanError("classes need a translated map: leave them out", option=option)
    if card.palette is None:
        raise PlanError(f"the model {card.name} has no classes: choose another model", option=option)
    return replace(storage, legend=card.palette.entries)
