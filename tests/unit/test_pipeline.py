"""The pipeline: what is called how often, and that a failure anywhere aborts the sink and surfaces as it was."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import shapely

from geo2map import grid
from geo2map.aoi import Aoi
from geo2map.errors import DeviceError, OutputError, SceneError
from geo2map.grid import PixelWindow, tile_range
from geo2map.grid.block import Block, BlockImage
from geo2map.plan import Plan
from geo2map.render.pipeline import READ_AHEAD, prepare, run
from geo2map.testing import ArraySource, BlurTranslator, IdentityTranslator, MemorySink
from geo2map.types import Batch

WINDOW = PixelWindow(256 * 8 + 10, 256 * 4, 256 * 14, 256 * 7 - 30)
PLAN = Plan(name="noise", maxzoom=6, minzoom=6, window=WINDOW, block_span=1, margin=32, fill_radius=32)


def noise(window: PixelWindow = WINDOW, empty_columns: int = 0) -> ArraySource:
    """Valid noise; the westernmost columns of tiles have no data."""
    rng = np.random.default_rng(0)
    mask = np.ones((window.height, window.width), dtype=np.bool_)
    mask[:, : max(0, empty_columns * 256 - window.left % 256)] = False
    return ArraySource(window, rng.integers(0, 256, (window.height, window.width, 3), dtype=np.uint8), mask)


class Counting:
    """A translator that notes the shapes of its batches."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, ...]] = []

    def translate(self, batch: Batch) -> Batch:
        self.batches.append(batch.shape)
        return 255 - batch


# What is written


def test_what_is_written_is_what_the_translator_made() -> None:
    source, sink = noise(), MemorySink()
    report = run(PLAN, source, Counting(), sink)
    assert (sink.committed, sink.aborted) == (True, False)
    assert report.tiles == len(sink.tiles) == 6 * 3
    for tile, (pixels, mask) in sink.tiles.items():
        expected = source.read(Block(6, tile.x, tile.y, 1, 1))
        np.testing.assert_array_equal(mask, expected.mask)
        np.testing.assert_array_equal(pixels[mask], 255 - expected.pixels[mask])


def test_without_a_translator_the_sources_own_pixels_are_written() -> None:
    source, sink = noise(), MemorySink()
    run(PLAN.untranslated(), source, None, sink)
    for tile, (pixels, _) in sink.tiles.items():
        np.testing.assert_array_equal(pixels, source.read(Block(6, tile.x, tile.y, 1, 1)).pixels)


@pytest.mark.parametrize("batch", [1, 2, 4, 100])
def test_empty_blocks_are_not_translated(batch: int) -> None:
    translator, sink = Counting(), MemorySink()
    report = run(PLAN, noise(empty_columns=2), translator, sink, batch=batch)
    assert (report.empty, report.translated, report.tiles) == (2 * 3, 4 * 3, 4 * 3)
    assert sum(shape[0] for shape in translator.batches) == 4 * 3
    assert max(shape[0] for shape in translator.batches) == min(batch, 4 * 3)
    assert {tile.x for tile in sink.tiles} == {10, 11, 12, 13}


def test_a_batch_holds_pictures_of_one_shape() -> None:
    translator = Counting()
    plan = replace(PLAN, block_span=4)  # 6 x 3 tiles from column 8, row 4: widths 4 and 2
    report = run(plan, noise(), translator, MemorySink(), batch=8)
    assert report.translated == 2
    assert translator.batches == [(1, 3 * 256 + 64, 4 * 256 + 64, 3), (1, 3 * 256 + 64, 2 * 256 + 64, 3)]


def test_only_the_blocks_asked_for() -> None:
    sink = MemorySink()
    blocks = list(PLAN.blocks())[3:5]
    seen: list[tuple[str, int, int]] = []
    run(PLAN, noise(), IdentityTranslator(), sink, blocks=blocks, progress=lambda *step: seen.append(step))
    assert set(sink.tiles) == {tile for block in blocks for tile in block.tiles}
    assert seen[-1] == ("blocks", 2, 2)


@pytest.mark.parametrize("batch", [1, 4])
def test_progress_rises_to_the_total(batch: int) -> None:
    seen: list[tuple[str, int, int]] = []
    here = threading.current_thread()

    def progress(stage: str, done: int, total: int) -> None:
        assert threading.current_thread() is here
        seen.append((stage, done, total))

    run(PLAN, noise(empty_columns=2), IdentityTranslator(), MemorySink(), batch=batch, progress=progress)
    counts = [done for _, done, _ in seen]
    assert counts == sorted(set(counts))
    assert {(stage, total) for stage, _, total in seen} == {("blocks", 18)}
    assert counts[-1] == 18


def test_the_network_sees_no_hole() -> None:
    """Within the fill's reach a hole has the rim's colours, beyond it the neutral one; the mask stays."""
    source = noise(empty_columns=1)
    source.pixels[...] = 200
    plan = replace(PLAN, neutral=(1, 2, 3))
    image = prepare(plan, source, Block(6, 9, 4, 1, 1, 32))  # east of the empty column
    assert image.block.margin == 32
    assert (image.pixels[40, :32] == 200).all()
    assert not image.mask[40, :32].any()
    far = prepare(replace(plan, margin=96), source, Block(6, 9, 4, 1, 1, 96))
    assert (far.pixels[120, :64] == (1, 2, 3)).all()


