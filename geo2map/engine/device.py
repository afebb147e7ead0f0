"""Which device and which precision."""

from __future__ import annotations

import importlib.util
import os
import shutil

import torch

from geo2map.errors import DeviceError
from geo2map.types import Precision

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


INSTRUCTIONS = "ONEDNN_MAX_CPU_ISA"
"""The variable by which oneDNN, torch's convolutions on x86, is told which instructions it may use."""


def hold_instructions(device: torch.device, dtype: torch.dtype) -> None:
    """Keeps fp32 convolutions on the CPU to AVX2, unless the user has set the variable.

    With AVX-512, oneDNN splits sums by the number of threads, so that bits would depend on it; AVX2's do not, and
    take the same time (0.52 s for two blocks of 1344 px either way). Works until the process's first convolution.
    bf16 is left alone, which only AVX-512 computes fast.
    """
    if device.type == "cpu" and dtype == torch.float32:
        os.environ.setdefault(INSTRUCTIONS, "AVX2")


def computes_bf16(device: torch.device) -> bool:
    """Whether a device computes bf16 faster than fp32; CPUs without AVX-512, or limited to AVX2, are far slower."""
    if device.type != "cpu":
        return True
    return torch.backends.cpu.get_cpu_capability().startswith("AVX512") and os.environ.get(INSTRUCTIONS) != "AVX2"


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
        raise DeviceError(f"device {name!r}: unknown; give auto, cpu, cuda, cuda:N or mps", option="device") from error
    if device.type not in ("cpu", "cuda", "mps"):
        raise DeviceError(f"device {name!r}: unknown; give auto, cpu, cuda, cuda:N or mps", option="device")
    count = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= count:
        raise DeviceError(f"device {name!r}: torch finds {count} CUDA devices; give cpu or auto", option="device")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("device 'mps': torch finds none; give cpu or auto", option="device")
    return device


def choose_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """The number format; "auto" is fp32 everywhere, since lower quality is never a default.

    Raises:
        DeviceError: fp16 on the CPU, which has no fast arithmetic for it.
    """
    if precision == "auto":
        return torch.float32
    if precision == "fp16" and device.type == "cpu":
        raise DeviceError("precision fp16: slower than fp32 on the CPU; give fp32 or bf16", option="precision")
    return DTYPES[precision]


def require_compiler(device: torch.device) -> None:
    """Makes sure that torch.compile has what it needs: Triton on CUDA, a C++ compiler elsewhere.

    Raises:
        DeviceError: it has not.
    """
    compiler = os.environ.get("CXX", "g++")
    if not (importlib.util.find_spec("triton") if device.type == "cuda" else shutil.which(compiler)):
        needed = "the package triton" if device.type == "cuda" else f"a C++ compiler ({compiler})"
        raise DeviceError(f"compiling needs {needed}, which is not there; install it or do without", option="compiled")


def device_name(device: torch.device) -> str:
    """The name of a device, e.g. "cuda NVIDIA H100 80GB HBM3" or "cpu"."""
    return f"cuda {torch.cuda.get_device_name(device)}" if device.type == "cuda" else device.type
