"""Opens rasters that have no georeference without rasterio's warning, since the caller reports it better."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from rasterio.errors import NotGeoreferencedWarning

_FILTER: Any = ("ignore", None, NotGeoreferencedWarning, None, 0)


@contextmanager
def quiet() -> Iterator[None]:
    """Within, rasterio does not warn of a missing geotransform. Thread-safe.

    All threads share the filters, and `warnings.catch_warnings` would restore those that it saw, another thread's
    among them. So each adds one filter and removes one, whichever of the equal ones that is.
    """
    warnings.filters.insert(0, _FILTER)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        with suppress(ValueError):  # somebody has restored earlier filters
            warnings.filters.remove(_FILTER)  # type: ignore[attr-defined]
