"""Which device, which precision, how many threads."""

from __future__ import annotations

import math
import os
from pathlib import Path

import torch

from geo2map.errors import DeviceError
from geo2map.types import Precision

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device(name: str) -> torch.device:
    """The device for "auto", "cpu", "cuda", "cuda:N" or "mps".

    Raises:
        DeviceError: not one of these, or not there.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"device {name!r} asked: give auto, cpu, cuda, cuda:N or mps") from error
    if device.type not in ("cpu", "cuda", "mps"):
        raise DeviceError(f"device {name!r} asked: give auto, cpu, cuda, cuda:N or mps")
    count = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= count:
        raise DeviceError(f"device {name!r} asked, but torch sees {count} CUDA devices: give --device cpu or auto")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("device 'mps' asked, but torch sees none: give --device cpu or auto")
    return device


def choose_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """The number format; "auto" is fp32 everywhere, since lower quality is never a default.

    Raises:
        DeviceError: fp16 on the CPU, which has no fast arithmetic for it.
    """
    if precision == "auto":
        return torch.float32
    if precision == "fp16" and device.type == "cpu":
        raise DeviceError("precision fp16 asked on the CPU, which computes it slower than fp32: give fp32 or bf16")
    return DTYPES[precision]


def available_threads() -> int:
    """Processors this process may use: its affinity, limited by the container's quota (cgroup v2, v1)."""
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity else os.cpu_count() or 1
    for quota, period in (_cgroup2(), _cgroup1()):
        if quota > 0 and period > 0:
            count = min(count, max(1, math.ceil(quota / period)))
    return count


def _cgroup2() -> tuple[int, int]:
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return (0, 0) if quota == "max" else (int(quota), int(period))
    except (OSError, ValueError):
        return 0, 0


def _cgroup1() -> tuple[int, int]:
    folder = Path("/sys/fs/cgroup/cpu")
    try:
        quota, period = ((folder / f"cpu.cfs_{name}_us").read_text(encoding="ascii") for name in ("quota", "period"))
        return int(quota), int(period)
    except (OSError, ValueError):
        return 0, 0
