"""Memory that tensors give back and ask for again."""

from __future__ import annotations

import ctypes
import os
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # mallopt(3)
_KEPT = 2**30
_FROM_HEAP = 32 * 2**20
"""The most that glibc takes for its threshold."""


def keep_freed_memory() -> None:
    """Let glibc keep what tensors free, up to 1 GiB, for the whole process.

    At its own thresholds each strip of each block gets its memory from the kernel anew, page by page, which costs a few
    percent of translating.

    Does nothing with another C library, or where the environment sets these thresholds itself.
    """
    if not sys.platform.startswith("linux") or any(name.startswith("MALLOC_") for name in os.environ):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl
        return
    mallopt(_TRIM_THRESHOLD, _KEPT)
    mallopt(_MMAP_THRESHOLD, _FROM_HEAP)
