"""Shards that do nothing through the sliding window of a real Dask cluster: what they cost, and whether memory is flat.

    python tests/benchmarks/window.py --shards 100000

Two worker processes; scheduler and driver share this process, so its memory is the sum of both. Prints a line every
tenth of the shards: seconds, CPU milliseconds a shard, resident MiB, tasks that the scheduler still knows.
"""

from __future__ import annotations

import argparse
import os
import resource
import time

import psutil
from distributed import Client

from geo2map.cluster.local import local_cluster
from geo2map.cluster.parts import ShardRecord
from geo2map.cluster.window import InFlightTasks
from geo2map.plan import Shard


def nothing(shard: Shard) -> ShardRecord:
    return ShardRecord("0123456789abcdef", shard.name, 4096, 10**8, "0123456789abcdef", "cuda NVIDIA H100", 300.0)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--shards", type=int, default=100_000)
    count = asked.parse_args().shards
    cluster, _ = local_cluster("local:2", "cpu")
    me = psutil.Process(os.getpid())
    print("| shards | s | CPU ms a shard | driver and scheduler MiB | tasks known |\n|---|---|---|---|---|", flush=True)
    with cluster, Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(2)
        shards = (Shard(20, number >> 10, number & 1023) for number in range(count))
        started, sizes = time.perf_counter(), []
        for done, _record in enumerate(InFlightTasks(client, nothing).run(shards), 1):
            if done % (count // 10) == 0:
                sizes.append(me.memory_info().rss / 2**20)
                usage = resource.getrusage(resource.RUSAGE_SELF)
                cpu = 1000 * (usage.ru_utime + usage.ru_stime) / done
                known = len(cluster.scheduler.tasks)
                wall = time.perf_counter() - started
                print(f"| {done:,} | {wall:.0f} | {cpu:.2f} | {sizes[-1]:.0f} | {known} |", flush=True)
    print(f"grown by {sizes[-1] - sizes[1]:.1f} MiB since the second line")


if __name__ == "__main__":
    main()
