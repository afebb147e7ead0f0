"""How many threads there are."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from geo2map import threads
from geo2map.grid import Block, BlockImage, PixelWindow
from geo2map.pipeline.run import run
from geo2map.plan import Plan
from geo2map.protocols import PixelTranslator
from geo2map.scene import View
from geo2map.testing import ArraySource, IdentityTranslator, MemoryOutput, cropped
from geo2map.types import Batch

PACKAGE = Path(threads.__file__).parent


@pytest.mark.parametrize(
    ("quotas", "count"),
    [
        (((0, 0), (0, 0)), 8),
        (((250_000, 100_000), (0, 0)), 3),
        (((0, 0), (50_000, 100_000)), 1),
        (((-1, 9), (0, 0)), 8),
    ],
)
def test_threads_honour_the_containers_limit(
    quotas: tuple[tuple[int, int], tuple[int, int]], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.delenv("GEO2MAP_THREADS", raising=False)
    monkeypatch.setattr(threads, "_cgroup2", lambda: quotas[0])
    monkeypatch.setattr(threads, "_cgroup1", lambda: quotas[1])
    assert threads.available_threads() == count


@pytest.mark.parametrize(("asked", "count"), [("2", 2), ("64", 8), ("0", 8), ("", 8), ("many", 8), ("-1", 8)])
def test_the_environment_may_ask_for_fewer(asked: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(threads, "_cgroup2", lambda: (0, 0))
    monkeypatch.setattr(threads, "_cgroup1", lambda: (0, 0))
    monkeypatch.setenv("GEO2MAP_THREADS", asked)
    assert threads.available_threads() == count


# A budget


def test_a_budget_of_one_starts_no_thread() -> None:
    with threads.Budget(1).pool(8, "work") as pool:
        assert pool.submit(threading.get_ident).result() == threading.get_ident()
        assert list(pool.map(lambda value: (value, threading.get_ident()), [1, 2])) == [
            (1, threading.get_ident()),
            (2, threading.get_ident()),
        ]


def test_an_error_of_a_budget_of_one_belongs_to_the_work_that_failed() -> None:
    with threads.Budget(1).pool(8, "work") as pool:
        failed, done = pool.submit(int, "x"), pool.submit(int, "1")
        assert done.result() == 1
        with pytest.raises(ValueError, match="invalid literal"):
            failed.result()
        with pytest.raises(KeyboardInterrupt):  # Ctrl-C is nobody's result
            pool.submit(_interrupted)


def _interrupted() -> None:
    raise KeyboardInterrupt


def test_a_stage_has_no_more_threads_than_the_budget() -> None:
    running, most, lock = [0], [0], threading.Lock()

    def work(_: int) -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.01)
        with lock:
            running[0] -= 1

    for budget, stage, expected in ((3, 16, 3), (8, 2, 2)):
        most[0] = 0
        assert threads.Budget(budget).share(stage) == expected
        with threads.Budget(budget).pool(stage, "work") as pool:
            list(pool.map(work, range(20)))
        assert most[0] <= expected


class Noting(PixelTranslator):
    """A translator for one processor that notes in which thread it is called."""

    budget = threads.Budget(1)

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def translate_pixels(self, batch: Batch, margin: int = 0) -> Batch:
        self.seen.add(threading.get_ident())
        return cropped(batch, margin)


def test_with_one_processor_reading_translating_and_encoding_take_turns() -> None:
    """All of them in the calling thread; the tiles are those of several threads."""
    window = PixelWindow(2048, 1024, 2048 + 1024, 1024 + 512)
    plan = Plan(name="noise", view=View(6), window=window, block_span=1, margin=32, fill_radius=32)
    pixels = np.random.default_rng(0).integers(0, 256, (512, 1024, 3), dtype=np.uint8)
    seen: set[int] = set()

    class Source(ArraySource):
        def read(self, block: Block) -> BlockImage:
            seen.add(threading.get_ident())
            return super().read(block)

    source, translator = Source(window, pixels, np.ones((512, 1024), np.bool_)), Noting()
    alone, several = MemoryOutput(plan), MemoryOutput(plan)
    run(source, translator, alone)
    assert seen == translator.seen == {threading.get_ident()}
    run(source, IdentityTranslator(), several)
    assert alone.store.data == several.store.data


def test_threads_start_in_few_places() -> None:
    """Every pool is made by `geo2map.threads`, so that the budget bounds it."""
    places = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if re.search(r"ThreadPoolExecutor\(|\bThread\(", path.read_text(encoding="utf-8"))
    }
    assert places == {"threads.py", "live/run.py"}  # the latter opens a browser
