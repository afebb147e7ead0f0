"""Whether map and scene lie on each other well enough to learn from, and what to do where they do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from geo2map.pairs.cut import Cut, Cutter
from geo2map.pairs.registration import find_shift
from geo2map.pairs.report import Registration, describe_registration
from geo2map.pairs.split import Cell

SHOWN_NAMES = 3


def judge_registration(cutter: Cutter, resolution: float, max_shift: float) -> Registration:
    """How well all pictures lie on each other.

    Args:
        resolution: metres on the ground per pixel.
        max_shift: px that are not called off.
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
    """The pictures that lie near enough; one that could not be told by itself is taken to lie like all together."""
    return [cut for cut in cuts if (shift := cut.shift or found.shift) is None or shift.length <= found.max_shift]


def registration_notes(found: Registration, kept: Sequence[Cut], name: Callable[[Cell], str]) -> tuple[str, ...]:
    """What a user should do about a map that lies off, as a whole or here and there.

    Args:
        kept: pictures that stay.
        name: of a picture's file.
    """
    if found.shift is None:
        return (f"warning: {describe_registration(found)}; look at some pictures before training",)
    if found.shift.length > found.max_shift:
        way = (-found.shift).words(found.metres_per_pixel, "m")
        return (
            f"warning: {describe_registration(found)}; move the map {way} on the ground, or find out which of the two "
            "has the wrong place",
        )
    off = [name(cut.cell) for cut in kept if cut.shift is not None and cut.shift.length > found.max_shift]
    if not off:
        return ()
    return (
        f"warning: the map lies more than {found.max_shift:g} px off in {len(off)} of the pictures (leaning roofs "
        f"count, too), e.g. {', '.join(off[:SHOWN_NAMES])}: look at them, or set registration to drop",
    )
