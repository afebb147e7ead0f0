"""Trying plans on samples of a scene: which samples, and who decides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo2map.aoi import make_aoi
from geo2map.errors import SceneError
from geo2map.grid import TILE_SIZE, Block, BlockImage, PixelWindow, to_lnglat, window_bounds
from geo2map.pipeline.trial import SIDE, _samples, choose_plan
from geo2map.plan import Plan
from geo2map.scene import ColourTransform, View
from geo2map.scene.identity import SceneIdentity
from geo2map.types import Batch, OnError

WINDOW = PixelWindow(256_000, 512_000, 256_000 + 2600, 512_000 + 2600)
PLAIN = Plan(name="town", view=View(17), window=WINDOW, block_span=4)
PLANS = [
    replace(PLAIN, view=View(17, ColourTransform(None, (tuple(np.minimum(np.arange(256) + more, 255).tolist()),) * 3)))
    for more in (0, 40, 80)
]


@dataclass
class Ground:
    """Imagery of one grey level, with data east of a column."""

    first: int = 0
    level: int = 20
    damaged: bool = False
    on_error: OnError = "fail"
    identities: tuple[SceneIdentity, ...] = ()

    def window(self, zoom: int) -> PixelWindow:
        assert zoom == 17
        return WINDOW

    @contextmanager
    def at(self, view: View) -> Iterator[Ground]:
        self.shown = view.rendition
        yield self

    def read(self, block: Block) -> BlockImage:
        if self.damaged and block.window.left < WINDOW.left + 1300:
            raise SceneError("cannot read it")
        pixels = np.full((block.window.height, block.window.width, 3), self.level, np.uint8)
        mask = np.zeros(pixels.shape[:2], np.bool_)
        mask[:, max(0, self.first - block.window.left) :] = True
        return BlockImage(block, self.shown(pixels), mask)


class Sees:
    """A translator to which ground of one level is road."""

    noise = 0

    def __init__(self, level: int) -> None:
        self.level = level
        self.seen: list[tuple[int, ...]] = []

    def outcome_planes(self, batch: Batch) -> np.ndarray:
        self.seen.append(batch.shape)
        planes = np.zeros((len(batch), 3, *batch.shape[1:3]), np.uint8)
        planes[:, 1][(batch == self.level).all(-1)] = 255
        return planes


@pytest.mark.parametrize(("level", "chosen"), [(20, 0), (60, 1), (100, 2), (33, 0)])
def test_the_plan_that_shows_roads_is_chosen(level: int, chosen: int) -> None:
    ground: Any = Ground()
    sees = Sees(level)
    assert choose_plan(ground, PLANS, lambda: sees) == chosen
    assert sees.seen == [(1, SIDE * TILE_SIZE, SIDE * TILE_SIZE, 3)] * 9  # 3 samples, 3 plans


def test_the_area_of_interest_does_not_change_the_choice() -> None:
    """A part of a scene is rendered as the whole is."""
    ground: Any = Ground()
    corner = PixelWindow(WINDOW.left, WINDOW.top, WINDOW.left + 100, WINDOW.top + 100)
    area = make_aoi(to_lnglat(window_bounds(corner, 17)))
    part = [replace(plan, window=corner, aoi=area, clip=True) for plan in PLANS]
    sees = Sees(100)
    assert choose_plan(ground, part, lambda: sees) == 2
    assert len(sees.seen) == 9


def test_samples_without_data_do_not_count_and_need_no_network() -> None:
    half: Any = Ground(first=WINDOW.left + 1300)
    sees = Sees(60)
    assert choose_plan(half, PLANS, lambda: sees) == 1
    assert len(sees.seen) == 3

    def load() -> Any:
        raise AssertionError

    empty: Any = Ground(first=WINDOW.right + 9999)
    assert choose_plan(empty, PLANS, load) is None


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 40), st.integers(1, 40))
def test_samples_lie_in_the_scene_and_apart(left: int, top: int, columns: int, rows: int) -> None:
    window = PixelWindow(*(TILE_SIZE * edge for edge in (left, top, left + columns, top + rows)))
    samples = list(_samples(17, window))
    tiles = [(tile.x, tile.y) for block in samples for tile in block.tiles]
    assert len(set(tiles)) == len(tiles)
    assert all(left <= x < left + columns and top <= y < top + rows for x, y in tiles)
    assert 1 <= len(samples) <= 4
    assert len(tiles) >= min(4, columns * rows) or min(columns, rows) == 1


def test_damaged_samples_are_left_out_where_the_scene_leaves_out_damage() -> None:
    sees = Sees(60)
    broken: Any = Ground(damaged=True, on_error="skip")
    assert choose_plan(broken, PLANS, lambda: sees) == 1
    assert 0 < len(sees.seen) < 9
    strict: Any = Ground(damaged=True)
    with pytest.raises(SceneError):
        choose_plan(strict, PLANS, lambda: sees)
    far: Any = Ground(damaged=True, on_error="skip", identities=(SceneIdentity("https://example.org/a.tif"),))
    with pytest.raises(SceneError):
        choose_plan(far, PLANS, lambda: sees)
