"""Several readers: what comes is the same, in the same order, whoever read it and with whatever else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from rasters import noise, write_raster

from geo2map import threads
from geo2map.errors import SceneError
from geo2map.grid import PixelWindow
from geo2map.grid.block import Block, BlockImage
from geo2map.pipeline import reading, strips
from geo2map.pipeline.blocks import render_blocks
from geo2map.pipeline.reading import BlockReader
from geo2map.plan import Plan, PlanOptions, Storage, make_plan
from geo2map.protocols import SplitSource
from geo2map.scene import SceneCollection, TileFolder, View, open_scene, open_scenes
from geo2map.testing import ArraySource, BlurTranslator, make_card

WINDOW = PixelWindow(256 * 8, 256 * 4, 256 * 14, 256 * 7)
PLAN = Plan(name="noise", view=View(6), window=WINDOW, block_span=1, margin=32, fill_radius=32)


@pytest.fixture(autouse=True)
def two_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "available_threads", partial(int, 2))


class Divided(ArraySource):
    """An array that several threads may read; notes what was read, by whom, and who was closed."""

    reads: list[Block]
    closed: list[object]
    empty: PixelWindow | None

    @classmethod
    def noise(cls, empty: PixelWindow | None = None) -> Divided:
        rng = np.random.default_rng(0)
        mask = np.ones((WINDOW.height, WINDOW.width), dtype=np.bool_)
        if empty is not None:
            mask[empty.slices(WINDOW)] = False
        made = cls(WINDOW, rng.integers(0, 256, (WINDOW.height, WINDOW.width, 3), dtype=np.uint8), mask)
        for name, value in {"reads": [], "closed": [], "empty": empty}.items():
            object.__setattr__(made, name, value)
        return made

    def another(self) -> Divided:
        made = type(self)(self.window, self.pixels, self.mask)
        for name in ("reads", "closed", "empty"):
            object.__setattr__(made, name, getattr(self, name))
        return made

    def is_empty(self, window: PixelWindow) -> bool:
        return self.empty is not None and window.intersection(self.empty) == window

    def close(self) -> None:
        self.closed.append(self)

    def read(self, block: Block) -> BlockImage:
        self.reads.append(block)
        return super().read(block)


def rendered(source: ArraySource, plan: Plan = PLAN) -> list[tuple[object, ...]]:
    """All that a run makes of a plan, in order, but for the time it took."""
    storage = Storage(minzoom=plan.maxzoom, format="jpeg").resolve(plan)
    done = render_blocks(plan, source, BlurTranslator(32), storage, plan.blocks())
    return [(replace(block, seconds={}), tiles) for block, tiles in done]


def by_key(found: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Blocks without tiles may come early."""
    return sorted(found, key=lambda pair: pair[0].key)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("readers", "strip", "span"), [(1, 4, 1), (2, 1, 1), (3, 2, 2), (2, 4, 2)])
