"""The names in a folder, listed once for all the files in it."""

from __future__ import annotations

import os
import time
from functools import lru_cache
from pathlib import Path

SETTLED = 2.0
"""Seconds after which a change of a folder is visible in its time, however coarse the clock of its file system."""


def names_in(folder: Path) -> frozenset[str]:
    """Names of all entries of a folder, in lower case; later calls list it again only if it has changed.

    Raises:
        OSError: it cannot be listed.
    """
    changed = folder.stat().st_mtime_ns
    if abs(time.time() - changed / 1e9) < SETTLED:  # another change might not alter the time
        return _list(folder)
    return _listed(folder.absolute(), changed)


def _list(folder: Path) -> frozenset[str]:
    return frozenset(name.lower() for name in os.listdir(folder))  # noqa: PTH208 (a Path for each takes long)


@lru_cache(maxsize=4)
def _listed(folder: Path, _changed: int) -> frozenset[str]:
    return _list(folder)
