"""The command line's process shares its heaps among threads."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

THREADS = """
import ctypes, threading
from geo2map_cli.memory import few_arenas
few_arenas()
kept = []
together = threading.Barrier(8)
def work():
    together.wait()  # all at once, so that each would have a heap of its own
    kept.append([bytearray(2000) for _ in range(100)])
    together.wait()
threads = [threading.Thread(target=work) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
libc = ctypes.CDLL(None)
libc.malloc_stats()  # to stderr, a line "Arena N:" each
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has arenas")
@pytest.mark.parametrize(("environment", "arenas"), [({}, 2), ({"MALLOC_ARENA_MAX": "4"}, 4)])
def test_threads_share_two_heaps_unless_the_environment_says_otherwise(
    environment: dict[str, str], arenas: int
) -> None:
    clean = {name: value for name, value in os.environ.items() if name not in ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES")}
    command = [sys.executable, "-c", THREADS]
    said = subprocess.run(command, env=clean | environment, capture_output=True, text=True, check=True).stderr
    assert said.count("Arena ") == arenas
