"""The stretch: which of a scene's values become black and which white, once for the whole scene."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geo2map.errors import PlanError

Stretch = tuple[tuple[float, float], ...]
"""For each band the values that become 0 and 255."""

SHOWN: Stretch = ((0.0, 255.0),) * 3
"""Values as they are, those beyond 8 bits clipped."""


def parse_stretch(text: str) -> tuple[str, tuple[float, ...]]:
    """The kind of a stretch ("auto", "none", "minmax", "percentile" or "limits") and its numbers.

    Args:
        text: a kind by name, "percentile:LOW,HIGH", or the limits themselves, LOW,HIGH once or once a band.

    Raises:
        PlanError: anything else.
    """
    if text in ("auto", "none", "minmax"):
        return text, ()
    kind, colon, rest = text.partition(":")
    try:
        numbers = tuple(float(part) for part in (rest if colon else text).split(","))
    except ValueError:
        numbers = ()
    rising = all(low < high for low, high in zip(numbers[::2], numbers[1::2], strict=False))
    if colon and kind == "percentile" and len(numbers) == 2 and 0 <= numbers[0] < numbers[1] <= 100:
        return kind, numbers
    if not colon and len(numbers) in (2, 6) and rising and np.isfinite(numbers).all():
        return "limits", numbers
    raise PlanError(
        f"unknown stretch {text!r}; give auto, none, minmax, percentile:2,98, or LOW,HIGH once or for each of 3 bands",
        option="stretch",
        usage=True,
    )


def stretch_of_bits(asked: str, bits: int | None) -> str:
    """The stretch for values of so many bits; differs from `asked` only if that is "auto".

    Fewer than 8 bits are an image like 8: its highest value is white. More are measurements, however small.

    Args:
        asked: see `parse_stretch`.
        bits: None if unknown.
    """
    if asked != "auto" or bits is None or bits == 8:
        return asked
    return f"0,{2**bits - 1}" if bits < 8 else "percentile:2,98"


def make_stretch(values: npt.NDArray[np.generic], asked: str = "auto") -> Stretch | None:
    """The stretch of a sample (pixels, 3); None leaves 8-bit values unchanged.

    "auto" leaves 8-bit data unchanged, whatever type they are stored in, and uses percentiles 2 to 98 of any other.

    Args:
        asked: see `parse_stretch`.
    """
    kind, numbers = parse_stretch(asked)
    if kind == "limits":
        pairs = numbers * (3 if len(numbers) == 2 else 1)
        return tuple(zip(pairs[::2], pairs[1::2], strict=True))
    if values.dtype == np.uint8 and kind in ("auto", "none"):
        return None
    finite = values[np.isfinite(values).all(axis=-1)].astype(np.float64)
    if kind == "none" or not finite.size or (kind == "auto" and _is_8_bit(finite)):
        return SHOWN
    if kind == "minmax":
        low, high = finite.min(axis=0), finite.max(axis=0)
    else:
        low, high = np.percentile(finite, numbers or (2, 98), axis=0)
    return tuple(
        (a, b if b > a else a + max(1.0, abs(a)) * 1e-6) for a, b in zip(low.tolist(), high.tolist(), strict=True)
    )


def _is_8_bit(values: npt.NDArray[np.float64]) -> bool:
    whole = bool((values == np.rint(values)).all())
    return whole and bool(values.min() >= 0) and bool(1 < values.max() <= 255)
