"""Transfer of pictures between main memory and a device, and torch's number of CPU threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from geo2map.types import Batch


def upload(batch: Batch, device: torch.device) -> Tensor:
    """uint8 (N, H, W, 3) as (N, 3, H, W) on the device; to CUDA without waiting, from pinned memory.

    An NHWC array seen as NCHW is torch's channels_last already: no copy, and the fast layout.
    """
    pixels = torch.from_numpy(np.require(batch, requirements=("C", "W")))
    if device.type == "cuda":
        pixels = pixels.pin_memory()
    return pixels.to(device, non_blocking=True).permute(0, 3, 1, 2)


class Download:
    """A uint8 tensor on its way from a device; from CUDA the copy is asynchronous."""

    def __init__(self, levels: Tensor) -> None:
        levels = levels.contiguous()
        self._arrived: torch.cuda.Event | None = None
        if levels.device.type == "cuda":
            self._levels = torch.empty(levels.shape, dtype=levels.dtype, pin_memory=True)
            self._levels.copy_(levels, non_blocking=True)
            self._arrived = torch.cuda.Event()
            self._arrived.record(torch.cuda.current_stream(levels.device))
        else:
            self._levels = levels.cpu()

    def wait(self) -> npt.NDArray[np.uint8]:
        """Waits for the values, in the tensor's shape."""
        if self._arrived is not None:
            self._arrived.synchronize()
        done: npt.NDArray[np.uint8] = self._levels.numpy()
        return done


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Sets torch's number of CPU threads within the block; None leaves it unchanged."""
    before = torch.get_num_threads()
    if count is None or count == before:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
