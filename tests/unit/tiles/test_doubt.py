"""How doubt is summed up."""

from __future__ import annotations

import random

import numpy as np

from geo2map.tiles.doubt import WORST_PLACES, Doubt, TileDoubt
from geo2map.types import Tile


def test_a_tile_counts_its_valid_pixels() -> None:
    percents = np.full((256, 256), 80, np.uint8)
    percents[:10], percents[10:20], percents[20:30] = 49, 50, 0
    mask = np.ones((256, 256), np.bool_)
    mask[20:] = False
    assert TileDoubt.of(percents, mask) == (5120, 2560, 2560 * 99)


def test_the_sum_does_not_depend_on_the_order() -> None:
    rng = random.Random(3)
    full = 256 * 256
    counts = [(Tile(x, 7, 12), TileDoubt(full, x * 10, full * (x % 50))) for x in range(400)]
    expected = Doubt.of(counts)
    assert expected is not None
    assert expected.share == sum(x * 10 for x in range(400)) / (400 * full)
    worst = [(Tile(x, 7, 12), float(x % 50)) for x in (0, 50, 100, 150, 200, 250, 300, 350, 1, 51)]
    assert expected.worst == tuple(worst)
    assert len(worst) == WORST_PLACES
    for _ in range(3):
        rng.shuffle(counts)
        assert Doubt.of(iter(counts)) == expected


def test_slivers_are_no_places_but_count() -> None:
    found = Doubt.of(
        [(Tile(0, 0, 1), TileDoubt(100, 100, 0)), (Tile(1, 0, 1), TileDoubt(300 * 200, 0, 300 * 200 * 90))]
    )
    assert found is not None
    assert found.worst == ((Tile(1, 0, 1), 90.0),)
    assert found.share == 100 / 60100
    assert Doubt.of([]) is None
