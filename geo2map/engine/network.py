"""The network of a model file, with its weights."""

from __future__ import annotations

from pathlib import Path

from geo2map.errors import ModelFileError
from geo2map.families import build
from geo2map.families.generator import Generator
from geo2map.model import ModelCard, load_weights


def load_network(path: Path, card: ModelCard) -> Generator:
    """The network that a card describes, with the weights of its file in float32, on the CPU.

    Raises:
        ModelFileError: not a model, or its weights do not fit its card.
    """
    weights = load_weights(path)  # before the network takes memory: its size is known to be the file's
    try:
        generator = build(card.architecture, **card.config)
        generator.load_state_dict(weights)
    except (ValueError, RuntimeError) as error:
        found = " ".join(str(error).split())[:300]
        raise ModelFileError(f"{path} has weights that do not fit its card ({found}): get the model again") from error
    return generator
