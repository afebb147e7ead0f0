"""How many pictures fit into a device's memory, found out by trying."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch

from geo2map.errors import DeviceError

log = logging.getLogger(__name__)


@dataclass
class BatchLimit:
    """The most pictures at once; one for all engines that share a device's memory."""

    pictures: int

    def halve(self, device: torch.device, shape: tuple[int, ...], error: Exception) -> None:
        """Try with half as many from now on.

        Args:
            shape: of the batch that did not fit, NHWC.
            error: what the device said.

        Raises:
            DeviceError: it was one picture.
        """
        if self.pictures == 1:
            raise DeviceError(
                f"{device}: out of memory on one block of {shape[2]} x {shape[1]} px; use smaller blocks",
                option="block_span",
            ) from error
        self.pictures //= 2
        log.warning("%s out of memory: continuing with batches of %d", device, self.pictures)
        if device.type == "cuda":
            torch.cuda.empty_cache()


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether memory ran out: torch has a class of error for devices, but only a message for the CPU."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
