"""The pipeline: what is called how often, and that a failure anywhere ends the run and surfaces as it was."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import shapely

from geo2map import grid
from geo2map.aoi import Aoi
from geo2map.errors import DeviceError, OutputError, SceneError
from geo2map.grid import PixelWindow, tile_range
from geo2map.grid.block import Block, BlockImage
from geo2map.pipeline.blocks import MOST_ENCODERS, LayerTiles, render_blocks
from geo2map.pipeline.reading import READ_AHEAD, BlockDone, prepare
from geo2map.pipeline.records import BlockRecord
from geo2map.pipeline.run import WAITING, run
from geo2map.plan import Plan, Storage
from geo2map.protocols import PixelTranslator
from geo2map.scene import View
from geo2map.testing import ArraySource, BlurTranslator, IdentityTranslator, MemoryOutput, cropped
from geo2map.threads import Budget
from geo2map.tiles.layer import MAP
from geo2map.types import Batch

WINDOW = PixelWindow(256 * 8 + 10, 256 * 4, 256 * 14, 256 * 7 - 30)
PLAN = Plan(name="noise", view=View(6), window=WINDOW, block_span=1, margin=32, fill_radius=32)


def noise(window: PixelWindow = WINDOW, empty_columns: int = 0) -> ArraySource:
    """Valid noise; the westernmost columns of tiles have no data."""
    rng = np.random.default_rng(0)
    mask = np.ones((window.height, window.width), dtype=np.bool_)
    mask[:, : max(0, empty_columns * 256 - window.left % 256)] = False
    return ArraySource(window, rng.integers(0, 256, (window.height, window.width, 3), dtype=np.uint8), mask)


class Counting(PixelTranslator):
    """A translator that notes the shapes of its batches."""

    def __init__(self, batch: int = 1) -> None:
        self.batch = batch
        self.batches: list[tuple[int, ...]] = []

    def translate_pixels(self, batch: Batch, margin: int = 0) -> Batch:
        self.batches.append(batch.shape)
        return 255 - cropped(batch, margin)


class Ahead(Counting):
    """A translator that may be given batches before it is asked for the first; notes both."""

    def __init__(self, batch: int, ahead: int) -> None:
        super().__init__(batch)
        self.ahead, self.begun = ahead, 0
        self.log: list[str] = []

    def begin_pixels(self, batch: Batch, margin: int = 0) -> Callable[[], Batch]:
        number, self.begun = self.begun, self.begun + 1
        self.log.append(f"begin {number}")

        def wait() -> Batch:
            self.log.append(f"wait {number}")
            return self.translate_pixels(batch, margin)

        return wait


# What is written


def test_what_is_written_is_what_the_translator_made() -> None:
    source, output = noise(), MemoryOutput(PLAN)
    report = run(source, Counting(), output)
    assert output.finished
    assert report.tiles == len(output.tiles) == 6 * 3
    for tile, (pixels, mask) in output.tiles.items():
        expected = source.read(Block(6, tile.x, tile.y, 1, 1))
        np.testing.assert_array_equal(mask, expected.mask)
        np.testing.assert_array_equal(pixels[mask], 255 - expected.pixels[mask])


def test_without_a_translator_the_sources_own_pixels_are_written() -> None:
    source, output = noise(), MemoryOutput(PLAN.untranslated())
    run(source, None, output)
    assert len(output.tiles) == 6 * 3
    for tile, (pixels, _) in output.tiles.items():
        np.testing.assert_array_equal(pixels, source.read(Block(6, tile.x, tile.y, 1, 1)).pixels)


@pytest.mark.parametrize("ahead", [0, 1, 2, 50])
@pytest.mark.parametrize("batch", [1, 3, 100])
def test_batches_are_begun_ahead_and_come_out_the_same(batch: int, ahead: int) -> None:
    translator, output, plain = Ahead(batch, ahead), MemoryOutput(PLAN), MemoryOutput(PLAN)
    run(noise(empty_columns=1), translator, output)
    run(noise(empty_columns=1), Counting(), plain)
    assert output.store.data == plain.store.data
    waits = [int(entry.split()[1]) for entry in translator.log if entry.startswith("wait")]
    assert waits == list(range(translator.begun))
    for number in waits:
        before = translator.log[: translator.log.index(f"wait {number}")]
        assert sum(entry.startswith("begin") for entry in before) == min(number + ahead + 1, translator.begun)


@pytest.mark.parametrize("batch", [1, 2, 4, 100])
def test_empty_blocks_are_not_translated(batch: int) -> None:
    translator, output = Counting(batch), MemoryOutput(PLAN)
    report = run(noise(empty_columns=2), translator, output)
    assert (report.empty, report.translated, report.tiles) == (2 * 3, 4 * 3, 4 * 3)
    assert sum(shape[0] for shape in translator.batches) == 4 * 3
    assert max(shape[0] for shape in translator.batches) == min(batch, 4 * 3)
    assert {tile.x for tile in output.tiles} == {10, 11, 12, 13}
    assert [done.tiles for done in output.done if not done.inputs] == [0] * 2 * 3


def test_a_batch_holds_pictures_of_one_shape() -> None:
    translator = Counting(8)
    plan = replace(PLAN, block_span=4)  # 6 x 3 tiles from column 8, row 4: widths 4 and 2
    report = run(noise(), translator, MemoryOutput(plan))
    assert report.translated == 2
    assert translator.batches == [(1, 3 * 256 + 64, 4 * 256 + 64, 3), (1, 3 * 256 + 64, 2 * 256 + 64, 3)]


def test_only_the_blocks_asked_for() -> None:
    blocks = list(PLAN.blocks())[3:5]
    found = list(render_blocks(PLAN, noise(), IdentityTranslator(), Storage(format="png", minzoom=6), iter(blocks)))
    assert {tile for _, layers in found for tile in layers[MAP]} == {tile for block in blocks for tile in block.tiles}
    assert [done.block for done, _ in found] == blocks


def test_blocks_that_are_done_are_not_read_again() -> None:
    """Those that are open are, even where they were done once."""
    first, second = MemoryOutput(PLAN), MemoryOutput(PLAN)
    run(noise(), IdentityTranslator(), first)
    rest = {PLAN.block_key(block) for block in list(PLAN.blocks())[3:5]}
    for done in first.done:
        reason = "to be looked at again" if done.key in rest else None
        second.records[done.key] = BlockRecord("another", done.tiles, reason)
    seen: list[tuple[str, int, int]] = []
    report = run(noise(), IdentityTranslator(), second, progress=lambda *step: seen.append(step))
    assert {done.key for done in second.done} == rest
    assert (report.resumed, report.translated, report.tiles, second.finished) == (16, 2, 2, True)
    assert seen == [("blocks", 17, 18), ("blocks", 18, 18)]
    for tile, data in second.store.data.items():
        assert data == first.store.data[tile]


def test_blocks_whose_inputs_are_the_same_are_not_translated_again() -> None:
    first, second, translator = MemoryOutput(PLAN), MemoryOutput(PLAN), Counting()
    run(noise(empty_columns=1), IdentityTranslator(), first)
    second.records = {done.key: BlockRecord(done.inputs, done.tiles, "look again") for done in first.done}
    changed = noise(empty_columns=1)
    changed.pixels[400, 880] ^= 1  # in column 11, row 5; farther than 32 + 32 px from every other block
    report = run(changed, translator, second)
    assert (report.unchanged, report.translated, report.empty, report.tiles) == (17, 1, 0, 1)
    assert len(translator.batches) == 1
    assert [done.key for done in second.done if not done.unchanged] == [(11, 5)]


@pytest.mark.parametrize("span", [1, 2, 4, 8])
@pytest.mark.parametrize("format", ["png", "webp", "jpeg"])
def test_overviews_do_not_depend_on_the_blocks(span: int, format: str) -> None:
    """Some are made with their block, some afterwards."""
    storage = Storage(format=format, minzoom=2)  # type: ignore[arg-type]
    outputs = [MemoryOutput(replace(PLAN, block_span=size, margin=0, fill_radius=0), storage) for size in (1, span)]
    for output in outputs:
        run(noise(empty_columns=2), IdentityTranslator(), output)
    assert outputs[0].store.zooms == (2, 3, 4, 5, 6)
    assert outputs[0].store.data == outputs[1].store.data


@pytest.mark.parametrize("batch", [1, 4])
def test_progress_rises_to_the_total(batch: int) -> None:
    seen: list[tuple[str, int, int]] = []
    here = threading.current_thread()

    def progress(stage: str, done: int, total: int) -> None:
        assert threading.current_thread() is here
        seen.append((stage, done, total))

    run(noise(empty_columns=2), IdentityTranslator(batch), MemoryOutput(PLAN), progress=progress)
    counts = [done for _, done, _ in seen]
    assert counts == sorted(set(counts))
    assert {(stage, total) for stage, _, total in seen} == {("blocks", 18)}
    assert counts[-1] == 18


def test_the_network_sees_no_hole() -> None:
    """Within the fill's reach a hole has the rim's colours, beyond it the neutral one; the mask stays."""
    source = noise(empty_columns=1)
    source.pixels[...] = 200
    plan = replace(PLAN, neutral=(1, 2, 3))
    image = prepare(plan, source, Block(6, 9, 4, 1, 1, 32)).image  # east of the empty column
    assert image.block.margin == 32
    assert (image.pixels[40, :32] == 200).all()
    assert not image.mask[40, :32].any()
    far = prepare(replace(plan, margin=96), source, Block(6, 9, 4, 1, 1, 96)).image
    assert (far.pixels[120, :64] == (1, 2, 3)).all()


# What fails


class Failing(ArraySource, MemoryOutput, PixelTranslator):
    """Source, translator and output in one; fails at its n-th call of one method, from whatever thread."""

    def __init__(self, method: str, error: BaseException, at: int = 1, batch: int = 1) -> None:
        ArraySource.__init__(self, WINDOW, noise().pixels, noise().mask)
        MemoryOutput.__init__(self, replace(PLAN, margin=0, fill_radius=0))
        self.batch = batch
        calls, lock = [0], threading.Lock()
        original = getattr(self, method)

        def fail(*arguments: object) -> object:
            with lock:
                calls[0] += 1
                if calls[0] >= at:
                    raise error
            return original(*arguments)

        setattr(self, method, fail)

    def translate_pixels(self, batch: Batch, margin: int = 0) -> Batch:
        return cropped(batch, margin)


ERRORS = [
    ("read", SceneError("the disk went away")),
    ("translate_pixels", DeviceError("out of memory")),
    ("keep", OutputError("disk full")),
    ("finish", OutputError("disk full")),
    ("translate_pixels", KeyboardInterrupt()),
    ("finish", KeyboardInterrupt()),
    ("read", ZeroDivisionError("a bug")),
    ("keep", ZeroDivisionError("a bug")),
]


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("at", [1, 5, 18])
@pytest.mark.parametrize(("method", "error"), ERRORS)
def test_a_failure_ends_the_run_and_surfaces(method: str, error: BaseException, at: int, batch: int) -> None:
    """What came before it is kept, in order; nothing that comes after it is."""
    at = 1 if method == "finish" else -(-at // batch) if method == "translate_pixels" else at
    failing = Failing(method, error, at, batch)
    threads = threading.active_count()
    with pytest.raises(type(error)) as caught:
        run(failing, failing, failing)
    assert caught.value is error
    assert not failing.finished
    assert threading.active_count() == threads
    keys = [done.key for done in failing.done]
    assert keys == [PLAN.block_key(block) for block in PLAN.blocks()][: len(keys)]
    if method == "keep":
        assert len(keys) == at - 1
    if method == "finish":
        assert len(keys) == 18


def test_a_failing_progress_ends_the_run_as_well() -> None:
    output, threads = MemoryOutput(PLAN), threading.active_count()

    def progress(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(noise(), IdentityTranslator(), output, progress=progress)
    assert not output.finished
    assert threading.active_count() == threads
    assert output.done


def test_a_block_that_cannot_be_read_may_be_left_out() -> None:
    class Holed(ArraySource):
        def read(self, block: Block) -> BlockImage:
            if block.x in (9, 12):
                raise SceneError(f"the disk went away at {block.x}")
            return super().read(block)

    source, output = noise(), MemoryOutput(PLAN)
    report = run(Holed(WINDOW, source.pixels, source.mask), Counting(4), output, on_error="skip")
    assert output.finished
    assert (report.translated, len(report.failed), report.error) == (12, 6, None)
    assert {done.block.x for done in output.done if done.error} == {9, 12}
    assert [failure["error"] for failure in report.failed[:2]] == [f"the disk went away at {x}" for x in (9, 12)]
    assert {tile.x for tile in output.tiles} == {8, 10, 11, 13}
    with pytest.raises(SceneError, match="went away at 9"):
        run(Holed(WINDOW, source.pixels, source.mask), Counting(4), MemoryOutput(PLAN))


@pytest.mark.parametrize("error", [ZeroDivisionError("a bug"), OSError("not ours")])
def test_a_bug_is_never_left_out(error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        run(Failing("read", error), IdentityTranslator(), MemoryOutput(PLAN), on_error="skip")
    assert caught.value is error


def test_reading_runs_only_a_little_ahead() -> None:
    """What waits is bounded, or a slow network would fill the memory with the scene."""
    reads: list[Block] = []

    class Noting(ArraySource):
        def read(self, block: Block) -> BlockImage:
            reads.append(block)
            return super().read(block)

    class Looking(PixelTranslator):
        batch = 1
        done = 0

        def translate_pixels(self, batch: Batch, margin: int = 0) -> Batch:
            assert len(reads) <= self.done + len(batch) + 1 + READ_AHEAD  # one more shows that the batch is full
            self.done += len(batch)
            return cropped(batch, margin)

    source = noise()
    run(Noting(source.window, source.pixels, source.mask), Looking(), MemoryOutput(PLAN))
    assert len(reads) == 18


def test_a_slow_disk_holds_up_the_translator() -> None:
    """What waits to be written is bounded, too."""
    translator = Counting()
    most: list[int] = []

    class Slow(MemoryOutput):
        def keep(self, done: BlockDone, tiles: LayerTiles) -> None:
            time.sleep(0.01)
            super().keep(done, tiles)
            most.append(len(translator.batches) - len(self.done))

    plan = replace(PLAN, margin=0, fill_radius=0)
    run(noise(), translator, Slow(plan))
    assert len(most) == 18
    assert max(most) <= WAITING + 2 * Budget.make().share(MOST_ENCODERS) + 4


# An area of interest limits what is written, not what is read


def area(*points: tuple[float, float]) -> Aoi:
    """A polygon whose corners are pixels of `WINDOW`."""
    matrix = grid.window_transform(WINDOW, PLAN.maxzoom)
    return Aoi(shapely.make_valid(shapely.Polygon([matrix @ point for point in points])).wkt)


TRIANGLE = area((300, 100), (1200, 300), (500, 700))


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("span", [1, 2, 4])
def test_pixels_do_not_depend_on_the_area(clip: bool, span: int) -> None:
    """The blur shows every pixel that the network would not have seen."""
    source = noise()
    source.mask[200:330, 500:640] = False
    plan = replace(PLAN, block_span=span)
    limited = replace(plan, window=TRIANGLE.cut(WINDOW, 6, clip, "noise"), aoi=TRIANGLE, clip=clip)
    whole, part = MemoryOutput(plan), MemoryOutput(limited)
    run(source, BlurTranslator(32), whole)
    report = run(source, BlurTranslator(32), part)
    assert 0 < report.tiles == len(part.tiles) < len(whole.tiles)
    for tile, (pixels, mask) in part.tiles.items():
        wanted = TRIANGLE.mask(Block(6, tile.x, tile.y, 1, 1), clip)
        np.testing.assert_array_equal(mask, whole.tiles[tile][1] & wanted)
        np.testing.assert_array_equal(pixels[mask], whole.tiles[tile][0][mask])
    missing = {tile for tile in set(whole.tiles) - set(part.tiles) if whole.tiles[tile][1].any()}
    for tile in missing:
        assert not (whole.tiles[tile][1] & TRIANGLE.mask(Block(6, tile.x, tile.y, 1, 1), clip)).any()


def test_blocks_outside_the_area_are_never_read() -> None:
    reads: list[Block] = []

    class Noting(ArraySource):
        def read(self, block: Block) -> BlockImage:
            reads.append(block.with_margin(0))
            return super().read(block)

    corners = area((0, 0), (100, 0), (1500, 600), (1500, 700), (1490, 700))  # a thin line across
    plan = replace(PLAN, aoi=corners)
    source, output = noise(), MemoryOutput(plan)
    report = run(Noting(WINDOW, source.pixels, source.mask), Counting(), output)
    wanted = {tile for block in PLAN.blocks() for tile in block.tiles if corners.tiles(tile_range(block.core), 6).any()}
    assert {tile for block in reads for tile in block.tiles} == set(output.tiles) == wanted
    assert report.translated == len(reads) == plan.block_count < PLAN.block_count


def test_data_outside_the_area_translate_nothing() -> None:
    """A block that has data only where nobody wants it counts as empty, and its tiles are not written."""
    west = area((5, 5), (30, 5), (30, 700), (5, 700))
    translator, output = Counting(), MemoryOutput(replace(PLAN, block_span=2, aoi=west, clip=True))
    report = run(noise(empty_columns=1), translator, output)
    assert (report.translated, translator.batches, output.tiles) == (0, [], {})
    assert report.empty == 2


def test_an_area_goes_round_in_json() -> None:
    plan = replace(PLAN, aoi=TRIANGLE, clip=True)
    again = Plan.from_json(plan.to_json())
    assert again == plan
    assert len({plan.fingerprint, PLAN.fingerprint, replace(plan, clip=False).fingerprint}) == 3
    assert "(those in the area of interest) in 10 blocks" in str(plan)
