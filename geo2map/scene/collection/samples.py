"""Samples of several scenes as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from geo2map.errors import BandError
from geo2map.files.address import redact
from geo2map.scene.collection.order import SceneEntry
from geo2map.types import RawPixels


def thin(values: RawPixels, count: int) -> RawPixels:
    """`count` of the pixels (pixels, 3), spread evenly; repeated where there are fewer."""
    if not len(values):
        return values
    return values[np.linspace(0, len(values) - 1, max(1, count)).round().astype(np.intp)]


def require_alike(entries: Sequence[SceneEntry], samples: Sequence[RawPixels]) -> None:
    """Refuses 8-bit colours beside wider values, and values of fewer bits beside any other. 8-bit values in wider
    types, and wider values of several types, share a stretch.

    Raises:
        BandError: names one scene of each kind.
    """
    kinds: dict[str, str] = {}
    for entry, values in zip(entries, samples, strict=True):
        if (kind := _kind(entry, values)) is not None:
            kinds.setdefault(kind, f"{redact(entry.path)} ({kind})")
    narrow = [kind for kind in kinds if kind.endswith("-bit")]
    if narrow and len(kinds) > 1:
        one, other = kinds.pop(narrow[0]), next(iter(kinds.values()))
        raise BandError(
            f"{one} and {other} have different value ranges, so no stretch suits both; "
            "convert one to the type of the other first, or render them separately"
        )


def _kind(entry: SceneEntry, values: RawPixels) -> str | None:
    """The kind of a scene's values; None if compatible with any."""
    if values.dtype == np.uint8:
        return f"{entry.bits or 8}-bit"
    return str(values.dtype) if values.size and float(values.max()) > 255 else None
