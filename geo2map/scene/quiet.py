"""Suppressing rasterio's warning about rasters without a geotransform."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Any

from rasterio.errors import NotGeoreferencedWarning

_FILTER: Any = ("ignore", None, NotGeoreferencedWarning, None, 0)
_lock = Lock()
_within = [0]


@contextmanager
def quiet() -> Iterator[None]:
    """Within, rasterio does not warn of a missing geotransform. Thread-safe.

    Filters are every thread's, and `warnings.catch_warnings` puts back what it found, which may be another thread's
    by then. So the first to come sets one filter, the last to leave takes it away, and nothing else is touched.
    """
    with _lock:
        if not _within[0]:
            warnings.filters.insert(0, _FILTER)  # type: ignore[attr-defined]
        _within[0] += 1
    try:
        yield
    finally:
        with _lock:
            _within[0] -= 1
            if not _within[0]:
                with suppress(ValueError):  # somebody put back filters of before
                    warnings.filters.remove(_FILTER)  # type: ignore[attr-defined]
