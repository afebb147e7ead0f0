"""How this process asks the system for memory."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

ARENAS = 2
M_ARENA_MAX = -8  # of glibc's malloc.h


def few_arenas() -> None:
    """Lets all threads share two of glibc's heaps, where each would have its own and keep what it once needed.

    Rendering hands large arrays from readers to the network to encoders: 80 MiB less, at the same speed. What the
    environment says of it comes first; other C libraries have no such heaps.
    """
    asked = "MALLOC_ARENA_MAX" in os.environ or "arena_max" in os.environ.get("GLIBC_TUNABLES", "")
    if sys.platform != "linux" or asked:
        return
    with suppress(ImportError, OSError, AttributeError):  # musl has no mallopt, a static Python no libraries
        import ctypes

        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)
