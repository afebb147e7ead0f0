"""From a model file to an engine."""

from __future__ import annotations

from pathlib import Path

from geo2map.engine.allocator import keep_freed_memory
from geo2map.engine.device import choose_device, choose_dtype
from geo2map.engine.engine import Engine
from geo2map.engine.network import load_network
from geo2map.engine.transfer import torch_threads
from geo2map.model import find_model, load_card
from geo2map.threads import Budget
from geo2map.types import Mode, Precision


def load_engine(
    model: str | Path = "sat2map",
    *,
    device: str = "auto",
    precision: Precision = "auto",
    threads: int | None = None,
    batch: int | None = None,
    mode: Mode | None = None,
) -> Engine:
    """Loads a model by packaged name or file and puts it on a device.

    Args:
        model: "sat2map", or the path of a geo2map .safetensors file.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        precision: "auto" (fp32), "fp32", "bf16" or "fp16".
        threads: CPU threads that torch has while this engine translates; default all that this process may use.
        batch: blocks at once; default 2 on the CPU, 1 where it has one thread, 8 elsewhere.
        mode: "exact" or "faithful", see `ModelCard.in_mode`; default the card's.

    Raises:
        ModelFileError: not a model, its weights do not fit its card, or it has no such mode.
        DeviceError: the device is not there.
    """
    path, budget, where = find_model(model), Budget.make(threads), choose_device(device)
    card = load_card(path).in_mode(mode)
    keep_freed_memory()
    with torch_threads(budget.threads):
        return Engine(load_network(path, card), card, where, choose_dtype(precision, where), batch, budget.threads)
