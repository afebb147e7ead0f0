"""The queue of blocks: one entry a block, in which order, and what is dropped."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest

from geo2map.aoi import make_aoi
from geo2map.errors import BusyError
from geo2map.grid import Block, PixelWindow, lnglat_bounds
from geo2map.live.block_queue import BlockQueue, QueuedBlock, Tiles
from geo2map.live.cache import BlockCache
from geo2map.live.places import blocks_of, touches
from geo2map.live.tally import Tally
from geo2map.plan import Plan
from geo2map.scene import View
from geo2map.types import Tile

A, B, C, D = (QueuedBlock("map", Block(10, x, 5, 1, 1)) for x in range(4))
TILES: Tiles = {"map": {Tile(0, 0, 0): b"a tile"}}


@pytest.fixture
def tally() -> Tally:
    return Tally()


@pytest.fixture
def queue(tally: Tally) -> BlockQueue:
    return BlockQueue(3, tally, lambda _: None)


def ask(queue: BlockQueue, *wanted: QueuedBlock) -> list[Future[Tiles]]:
    return [queue.ask([one])[0] for one in wanted]


def taken(queue: BlockQueue) -> QueuedBlock | None:
    pending = queue.take("queued", "reading")
    return pending and pending.key


def test_the_newest_goes_first_and_who_asks_again_is_new(queue: BlockQueue) -> None:
    ask(queue, A, B, C, A)
    assert [taken(queue) for _ in range(3)] == [A, C, B]


def test_all_that_wait_get_the_same_and_each_only_once(queue: BlockQueue) -> None:
    waiting = ask(queue, A, A, A)
    pending = queue.take("queued", "reading")
    assert pending is not None
    waiting += ask(queue, A)  # while it is read, too
    queue.resolve(pending, TILES)
    assert [one.result(0) for one in waiting] == [TILES] * 4
    assert queue.waiting == 0
    queue.resolve(pending, TILES)  # harmless


def test_the_first_to_leave_takes_nobody_along(queue: BlockQueue, tally: Tally) -> None:
    first, second = ask(queue, A, A)
    pending = queue.take("queued", "reading")
    assert pending is not None
    assert first.cancel()
    queue.move(pending, "ready", None)
    assert queue.count("ready") == 1
    queue.resolve(pending, TILES)
    assert second.result(0) is TILES
    assert first.cancelled()
    assert tally.get("clients", "left") == 1
    assert tally.sums("blocks") == {}


@pytest.mark.parametrize("stage", ["queued", "reading", "ready", "making"])
def test_what_nobody_waits_for_is_dropped_before_it_is_made(stage: str, queue: BlockQueue, tally: Tally) -> None:
    (waiting,) = ask(queue, A)
    pending = None if stage == "queued" else queue.take("queued", "reading")
    if pending and stage in ("ready", "making"):
        queue.move(pending, "ready", None)
        assert stage == "ready" or queue.take("ready", "making") is pending
    waiting.cancel()
    if pending and stage == "reading":
        queue.move(pending, "ready", None)
    dropped = stage != "making"
    assert tally.get("blocks", "map", "dropped") == dropped
    assert sum(queue.count(each) for each in ("queued", "reading", "ready", "making")) == (not dropped)  # type: ignore[arg-type]
    (again,) = ask(queue, A)  # another one, or the one that is made anyway
    found = queue.take("queued", "reading") if dropped else pending
    assert found is not None
    queue.resolve(found, TILES)
    assert again.result(0) is TILES


def test_beyond_the_queue_all_is_refused_or_nothing(queue: BlockQueue, tally: Tally) -> None:
    ask(queue, A, B)
    with pytest.raises(BusyError, match="2 blocks are queued") as caught:
        queue.ask([C, D])
    assert 1 <= caught.value.seconds <= 30
    assert queue.count("queued") == 2
    assert tally.get("clients", "refused") == 1
    assert len(queue.ask([A, B, C])) == 3  # the first two take no place
    assert taken(queue) == C
    assert len(ask(queue, D)) == 1


def test_what_is_stored_is_not_queued(tally: Tally) -> None:
    queue = BlockQueue(1, tally, {A: TILES}.get)
    stored, fresh = queue.ask([A, B])
    assert stored.result(0) is TILES
    assert not fresh.done()
    assert queue.count("queued") == 1


def test_an_error_reaches_all(queue: BlockQueue) -> None:
    waiting = ask(queue, A, A)
    pending = queue.take("queued", "reading")
    assert pending is not None
    queue.resolve(pending, None, ValueError("broken"))
    assert [str(one.exception(0)) for one in waiting] == ["broken"] * 2


def test_only_those_that_suit_are_taken(queue: BlockQueue) -> None:
    for pending in [ask(queue, one) and queue.take("queued", "reading") for one in (A, B, C)]:
        assert pending
        queue.move(pending, "ready", pending.key.block.x % 2)
    even = queue.take_more("ready", "making", lambda pending: pending.payload == 0, most=5)
    assert [pending.key for pending in even] == [C, A]
    assert queue.take_more("ready", "making", lambda _: True, most=0) == []


def test_the_end_wakes_everybody(queue: BlockQueue) -> None:
    taker = threading.Thread(target=queue.take, args=("ready", "making"))
    taker.start()
    (waiting,) = ask(queue, A)
    queue.close()
    taker.join(30)
    assert not taker.is_alive()
    assert isinstance(waiting.exception(0), BusyError)
    with pytest.raises(BusyError, match="stopping"):
        ask(queue, B)


def test_the_cache_is_bounded_by_bytes() -> None:
    cache = BlockCache(10_000)
    for number in range(20):
        cache.put(number, {"map": {Tile(0, 0, 0): b"x" * 1000}})
        cache.get(0)
    assert cache.held <= 10_000
    assert cache.get(0) is not None  # asked for all the time
    assert cache.get(1) is None
    assert cache.get(19) is not None
    cache.put(0, {})
    assert cache.get(0) == {}
    cache.put("large", {"map": {Tile(0, 0, 0): b"x" * 20_000}})
    assert (cache.held, cache.get("large")) == (0, None)


# Places


def plan_over(window: PixelWindow, span: int, **options: object) -> Plan:
    return Plan(name="p", view=View(10), window=window, block_span=span, margin=32, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("span", [1, 2, 4, 8])
@pytest.mark.parametrize("left", [515 * 256 + 3, 1022 * 256], ids=["inland", "antimeridian"])
def test_a_tile_comes_from_the_blocks_of_the_plan(span: int, left: int) -> None:
    plan = plan_over(PixelWindow(left, 300 * 256, left + 5 * 256, 303 * 256 - 9), span)
    blocks = list(plan.blocks())
    for zoom in range(7, 11):
        depth = 10 - zoom
        for block in blocks:
            for tile in block.tiles:
                parent = Tile(tile.x >> depth, tile.y >> depth, zoom)
                assert block in blocks_of(plan, parent)
                assert touches(plan.window, 10, parent)
                assert set(blocks_of(plan, parent)) <= set(blocks)
    assert blocks_of(plan, Tile(100, 100, 10)) == []
    assert not touches(plan.window, 10, Tile(100, 100, 10))
    assert not touches(plan.window, 10, Tile(2 * 515, 2 * 300, 11))


def test_an_area_of_interest_leaves_blocks_out() -> None:
    window = PixelWindow(512 * 256, 300 * 256, 520 * 256, 308 * 256)
    corner = make_aoi(lnglat_bounds(PixelWindow(512 * 256 + 9, 300 * 256 + 9, 513 * 256, 301 * 256), 10))
    plan = plan_over(window, 2, aoi=corner)
    assert blocks_of(plan, Tile(64, 37, 7)) == list(plan.blocks())
    assert len(blocks_of(plan_over(window, 2), Tile(64, 37, 7))) > len(list(plan.blocks()))


def test_what_is_there_wakes_nobody(tally: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers and the model's thread wait for work; waking them for each tile in memory costs more than the tile."""
    queue = BlockQueue(3, tally, lambda one: TILES if one == A else None)
    woken: list[int] = []
    monkeypatch.setattr(queue._changed, "notify_all", lambda: woken.append(1))
    assert queue.ask([A])[0].result() == TILES
    assert woken == []
    queue.ask([A, B])
    assert woken == [1]
