"""Numbers on their way to the device, without waiting for it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor


def send(values: npt.NDArray[Any] | Tensor, device: torch.device) -> Tensor:
    """The values on a device; to CUDA from pinned memory, so that neither side waits."""
    tensor = values if isinstance(values, Tensor) else torch.from_numpy(values)
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.contiguous().pin_memory()
    return tensor.to(device, non_blocking=True)


@lru_cache(64)
def constant(values: tuple[Any, ...], device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """A constant on a device, sent there once; not to be written to."""
    return send(torch.tensor(values, dtype=dtype), device)