def test_output_depends_neither_on_readers_nor_on_strips(
    readers: int, strip: int, span: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = replace(PLAN, block_span=span)
    hole = PixelWindow(256 * 9, 256 * 4, 256 * 11 + 100, 256 * 6)
    source = Divided.noise(hole)
    expected = by_key(rendered(ArraySource(source.window, source.pixels, source.mask), plan))
    monkeypatch.setattr(threads, "available_threads", partial(int, readers))
    monkeypatch.setattr(strips, "STRIP_BLOCKS", strip)
    assert by_key(rendered(source, plan)) == expected
    wide = max(block.columns for block in source.reads)
    assert wide <= span * strip
    assert readers > 1 or wide == span * {1: 1, 4: 3}[strip]


def test_blocks_come_in_the_plans_order() -> None:
    gate = threading.Event()

    class Slow(Divided):
        def read(self, block: Block) -> BlockImage:
            if block.x == 8 and block.y == 4:
                gate.wait(10)
            elif block.y == 5:
                gate.set()  # a strip that comes later is read earlier
            return super().read(block)

    source = Slow.noise()
    keys = [prepared.done.key for prepared in BlockReader(PLAN, source).read(PLAN.blocks())]
    assert gate.is_set()
    assert keys == [PLAN.block_key(block) for block in PLAN.blocks()]


def test_a_handle_belongs_to_one_thread_at_a_time() -> None:
    busy: set[int] = set()
    seen: set[int] = set()
    both = threading.Barrier(2, timeout=10)

    class Careful(Divided):
        def read(self, block: Block) -> BlockImage:
            assert id(self) not in busy
            busy.add(id(self))
            seen.add(id(self))
            if len(self.reads) < 2:
                both.wait()
            try:
                return super().read(block)
            finally:
                busy.remove(id(self))

    source = Careful.noise()
    assert len(list(BlockReader(PLAN, source).read(PLAN.blocks()))) == 18
    assert len(seen) == 2
    assert len(source.closed) == 1
    assert source.closed[0] is not source


def test_empty_blocks_are_not_read() -> None:
    source = Divided.noise(empty=PixelWindow(256 * 8, 256 * 4, 256 * 12, 256 * 7))
    prepared = list(BlockReader(PLAN, source).read(PLAN.blocks()))
    assert [one.image is None for one in prepared] == 3 * [True, True, True, True, False, False]
    assert {x for block in source.reads for x in range(block.x, block.x + block.columns)} == {12, 13}


def test_known_emptiness_is_no_change() -> None:
    source = Divided.noise(empty=PixelWindow(256 * 8, 256 * 4, 256 * 12, 256 * 7))
    reader = BlockReader(PLAN, source, known={(8, 4): "", (9, 4): "something"})
    found = {one.done.key: one.done.unchanged for one in reader.read(PLAN.blocks())}
    assert (found[8, 4], found[9, 4]) == (True, False)


def test_one_bad_block_does_not_spoil_its_strip() -> None:
    class Holed(Divided):
        def read(self, block: Block) -> BlockImage:
            if block.x <= 9 < block.x + block.columns and block.y == 5:
                raise SceneError(f"damaged in {block.columns} columns")
            return super().read(block)

    errors = [
        (one.done.key, one.done.error)
        for one in BlockReader(PLAN, Holed.noise(), on_error="skip").read(PLAN.blocks())
        if one.done.error
    ]
    assert errors == [((9, 5), "damaged in 1 columns")]
    with pytest.raises(SceneError, match="in 1 columns"):
        list(BlockReader(PLAN, Holed.noise()).read(PLAN.blocks()))


def test_reading_ahead_is_bounded_and_ends() -> None:
    source, running = Divided.noise(), threading.active_count()
    coming: Iterator[object] = (found := BlockReader(PLAN, source).read(PLAN.blocks()))
    next(coming)
    found.close()
    blocks = sum(block.columns for block in source.reads)
    assert blocks <= (2 + 2 + 1) * strips.STRIP_BLOCKS
    assert threading.active_count() == running
    assert len(source.closed) == 1


def test_a_strip_has_no_more_pixels_than_memory_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Divided.noise()
    monkeypatch.setattr(strips, "STRIP_PIXELS", (2 * 256 + 128) * (256 + 128))
    list(BlockReader(PLAN, source).read(PLAN.blocks()))
    assert max(block.columns for block in source.reads) == 2


def test_a_source_gets_the_same_columns_in_every_row_unless_it_is_busy() -> None:
    """It still has what lies between the rows."""
    source, seen = Divided.noise(), []
    go, begun = threading.Event(), threading.Semaphore(0)

    def read(by: object, blocks: list[Block]) -> list[object]:
        seen.append((by is source, blocks[0].y))
        begun.release()
        go.wait(10)
        return []

    with reading._Readers(source, 2, read, threads.start_threads(2, "read")) as readers:  # type: ignore[arg-type]
        rows = [Block(6, 8, y, 1, 1) for y in range(4)]
        found = [readers.submit(0, rows[0:1]), readers.submit(2, rows[1:2])]
        assert begun.acquire(timeout=10)
        assert begun.acquire(timeout=10)
        assert sorted(seen) == [(False, 1), (True, 0)]  # the second helps out
        go.set()
        assert [each.result(10) for each in found] == [[], []]
        readers.submit(1, rows[2:3]).result(10)
        assert seen[-1] == (False, 2)
        assert readers.submit(4, rows[3:4]).result(10) == []
        assert seen[-1] == (True, 3)


@pytest.mark.parametrize("readers", [1, 2, 3, 8])
def test_strips_are_even_and_the_same_in_every_row(readers: int) -> None:
    plan = replace(PLAN, window=PixelWindow(256 * 3, 0, 256 * 34, 256 * 3))
    layout = strips.Layout.of(plan, readers)
    rows: dict[int, set[tuple[int, int]]] = {}
    for number, strip in strips.cut_strips(plan.blocks(), layout):
        rows.setdefault(strip[0].y, set()).add((number, len(strip)))
    assert rows[0] == rows[1] == rows[2]
    assert len(rows[0]) % readers == 0
    lengths = {length for _, length in rows[0]}
    assert max(lengths) <= strips.STRIP_BLOCKS
    assert max(lengths) - min(lengths) <= 1


# Real scenes


def write(path: Path, left: float = 590_000, size: int = 1000) -> Path:
    pixels = noise(3, size // 5, size // 5, seed=1).repeat(5, axis=1).repeat(5, axis=2)
    pixels[:, : size // 2, : size // 3] = 0
    stored = {"compress": "deflate", "tiled": True, "blockxsize": 128, "blockysize": 128, "nodata": 0}
    return write_raster(path, pixels, **stored, crs="EPSG:32618", transform=Affine(0.9, 0, left, 0, -0.9, 4_510_000))


@pytest.mark.parametrize("sheets", [1, 2])
def test_a_scene_gives_the_same_by_any_readers(sheets: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(sheets):
        write(tmp_path / f"{number}.tif", left=590_000 + 500 * number)
    digests = {}
    with open_scenes(tmp_path, feather=20) as scene:
        assert isinstance(scene, SceneCollection) == (sheets == 2)
        plan = make_plan(scene, make_card(), PlanOptions(block_span=2))
        for readers, strip in ((1, 1), (3, 4)):
            monkeypatch.setattr(threads, "available_threads", partial(int, readers))
            monkeypatch.setattr(strips, "STRIP_BLOCKS", strip)
            with scene.at(plan.view) as source:
                assert isinstance(source, SplitSource)
                found = BlockReader(plan, source).read(plan.blocks())
                digests[readers, strip] = [replace(one.done, seconds={}) for one in found]
    assert any(done.inputs for done in digests[1, 1])
    assert all(found == digests[1, 1] for found in digests.values())


def test_missing_tiles_are_empty(tmp_path: Path) -> None:
    from geo2map.api import tile

    tile(write(tmp_path / "scene.tif", size=700), tmp_path / "cut", card=make_card(), zoom=16)
    with TileFolder(tmp_path / "cut") as folder, folder.at(View(16)) as source:
        assert isinstance(source, SplitSource)
        there = folder.window(16)
        assert not source.is_empty(there)
        assert source.is_empty(there.shift(20_000))


def test_a_source_can_be_read_beside_another(tmp_path: Path) -> None:
    with open_scene(write(tmp_path / "scene.tif")) as scene, scene.at(View(17)) as source:
        window = scene.window(17)
        other = source.another()
        np.testing.assert_array_equal(source.read_window(window)[0], other.read_window(window)[0])
        other.close()
        other.close()
        assert source.read_window(window)[1].any()
