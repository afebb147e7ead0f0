"""Whether map and scene are registered well enough for training, and what to do otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from geo2map.pairs.cut import Cut, Cutter
from geo2map.pairs.registration import find_shift
from geo2map.pairs.report import Registration, describe_registration
from geo2map.pairs.split import Cell

SHOWN_NAMES = 3


def judge_registration(cutter: Cutter, resolution: float, max_shift: float) -> Registration:
    """The registration of all images.

    Args:
        resolution: metres on the ground per pixel.
        max_shift: tolerated shift, px.
    """
    own = [cut.shift for cut in cutter.cuts if cut.shift is not None]
    return Registration(
        shift=None if cutter.surface is None else find_shift(cutter.surface),
        metres_per_pixel=resolution,
        max_shift=max_shift,
        judged=len(own),
        misplaced=sum(shift.length > max_shift for shift in own),
    )


def keep(cuts: Sequence[Cut], found: Registration) -> list[Cut]:
    """The images within the tolerance; one that cannot be measured by itself counts like all together."""
    return [cut for cut in cuts if (shift := cut.shift or found.shift) is None or shift.length <= found.max_shift]


def registration_notes(found: Registration, kept: Sequence[Cut], name: Callable[[Cell], str]) -> tuple[str, ...]:
    """Warnings about a misregistered map, as a whole or in places.

    Args:
        kept: the remaining images.
        name: of a picture's file.
    """
    if found.shift is None:
        return (f"warning: {describe_registration(found)}; inspect some images before training",)
    if found.shift.length > found.max_shift:
        way = (-found.shift).words(found.metres_per_pixel, "m")
        return (
            f"warning: {describe_registration(found)}; move the map {way} on the ground, or check both georeferences",
        )
    off = [name(cut.cell) for cut in kept if cut.shift is not None and cut.shift.length > found.max_shift]
    if not off:
        return ()
    return (
        f"warning: the map is off by more than {found.max_shift:g} px in {len(off)} of the images (leaning roofs "
        f"count, too), e.g. {', '.join(off[:SHOWN_NAMES])}; inspect them, or set registration to drop",
    )
