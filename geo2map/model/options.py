"""Which model translates, and how it runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from geo2map.model.card import ModelCard
from geo2map.model.file import load_card
from geo2map.model.registry import DEFAULT_MODEL, find_model
from geo2map.types import Mode, Precision


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """The keywords of `geo2map.load_engine`, as a value that needs no torch.

    Attributes:
        model: a packaged name, or the path of a geo2map .safetensors file.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        precision: "auto" (fp32), "fp32", "bf16" or "fp16".
        threads: CPU threads of torch; None is all that this process may use.
        batch: blocks at once; None leaves it to the engine.
        mode: "exact" or "faithful", see `ModelCard.in_mode`; None is the card's.
    """

    model: str | Path = DEFAULT_MODEL
    device: str = "auto"
    precision: Precision = "auto"
    threads: int | None = None
    batch: int | None = None
    mode: Mode | None = None

    def load_card(self) -> ModelCard:
        """The card in the chosen mode.

        Raises:
            ModelFileError: not a model, or it has no such mode.
        """
        return load_card(find_model(self.model)).in_mode(self.mode)
