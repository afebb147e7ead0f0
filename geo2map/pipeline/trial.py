"""Trying plans on a few samples of a scene, to see which one suits it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from itertools import product
from operator import add
from typing import Protocol

import numpy as np
import numpy.typing as npt

from geo2map.colour.trial import MatchOutcome, best_outcome
from geo2map.errors import SceneError
from geo2map.files.address import is_remote
from geo2map.grid import Block, BlockImage, PixelWindow, add_noise, tile_range
from geo2map.grid.fill import fill_pixels
from geo2map.plan import Plan
from geo2map.protocols import Source
from geo2map.scene import Imagery
from geo2map.types import Batch

SIDE = 2
"""Tiles along a side of a sample."""


class TrialTranslator(Protocol):
    """A translator with scores: `geo2map.engine.Engine`.

    Attributes:
        noise: bands of noise that it takes.
    """

    noise: int

    def outcome_planes(self, batch: Batch) -> npt.NDArray[np.uint8]:
        """What its scores tell of pictures, uint8 (N, 3, H, W), see `geo2map.colour.trial.MatchOutcome.of`."""
        ...


def choose_plan(scene: Imagery, plans: Sequence[Plan], load: Callable[[], TrialTranslator]) -> int | None:
    """The place of the plan that suits a scene best, by what a network makes of up to four samples of it.

    The samples are those of the whole scene, so that a part of it is rendered as the whole is. They are read once.

    Args:
        plans: plans of the scene that differ in colours; the first is without a match.
        load: gives the translator; not called where no sample has data.

    Returns:
        None where no sample has data.

    Raises:
        SceneError: the samples cannot be read, unless the scene leaves out damage.
        DeviceError: the device ran out of memory even for one sample.
    """
    plain = plans[0]
    outcomes: list[list[MatchOutcome]] = [[] for _ in plans]
    with scene.at(plain.view) as source:
        images = [_read(source, block, scene) for block in _samples(plain.maxzoom, scene.window(plain.maxzoom))]
    for image in images:
        if image is None or not image.mask.any():
            continue
        translator = load()
        for plan, found in zip(plans, outcomes, strict=True):
            pixels = fill_pixels(plan.view.rendition.match(image.pixels), image.mask, plan.neutral)
            batch = add_noise(pixels, image.block.window, image.block.z, translator.noise)[None]
            found.append(MatchOutcome.of(translator.outcome_planes(batch)[0], image.mask))
    return best_outcome([reduce(add, found) for found in outcomes]) if outcomes[0] else None


def _read(source: Source, block: Block, scene: Imagery) -> BlockImage | None:
    """A sample; None where it is damaged and the scene leaves that out."""
    try:
        return source.read(block)
    except SceneError:
        remote = any(is_remote(identity.path) for identity in scene.identities)
        if scene.on_error == "fail" or remote:  # a server's faults would differ next time
            raise
        return None


def _samples(zoom: int, window: PixelWindow) -> Iterator[Block]:
    """Squares of tiles: one in the middle of few tiles, one in the middle of each quarter of more, three of many, since
    each may have to be fetched from far away."""
    tiles = tile_range(window)
    across, down = _starts(tiles.left, tiles.width), _starts(tiles.top, tiles.height)
    places = zip((0, 2, 0), range(3), strict=True) if len(across) == len(down) == 3 else product((0, -1), (0, -1))
    for left, top in dict.fromkeys((across[column], down[row]) for column, row in places):
        yield Block(zoom, left, top, min(SIDE, tiles.right - left), min(SIDE, tiles.bottom - top), 0)


def _starts(first: int, count: int) -> list[int]:
    """Where samples may begin along a side."""
    if count <= 2 * SIDE:
        return [first + max(0, count - SIDE) // 2]
    quarters = (1, 3) if count <= 4 * SIDE else (1, 2, 3)
    return [first + (quarter * count) // 4 - SIDE // 2 for quarter in quarters]
