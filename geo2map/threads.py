"""How many processors a call may use, and the threads that it starts: every pool of the library is made here."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any, TypeVar

VARIABLE = "GEO2MAP_THREADS"
"""Environment variable that bounds a process which has a share of the machine; ignored unless it is 1 or more."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class Budget:
    """Processors that a call may use. Reading, translating and encoding draw their threads from it.

    Attributes:
        threads: how many, 1 or more.
    """

    threads: int

    @classmethod
    def make(cls, threads: int | None = None) -> Budget:
        """A budget of so many threads; None is all processors that this process may use."""
        return cls(threads or available_threads())

    def share(self, most: int) -> int:
        """Threads for a stage that profits from `most` at best."""
        return min(most, self.threads)

    def pool(self, most: int, name: str) -> Executor:
        """Threads for a stage that computes. With a budget of one there are none: work is done where it is submitted,
        so that stages never overlap."""
        return Inline() if self.threads == 1 else start_threads(self.share(most), name)

    def turns(self) -> BoundedSemaphore:
        """For stages whose threads live long: each works while it holds one."""
        return BoundedSemaphore(self.threads)


def start_threads(count: int, name: str) -> Executor:
    """Threads that mostly wait for disks, servers or devices, and so may be more than there are processors."""
    return ThreadPoolExecutor(count, name)


class Inline(Executor):
    """Does all work in the thread that submits it; `map` does it when its result is wanted."""

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        done: Future[_T] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:
            done.set_exception(error)
        return done

    def map(self, fn: Callable[..., _T], *iterables: Iterable[Any], **_: Any) -> Iterator[_T]:
        return map(fn, *iterables)


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
