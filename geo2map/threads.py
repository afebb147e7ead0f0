"""How many processors there are to use."""

from __future__ import annotations

import math
import os
from pathlib import Path

VARIABLE = "GEO2MAP_THREADS"
"""Names the environment's bound, for a process that has a share of the machine; what is no number from 1 up is none."""


def available_threads() -> int:
    """Processors this process may use: its affinity, limited by the container's quota (cgroup v2, v1) and by the
    environment's `GEO2MAP_THREADS`."""
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity else os.cpu_count() or 1
    for quota, period in (_cgroup2(), _cgroup1()):
        if quota > 0 and period > 0:
            count = min(count, max(1, math.ceil(quota / period)))
    asked = os.environ.get(VARIABLE, "")
    return min(count, int(asked)) if asked.isdecimal() and int(asked) else count


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
