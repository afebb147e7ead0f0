"""How many threads there are."""

from __future__ import annotations

import pytest

from geo2map import threads


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
