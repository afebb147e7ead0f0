"""Where the suite's time goes: processor seconds of each test and its children, which a busy machine leaves alone.

    python tests/benchmarks/suite.py -n 2 --dist worksteal
    python tests/benchmarks/suite.py -m "not slow" tests/unit

Arguments are pytest's. Prints the dearest files and tests, and tests over two seconds that are not marked as slow.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

LOG = "GEO2MAP_SUITE_TIMES"
SLOW = 2.0
"""Seconds from which CONTRIBUTING.md wants a mark."""


def spent() -> tuple[float, float]:
    """Seconds of the clock, and of the processor in this process and in its children that have ended."""
    times = os.times()
    return time.perf_counter(), times.user + times.system + times.children_user + times.children_system


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Adds a line for the test; fixtures of a module or session count for the test that needed them first."""
    before = spent()
    done = yield
    clock, processor = (now - then for now, then in zip(spent(), before, strict=True))
    line = [item.nodeid, round(processor, 3), round(clock, 3), item.get_closest_marker("slow") is not None]
    with Path(os.environ[LOG]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    return done


def say(lines: list[list[Any]]) -> None:
    files, tests = Counter[str](), defaultdict[str, int](int)
    for name, processor, _, _ in lines:
        files[name.split("::")[0]] += processor
        tests[name.split("::")[0]] += 1
    total, quick = (sum(line[1] for line in some) for some in (lines, [line for line in lines if not line[3]]))
    print(f"\n{len(lines)} tests, {total:.0f} s of processor; {quick:.0f} s of it not marked slow")
    for name, processor in files.most_common(25):
        print(f"{processor:8.1f} s {tests[name]:5d} tests  {name}")
    print()
    for name, processor, clock, slow in sorted(lines, key=lambda line: -line[1])[:60]:
        print(
            f"{processor:8.1f} s ({clock:6.1f} by the clock) {'' if slow or processor < SLOW else 'NOT MARKED '}{name}"
        )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "times.jsonl"
        here = str(Path(__file__).parent)
        paths = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, LOG: str(log), "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "pytest", "-q", "-p", Path(__file__).stem, *sys.argv[1:]]
        code = subprocess.run(command, env=environment, check=False).returncode
        say([json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else [])
    sys.exit(code)


if __name__ == "__main__":
    main()
