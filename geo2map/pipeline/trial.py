"""Trying plans on a few samples of a scene, to see which one suits it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import reduce
from operator import add
from typing import Protocol

import numpy as np
import numpy.typing as npt

from geo2map.colour.trial import MatchOutcome, best_outcome
from geo2map.grid import Block, add_noise
from geo2map.pipeline.reading import prepare
from geo2map.plan import Plan
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

    The samples are those of the whole scene, so that a part of it is rendered as the whole is.

    Args:
        plans: plans of the scene that differ in colours; the first is without a match.
        load: gives the translator; not called where no sample has data.

    Returns:
        None where no sample has data.

    Raises:
        SceneError: the samples cannot be read.
        DeviceError: the device ran out of memory even for one sample.
    """
    whole = scene.window(plans[0].maxzoom)
    plans = [replace(plan, window=whole, aoi=None, clip=False) for plan in plans]
    outcomes: list[list[MatchOutcome]] = [[] for _ in plans]
    for block in _samples(plans[0]):
        for plan, found in zip(plans, outcomes, strict=True):
            with scene.at(plan.view) as source:
                image = prepare(plan, source, block).image.core()
            if not image.mask.any():
                break
            translator = load()
            batch = add_noise(image.pixels, block.window, block.z, translator.noise)[None]
            found.append(MatchOutcome.of(translator.outcome_planes(batch)[0], image.mask))
    return best_outcome([reduce(add, found) for found in outcomes]) if outcomes[0] else None


def _samples(plan: Plan) -> Iterator[Block]:
    """Squares of tiles: in the middle of few tiles, or of each quarter of many."""
    tiles = plan.tiles
    for top in _starts(tiles.top, tiles.height):
        for left in _starts(tiles.left, tiles.width):
            columns, rows = min(SIDE, tiles.right - left), min(SIDE, tiles.bottom - top)
            yield Block(plan.maxzoom, left, top, columns, rows, plan.margin)


def _starts(first: int, count: int) -> list[int]:
    if count <= 2 * SIDE:
        return [first + max(0, count - SIDE) // 2]
    return [first + (quarter * count) // 4 - SIDE // 2 for quarter in (1, 3)]
