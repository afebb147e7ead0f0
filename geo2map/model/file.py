"""One .safetensors file = weights in half precision + card. Nothing is ever unpickled."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open

from geo2map.errors import ModelFileError, OutputError
from geo2map.model.card import ModelCard

if TYPE_CHECKING:
    from torch import Tensor

KEY = "geo2map"


def save_model(path: Path, weights: dict[str, Tensor], card: ModelCard) -> None:
    """Writes weights (floating ones as float16) and card; the card gets the weights' hash. Atomic."""
    import torch
    from safetensors.torch import save

    half = {name: t.half() if t.is_floating_point() else t.to(torch.int64) for name, t in sorted(weights.items())}
    half = {name: tensor.contiguous().cpu() for name, tensor in half.items()}
    digest = hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in half.values())).hexdigest()[:16]
    card = replace(card, training=card.training | {"weights_sha256": digest})
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_bytes(save(half, {KEY: card.to_json()}))
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OutputError(
            f"model {path} asked, but it cannot be written ({error}): free the place or the disk"
        ) from error


def load_card(path: Path) -> ModelCard:
    """Reads the card alone; needs no torch.

    Raises:
        ModelFileError: no such file, not safetensors, truncated, or without a card.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(KEY)
    except FileNotFoundError as error:
        raise ModelFileError(f"model {path} asked, but there is no such file") from error
    except (SafetensorError, OSError, struct.error) as error:
        raise ModelFileError(f"{path} is not a readable .safetensors file ({error}): get the model again") from error
    if text is None:
        raise ModelFileError(f"{path} has weights but no geo2map card: it was not made by geo2map")
    return ModelCard.from_json(text)


def load_weights(path: Path) -> dict[str, Tensor]:
    """Reads the weights as float32 tensors on the CPU.

    Raises:
        ModelFileError: not a readable .safetensors file.
    """
    from safetensors.torch import load_file

    try:
        return {name: t.float() if t.is_floating_point() else t for name, t in load_file(path).items()}
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"{path} is not a readable .safetensors file ({error}): get the model again") from error
