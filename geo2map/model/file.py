"""One .safetensors file = weights (ours in half precision) + card.

Nothing is ever unpickled, and nothing is allocated before names, types and shapes are known to be right.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError

from geo2map.errors import ModelFileError
from geo2map.files.atomic import output_errors, write_whole
from geo2map.model.card import ModelCard
from geo2map.model.fit import misfit
from geo2map.model.header import Header, HeaderError, read_header
from geo2map.types import WeightsDtype

if TYPE_CHECKING:
    from torch import Tensor

KEY = "geo2map"
PICKLES = frozenset({".pth", ".pt", ".ckpt"})


def save_model(path: Path, weights: dict[str, Tensor], card: ModelCard, dtype: WeightsDtype = "fp16") -> None:
    """Writes weights and card; the card gets the weights' hash. Atomic.

    Args:
        dtype: of the floating-point weights in the file: "fp16" (half the size; outputs within a grey level) or "fp32".

    Raises:
        ModelFileError: a weight is not finite, or too large for fp16.
        OutputError: the file cannot be written.
    """
    import torch
    from safetensors.torch import save

    floating = {"fp16": torch.float16, "fp32": torch.float32}[dtype]
    stored = {name: t.to(floating if t.is_floating_point() else torch.int64) for name, t in sorted(weights.items())}
    stored = {name: tensor.contiguous().cpu() for name, tensor in stored.items()}
    for name, tensor in stored.items():
        if not tensor.isfinite().all():
            raise ModelFileError(
                f"cannot write {path}: weight {name} is not finite in {dtype}; train again, or store fp32",
                option="dtype",
            )
    digest = hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in stored.values())).hexdigest()[:16]
    card = replace(card, training=card.training | {"weights_sha256": digest})
    _write(path, save(stored, {KEY: card.to_json()}))


def replace_card(path: Path, card: ModelCard) -> None:
    """Gives a model file another card; the weights stay as they are, bit for bit. Atomic; needs no torch.

    Raises:
        ModelFileError: not a readable .safetensors file.
        OutputError: the file cannot be written.
    """
    from safetensors.numpy import load_file, save

    with _reading(path):
        read_header(path)
        weights = load_file(path)
    _write(path, save(weights, {KEY: card.to_json()}))


def _write(path: Path, content: bytes) -> None:
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turns what goes wrong while a .safetensors file is read into one sentence.

    Raises:
        ModelFileError: no such file, not safetensors, or truncated.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise ModelFileError(f"model not found: {path}; check the path") from error
    except (HeaderError, SafetensorError, OSError) as error:
        advice = "bring it in with geo2map models import" if path.suffix in PICKLES else "get the model again"
        found = " ".join(str(error).split())
        raise ModelFileError(f"{path} is not a readable .safetensors file: {found}; {advice}") from error


def load_header(path: Path) -> tuple[Header, ModelCard]:
    """Reads names, types and shapes of the weights, and the card; needs no torch.

    Raises:
        ModelFileError: no such file, not safetensors, truncated, or without a card.
    """
    with _reading(path):
        header = read_header(path)
    text = header.metadata.get(KEY)
    if text is None:
        raise ModelFileError(f"{path} has weights but no geo2map card: it was not made by geo2map")
    try:
        return header, ModelCard.from_json(text)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error


def load_card(path: Path) -> ModelCard:
    """Reads the card alone; needs no torch.

    Raises:
        ModelFileError: no such file, not safetensors, truncated, or without a card.
    """
    return load_header(path)[1]


def load_weights(path: Path) -> dict[str, Tensor]:
    """Reads the weights as float32 tensors on the CPU, once they are known to be those of the card's network.

    Raises:
        ModelFileError: not a readable .safetensors file, or its weights do not fit its card.
    """
    from safetensors.torch import load_file

    header, card = load_header(path)
    if fault := misfit(card, header.tensors):
        raise ModelFileError(f"{path} has weights that do not fit its card: {fault}; get the model again")
    with _reading(path):
        return {name: t.float() if t.is_floating_point() else t for name, t in load_file(path).items()}
