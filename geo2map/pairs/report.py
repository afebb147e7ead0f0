"""The report on a folder of pairs: its pairs.json, and the same for people."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from geo2map.files.plain_json import plain_json
from geo2map.grid import PixelWindow
from geo2map.pairs.registration import Shift
from geo2map.types import SPLITS, SplitName

PaletteEntries = tuple[tuple[str, tuple[int, int, int]], ...]


@dataclass(frozen=True, kw_only=True)
class Split:
    """How pictures were divided.

    Attributes:
        shares: requested for train, val and test.
        block: pictures along a side of a block.
        seed: of the order in which blocks are assigned.
        pictures, blocks: how many each split got.
    """

    shares: tuple[float, float, float]
    block: int
    seed: int
    pictures: dict[SplitName, int]
    blocks: dict[SplitName, int]


@dataclass(frozen=True, kw_only=True)
class Registration:
    """The registration of map and scene.

    Attributes:
        shift: offset of the map relative to the scene, over all images, px; None if undetermined.
        metres_per_pixel: on the ground.
        max_shift: tolerated shift, px.
        judged: images whose individual shift could be determined.
        misplaced: those of them with a shift beyond `max_shift`.
    """

    shift: Shift | None
    metres_per_pixel: float
    max_shift: float
    judged: int
    misplaced: int


@dataclass(frozen=True, kw_only=True)
class PairSet:
    """A folder of pairs as a whole. A value; holds no time and no path of this machine.

    Attributes:
        scene, map: names of what A and B were cut from.
        zoom, ground_resolution: of the pictures; metres per pixel at the middle.
        size: width and height of A and of B, px; picture `z_x_y` has the global pixel (x * size, y * size) at its
            north-west corner.
        window: global pixels that scene and map have in common.
        stretch: what became 0 and 255 in each band of the scene; None for 8-bit scenes.
        split: how pictures were divided.
        dropped: pictures that touch the window but were left out, by reason: nodata, blank, registration.
        registration: None if it was not measured.
        palette: classes of the map and their colours, None if none was given.
        class_shares: for each split the share of its map's pixels that each class has; empty without palette.
        licence: of the images; to be filled in by hand.
        notes: sentences a user should read.
    """

    scene: str
    map: str
    zoom: int
    ground_resolution: float
    size: int
    window: PixelWindow
    stretch: tuple[tuple[float, float], ...] | None
    split: Split
    dropped: dict[str, int]
    registration: Registration | None
    palette: PaletteEntries | None = None
    class_shares: dict[SplitName, dict[str, float]] = field(default_factory=dict)
    licence: str = ""
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Pictures in all splits."""
        return sum(self.split.pictures.values())

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return values

    def to_json(self) -> str:
        """The text of pairs.json."""
        return plain_json(self.to_dict(), indent=2, ensure_ascii=False) + "\n"

    def __str__(self) -> str:
        counts = ", ".join(
            f"{name} {self.split.pictures[name]} ({self.split.blocks[name]})"
            for name in SPLITS
            if name in self.split.pictures
        )
        dropped = ", ".join(f"{number} {reason}" for reason, number in self.dropped.items() if number)
        lines = [
            f"{self.scene} and {self.map}: {self.count} pairs of {self.size} x {self.size} px at zoom {self.zoom}, "
            f"{self.ground_resolution:.3g} m per pixel",
            f"pictures (and blocks of {self.split.block} x {self.split.block}): {counts}",
            f"left out: {dropped}" if dropped else "",
            describe_registration(self.registration) if self.registration else "",
            *(f"{split}: {_shares(shares)}" for split, shares in self.class_shares.items()),
        ]
        return "\n".join(filter(None, lines))


def describe_registration(found: Registration) -> str:
    """One line: the shift of the map, and the number of images beyond the tolerance."""
    if found.shift is None:
        return "registration: unknown, scene and map share too few edges"
    metres = found.shift.length * found.metres_per_pixel
    return (
        f"registration: the map is off by {found.shift.length:.1f} px ({metres:.1f} m), "
        f"{found.shift.words()}; off by more than {found.max_shift:g} px in {found.misplaced} of {found.judged} images "
        "with a measurable shift"
    )


def _shares(shares: dict[str, float]) -> str:
    return ", ".join(f"{name} {share:.1%}" for name, share in shares.items())
