"""The classes of a class map: those of its model."""

from __future__ import annotations

from dataclasses import replace

from geo2map.errors import PlanError
from geo2map.model import ModelCard
from geo2map.plan import Storage


def resolve_classes(storage: Storage, card: ModelCard | None) -> Storage:
    """The storage with the classes of the model's palette, for a class map.

    Raises:
        PlanError: nothing is translated, or the model has no palette.
    """
    if storage.classes is not True:
        return storage
    if card is None:
        raise PlanError("classes need a translated map: leave them out", option="classes")
    if card.palette is None:
        raise PlanError(f"the model {card.name} has no classes: choose another one", option="classes")
    return replace(storage, classes=card.palette.entries)
