"""Whether weights are those of a card's network, seen before the network or the weights take any memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from geo2map.families import find_family
from geo2map.model.card import ModelCard
from geo2map.model.header import FLOATING, TensorEntry

if TYPE_CHECKING:
    from torch import Tensor

WIDEST = 2**16
"""Channels of a layer that a configuration may name."""
MOST_PARTS = 64
"""Layers, blocks or levels that the numbers of one entry of a configuration may name together."""
LONGEST = 32
WIDE = ("width", "channel", "feature")
"""Words in the names of numbers that count channels."""


def misfit(card: ModelCard, tensors: Mapping[str, TensorEntry]) -> str | None:
    """What does not fit, as half a sentence; None where all names, shapes and types of the tensors are the network's.

    The network is built on torch's meta device, whose tensors have shapes and no memory.
    """
    import torch

    try:
        family = find_family(card.architecture)
        if fault := _immodest(card.config, family.nested):
            return fault
        with torch.device("meta"):
            wanted: dict[str, Tensor] = family.build(card.config).state_dict()
    except (ValueError, TypeError, RuntimeError, LookupError, ArithmeticError) as error:
        return f"the card's network cannot be built: {' '.join(str(error).split())[:200]}"
    for name in sorted(wanted.keys() | tensors.keys()):
        found, needed = tensors.get(name), wanted.get(name)
        if found is None or needed is None:
            return f"weight {name[:60]} is {'missing' if found is None else 'not part of the network'}"
        if found.shape != tuple(needed.shape):
            return f"weight {name} is {_times(found.shape)}, the network's is {_times(tuple(needed.shape))}"
        if (found.dtype in FLOATING) != needed.is_floating_point():
            return f"weight {name} is of type {found.dtype}"
    return None


def _immodest(config: Mapping[str, Any], nested: frozenset[str]) -> str | None:
    """The entry of a configuration that would make an absurdly large network, even on the meta device."""
    for name, value in config.items():
        if name in nested:
            continue
        values = value if isinstance(value, list | tuple) else [value]
        least, most = (1, WIDEST) if any(word in name for word in WIDE) else (0, MOST_PARTS)
        if len(values) > LONGEST:
            return f"{name[:60]} has {len(values)} values, more than {LONGEST}"
        for number in values:
            if not isinstance(number, int | float | str | None):
                return f"{name[:60]} holds a {type(number).__name__}"
            if isinstance(number, int | float) and not least <= number <= most:
                return f"{name[:60]} {str(number)[:32]} is not between {least} and {most}"
        if most == MOST_PARTS and sum(number for number in values if isinstance(number, int | float)) > most:
            return f"{name[:60]} adds up to more than {most}"
    return None


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a single number"
