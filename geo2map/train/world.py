"""The processes of a run: one, or those that torchrun started."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from geo2map.errors import DeviceError

GLOO_GRACE = 0.3
"""Seconds for gloo's worker threads to release the last step's tensors. Releasing takes the GIL, and a thread that
waits for it while the interpreter shuts down aborts the process (github.com/pytorch/pytorch/pull/179291)."""


@dataclass(frozen=True)
class World:
    """This process among those of the run.

    Attributes:
        rank, size: which process this is, of how many.
        device: where its networks are.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = torch.device("cpu")  # noqa: RUF009 (immutable)

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and reports progress."""
        return self.rank == 0

    def wait(self) -> None:
        """Waits for all processes."""
        if self.size > 1:
            distributed.barrier()

    def shared(self, network: nn.Module, broadcast_buffers: bool) -> nn.Module:
        """The network as one whose gradients are averaged over all processes."""
        if self.size == 1:
            return network
        ids = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=ids, broadcast_buffers=broadcast_buffers)


@contextmanager
def open_world(device: torch.device) -> Iterator[World]:
    """Joins the processes that torchrun started (`torchrun --nproc-per-node N -m geo2map_cli train ...`).

    Args:
        device: as asked for; with several processes on CUDA each takes the card of its local rank.

    Raises:
        DeviceError: more processes than CUDA devices.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World(device=device)
        return
    if device.type == "cuda":
        local = int(os.environ["LOCAL_RANK"])
        if local >= torch.cuda.device_count():
            raise DeviceError(
                f"process {local} of torchrun: torch finds only {torch.cuda.device_count()} CUDA devices; start fewer "
                "processes per node"
            )
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    backend = "nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend)
    try:
        yield World(distributed.get_rank(), distributed.get_world_size(), device)
    finally:
        distributed.destroy_process_group()
        if backend == "gloo":
            time.sleep(GLOO_GRACE)
