"""Samples of several sheets as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from geo2map.errors import BandError
from geo2map.files.address import redact
from geo2map.scene.collection.order import Sheet

Pixels = npt.NDArray[np.generic]


def thin(values: Pixels, count: int) -> Pixels:
    """`count` of the pixels (pixels, 3), spread evenly; repeated where there are fewer."""
    if not len(values):
        return values
    return values[np.linspace(0, len(values) - 1, max(1, count)).round().astype(np.intp)]


def require_alike(sheets: Sequence[Sheet], samples: Sequence[Pixels]) -> None:
    """Refuses 8-bit colours beside wider numbers. 8-bit values in wider types, and wider numbers of several types,
    share a stretch.

    Raises:
        BandError: names one sheet of each kind.
    """
    pairs = list(zip(sheets, samples, strict=True))
    narrow = [sheet.path for sheet, values in pairs if values.dtype == np.uint8]
    wide = [
        f"{redact(sheet.path)} ({values.dtype})"
        for sheet, values in pairs
        if values.dtype != np.uint8 and values.size and float(values.max()) > 255
    ]
    if narrow and wide:
        raise BandError(
            f"{redact(narrow[0])} (8-bit) and {wide[0]} cannot be one map: no stretch suits the numbers of both; "
            "convert one to the type of the other first, or render each by itself"
        )
