"""Memory allocation of this process."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

ARENAS = 2
M_ARENA_MAX = -8  # of glibc's malloc.h


def few_arenas() -> None:
    """Limits glibc to two heaps for all threads; by default each thread has one and keeps its peak.

    Rendering passes large arrays from readers to the network to encoders: saves 80 MiB at the same speed. Settings in
    the environment take precedence; other C libraries have no such heaps.
    """
    asked = "MALLOC_ARENA_MAX" in os.environ or "arena_max" in os.environ.get("GLIBC_TUNABLES", "")
    if sys.platform != "linux" or asked:
        return
    with suppress(ImportError, OSError, AttributeError):  # musl has no mallopt, a static Python no libraries
        import ctypes

        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)