# What fails


class Failing(ArraySource, IdentityTranslator, MemorySink):
    """Source, translator or sink that fails at its n-th call of one method, from whatever thread."""

    def __init__(self, method: str, error: BaseException, at: int = 1) -> None:
        ArraySource.__init__(self, WINDOW, noise().pixels, noise().mask)
        MemorySink.__init__(self)
        calls, lock = [0], threading.Lock()
        original = getattr(self, method)

        def fail(*arguments: object) -> object:
            with lock:
                calls[0] += 1
                if calls[0] >= at:
                    raise error
            return original(*arguments)

        setattr(self, method, fail)


ERRORS = [
    ("read", SceneError("the disk went away")),
    ("translate", DeviceError("out of memory")),
    ("write", OutputError("disk full")),
    ("commit", OutputError("disk full")),
    ("translate", KeyboardInterrupt()),
    ("commit", KeyboardInterrupt()),
    ("read", ZeroDivisionError("a bug")),
]


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("at", [1, 5, 18])
@pytest.mark.parametrize(("method", "error"), ERRORS)
def test_a_failure_aborts_the_sink_and_surfaces(method: str, error: BaseException, at: int, batch: int) -> None:
    at = 1 if method == "commit" else -(-at // batch) if method == "translate" else at
    failing = Failing(method, error, at)
    threads = threading.active_count()
    with pytest.raises(type(error)) as caught:
        run(replace(PLAN, margin=0, fill_radius=0), failing, failing, failing, batch=batch)
    assert caught.value is error
    assert (failing.aborted, failing.committed) == (True, False)
    assert threading.active_count() == threads


def test_a_failing_progress_aborts_as_well() -> None:
    sink = MemorySink()

    def progress(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(PLAN, noise(), IdentityTranslator(), sink, progress=progress)
    assert sink.aborted


def test_reading_runs_only_a_little_ahead() -> None:
    """What waits is bounded, or a slow network would fill the memory with the scene."""
    reads: list[Block] = []

    class Noting(ArraySource):
        def read(self, block: Block) -> BlockImage:
            reads.append(block)
            return super().read(block)

    class Looking:
        done = 0

        def translate(self, batch: Batch) -> Batch:
            assert len(reads) <= self.done + len(batch) + 1 + READ_AHEAD  # one more shows that the batch is full
            self.done += len(batch)
            return batch

    source = noise()
    run(PLAN, Noting(source.window, source.pixels, source.mask), Looking(), MemorySink())
    assert len(reads) == 18


# An area of interest limits what is written, not what is read


def area(*points: tuple[float, float]) -> Aoi:
    """A polygon whose corners are pixels of `WINDOW`."""
    matrix = grid.window_transform(WINDOW, PLAN.maxzoom)
    return Aoi(shapely.make_valid(shapely.Polygon([matrix @ point for point in points])).wkt)


TRIANGLE = area((300, 100), (1200, 300), (500, 700))


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("span", [1, 2, 3])
def test_pixels_do_not_depend_on_the_area(clip: bool, span: int) -> None:
    """The blur shows every pixel that the network would not have seen."""
    source, whole, part = noise(), MemorySink(), MemorySink()
    source.mask[200:330, 500:640] = False
    plan = replace(PLAN, block_span=span)
    limited = replace(plan, window=TRIANGLE.cut(WINDOW, 6, clip, "noise"), aoi=TRIANGLE, clip=clip)
    run(plan, source, BlurTranslator(32), whole)
    report = run(limited, source, BlurTranslator(32), part)
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
    source, sink = noise(), MemorySink()
    report = run(plan, Noting(WINDOW, source.pixels, source.mask), Counting(), sink)
    wanted = {tile for block in PLAN.blocks() for tile in block.tiles if corners.tiles(tile_range(block.core), 6).any()}
    assert {tile for block in reads for tile in block.tiles} == set(sink.tiles) == wanted
    assert report.translated == len(reads) == plan.block_count < PLAN.block_count


def test_data_outside_the_area_translate_nothing() -> None:
    """A block that has data only where nobody wants it counts as empty, and its tiles are not written."""
    translator, sink = Counting(), MemorySink()
    west = area((5, 5), (30, 5), (30, 700), (5, 700))
    source = noise(empty_columns=1)
    report = run(replace(PLAN, block_span=2, aoi=west, clip=True), source, translator, sink)
    assert (report.translated, translator.batches, sink.tiles) == (0, [], {})
    assert report.empty == 2


def test_an_area_goes_round_in_json() -> None:
    plan = replace(PLAN, aoi=TRIANGLE, clip=True)
    again = Plan.from_json(plan.to_json())
    assert again == plan
    assert len({plan.fingerprint, PLAN.fingerprint, replace(plan, clip=False).fingerprint}) == 3
    assert "(those in the area of interest) in 10 blocks" in str(plan)
