"""Processes of this machine as a Dask cluster."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geo2map.errors import PlanError
from geo2map.threads import VARIABLE, available_threads

if TYPE_CHECKING:
    from distributed import SpecCluster


WORKERS_LIKE_ANY_PROCESS = {
    "distributed.nanny.pre-spawn-environ.MALLOC_ARENA_MAX": 2,
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 2**26,
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": 2**25,
    "distributed.nanny.pre-spawn-environ.DASK_LOGGING": str(
        {"distributed": "warning", "distributed.worker": "critical"}
    ),
    "distributed.worker.profile.enabled": False,
}
"""By default Dask makes workers return memory at once, so that every image is allocated from the system again, and
profiles them a hundred times a second: half as much processor time again. These are the thresholds that glibc adapts
to by itself; the arenas are those of the command line. On a busy machine, workers that close print the traceback of a
heartbeat that nobody answered; what fails in a shard is the driver's error in any case."""


def require_cluster(asked: object) -> None:
    """Refuses a malformed name of a cluster.

    Raises:
        PlanError: neither local:N nor a scheduler's address.
    """
    if isinstance(asked, str) and not re.fullmatch(r"local:[1-9]\d*|(?!local:)[^\s/]+:\d+|\w+://.+", asked):
        raise PlanError(
            f"{asked!r} is not a cluster: give local:N, or a scheduler's address (tcp://...)", option="dask", usage=True
        )


def local_cluster(asked: str, device: str) -> tuple[SpecCluster, int]:
    """N worker processes on this machine, one shard at a time each; with CUDA each gets one GPU, in turn.

    Args:
        asked: "local:N".
        device: kind of device that the workers will use.

    Returns:
        The cluster, a context manager, and the CPU threads of each worker, its readers and encoders included.

    Raises:
        PlanError: not a number.
    """
    require_cluster(asked)
    import dask
    from distributed import Nanny, Scheduler, SpecCluster, scheduler, worker

    count = int(asked.removeprefix("local:"))
    threads = max(1, available_threads() // count)
    gpus = visible_gpus() if device == "cuda" else []
    workers: dict[int, Any] = {}
    for number in range(count):
        own = {VARIABLE: str(threads)} | ({"CUDA_VISIBLE_DEVICES": gpus[number % len(gpus)]} if gpus else {})
        # memory_limit 0: Dask counts memory of torch and GDAL as leaked, and would kill healthy workers
        settings = {"nthreads": 1, "memory_limit": 0, "dashboard_address": None, "env": own, "host": "127.0.0.1"}
        workers[number] = {"cls": Nanny, "options": settings | {"extensions": _lasting(worker)}}
    options = {"host": "127.0.0.1", "port": 0, "dashboard": False, "extensions": _lasting(scheduler)}
    with dask.config.set(WORKERS_LIKE_ANY_PROCESS):  # read when the nannies start; the environment takes precedence
        cluster = SpecCluster(workers=workers, scheduler={"cls": Scheduler, "options": options}, silence_logs=30)
    return cluster, threads


def _lasting(module: Any) -> dict[str, Any]:
    """Dask's extensions without spans, which record every task for ever."""
    import dask

    left_out = {"spans"} if dask.config.get("distributed.scheduler.work-stealing") else {"spans", "stealing"}
    return {name: extension for name, extension in module.DEFAULT_EXTENSIONS.items() if name not in left_out}


def visible_gpus() -> list[str]:
    """CUDA devices of this machine as CUDA_VISIBLE_DEVICES names them; torch would initialise one to count them."""
    if (named := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name.strip() for name in named.split(",") if name.strip()]
    found = sorted(int(path.name[6:]) for path in Path("/dev").glob("nvidia[0-9]*") if path.name[6:].isdigit())
    return [str(number) for number in range(len(found))]
