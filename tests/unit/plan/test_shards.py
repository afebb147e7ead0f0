"""Shards: whole blocks, all of them, once; found without looking at every block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import shapely

from geo2map.aoi import Aoi
from geo2map.colour.transform import ColourTransform
from geo2map.errors import PlanError
from geo2map.grid import PixelWindow, window_bounds
from geo2map.plan import Plan, Shard
from geo2map.plan.area_tiles import AreaTiles
from geo2map.plan.shards import MANY, find_shards, shard_levels
from geo2map.scene.view import View

LEFT, TOP, ZOOM = 67_013, 44_005, 17


def make_plan(side: int, span: int = 4, aoi: bool = False, left: int = LEFT) -> Plan:
    """`side` x `side` tiles; the area is a star with many corners."""
    window = PixelWindow(left * 256 + 7, TOP * 256 + 9, (left + side) * 256 - 5, (TOP + side) * 256 - 3)
    area = None
    if aoi:
        bounds = window_bounds(window, ZOOM)
        angle = np.linspace(0, 2 * np.pi, 2000, endpoint=False)
        radius = (bounds.right - bounds.left) / 2 * (0.8 + 0.15 * np.sin(9 * angle) + 0.04 * np.sin(200 * angle))
        middle = np.array([(bounds.left + bounds.right) / 2, (bounds.top + bounds.bottom) / 2])
        area = Aoi(shapely.Polygon(middle + np.c_[radius * np.cos(angle), radius * np.sin(angle)]).wkt)
    view = View(ZOOM, ColourTransform(None, None), "cubic")
    return Plan(name="star", view=view, window=window, block_span=span, aoi=area)


@pytest.mark.parametrize("aoi", [False, True])
@pytest.mark.parametrize(("span", "zoom"), [(1, None), (4, 13), (4, 15), (8, 14)])
def test_shards_hold_every_block_once(aoi: bool, span: int, zoom: int | None) -> None:
    plan = make_plan(41, span, aoi)
    found = [block for shard in find_shards(plan, zoom) for block in shard.blocks(plan)]
    assert sorted(map(str, found)) == sorted(map(str, plan.blocks()))
    assert all(any(True for _ in shard.blocks(plan)) for shard in find_shards(plan, zoom))
    assert plan.block_count == len(found)


def test_tiles_of_an_area_are_counted_as_the_area_counts_them() -> None:
    plan = make_plan(41, aoi=True)
    assert plan.aoi is not None
    assert plan.tile_count == plan.aoi.tiles(plan.tiles, ZOOM).sum()


def test_beyond_the_antimeridian() -> None:
    plan = make_plan(30, left=2**ZOOM - 17)
    shards = list(find_shards(plan, 14))
    assert {shard.x for shard in shards} == {2**14 - 3, 2**14 - 2, 2**14 - 1, 2**14, 2**14 + 1}
    assert sum(1 for shard in shards for _ in shard.blocks(plan)) == plan.block_count
    assert shard_levels(plan, 14) == 3
    assert shard_levels(plan, 0) == plan.block_levels  # the two halves of the map share the world's one parent


@pytest.mark.parametrize(("side", "span", "levels"), [(2_000, 4, 6), (100, 4, 5), (24, 4, 3), (12, 1, 2), (2, 4, 2)])
def test_a_small_plan_has_small_shards(side: int, span: int, levels: int) -> None:
    plan = make_plan(side, span)
    shards = list(find_shards(plan))
    assert {shard.z for shard in shards} == {ZOOM - levels}
    assert len(shards) >= MANY or levels == span.bit_length() - 1


def test_names() -> None:
    shard = Shard(11, 672, 1054)
    assert Shard.of(shard.name) == shard
    with pytest.raises(PlanError, match="zoom-column-row"):
        Shard.of("11/1054/672")


def test_a_shard_of_half_a_block_is_refused() -> None:
    with pytest.raises(PlanError, match="would split blocks"):
        find_shards(make_plan(8, span=8), 15)


def test_ten_million_tiles_are_planned_without_visiting_each(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = make_plan(4_000, aoi=True)
    tested: list[int] = []
    for name in ("_classify", "_touched"):
        monkeypatch.setattr(AreaTiles, name, counting(getattr(AreaTiles, name), tested))
    shards = sum(1 for _ in find_shards(plan))
    assert plan.tile_count > 8_000_000
    assert 2_000 < shards < 4_000
    assert plan.block_count > 500_000
    assert sum(tested) < 2_000_000
    assert max(tested) < 200_000  # at once, in memory


def counting(method: Callable[..., Any], tested: list[int]) -> Callable[..., Any]:
    """The method, which notes how many squares it was given."""

    def counted(area: AreaTiles, squares: np.ndarray, *arguments: Any) -> Any:
        tested.append(len(squares))
        return method(area, squares, *arguments)

    return counted


def test_without_an_area_tiles_are_counted_by_arithmetic() -> None:
    everywhere = AreaTiles(PixelWindow(3, 5, 2**20, 2**20), None, 20)
    assert everywhere.count(0) == (2**20 - 3) * (2**20 - 5)
