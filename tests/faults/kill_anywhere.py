"""Kills small runs at every step that touches the disk and at random moments, resumes them, and compares the bytes.

    python tests/faults/kill_anywhere.py --every 3 --random 40 --packaged 20

Every kind of output takes its turn; `--kinds` names some of them. Each attempt is a forked process that is killed
(SIGKILL) one to three times; the run after that must end with the very bytes of a run that nobody disturbed, and must
not translate again what the journal said was done.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from geo2map.errors import OutputError
from geo2map.formats.geotiff import write as geotiff
from geo2map.grid import PixelWindow
from geo2map.grid.raster import RasterGrid
from geo2map.ledger import OutputOptions, open_output
from geo2map.ledger import journal as journals
from geo2map.ledger.state import Stage
from geo2map.pipeline.run import run
from geo2map.plan import Plan, Storage
from geo2map.scene import View
from geo2map.testing import ArraySource, BlurTranslator, fake_job

PARKS = (("land", (200, 190, 170)), ("park", (90, 160, 80)), ("water", (110, 150, 220)))
DEGREES = RasterGrid("EPSG:4326", (0.03, 0.0, -134.8, 0.0, -0.005, 82.7), 720, 690)
KINDS: dict[str, dict[str, Any]] = {
    "tiles": {},
    "map.tif": {},
    "map.mbtiles": {},
    "map.pmtiles": {},
    "tms": {"scheme": "tms"},
    "lossy": {"format": "webp"},
    "layered": {"layers": ("source", "classes"), "legend": PARKS},
    "layered.pmtiles": {"layers": ("source",)},
    "class-tiles": {"classes": True, "legend": PARKS},
    "classes.tif": {"classes": True, "legend": PARKS},
    "own-grid.tif": {"grid": DEGREES},
    "features.gpkg": {"vector": True, "legend": PARKS},
    "features.fgb": {"vector": True, "legend": PARKS},
    "vector": {"vector": True, "legend": PARKS},
    "vector.pmtiles": {"vector": True, "legend": PARKS},
    "redrawn": {"redraw": True, "legend": PARKS, "layers": ("source",)},
    "redrawn.mbtiles": {"redraw": True, "legend": PARKS},
}
"""How the tiles of each output are stored, by its name."""

WINDOW = PixelWindow(256 * 8 + 10, 256 * 4, 256 * 12 - 40, 256 * 8 - 30)
PLAN = Plan(name="noise", view=View(6), window=WINDOW, block_span=2, margin=16, fill_radius=16)
STEPS = ("write_bytes", "replace", "rename", "unlink", "mkdir", "rmdir")
STATEMENTS = ("COMMIT", "BEGIN", "INSERT", "DELETE", "UPDATE", "CREATE", "ATTACH")


class SharedArray(ArraySource):
    """A source that several threads read at once, strips of blocks."""

    def another(self) -> SharedArray:
        return self

    def is_empty(self, window: PixelWindow) -> bool:
        there = window.intersection(self.window)
        return there.empty or not self.mask[there.slices(self.window)].any()

    def close(self) -> None:
        """Nothing is open."""


def source() -> SharedArray:
    """Noise with a block that is empty."""
    rng = np.random.default_rng(0)
    mask = np.ones((WINDOW.height, WINDOW.width), dtype=np.bool_)
    mask[: 2 * 256, : 2 * 256 - 10] = False
    pixels = rng.integers(0, 256, (WINDOW.height // 8 + 1, WINDOW.width // 8 + 1, 3), dtype=np.uint8)
    return SharedArray(WINDOW, pixels.repeat(8, 0).repeat(8, 1)[: WINDOW.height, : WINDOW.width], mask)


SOURCE = source()


def render(out: Path, overwrite: bool = False) -> int:
    """A whole run in this process; how many blocks were done before."""
    job = fake_job(PLAN, Storage(minzoom=3, **KINDS[out.name]), BlurTranslator(7))
    with open_output(out, job, OutputOptions(overwrite=overwrite)) as output:
        return run(SOURCE, BlurTranslator(7), output).resumed


def resume(out: Path) -> int:
    """The run after a kill: one that was killed when all was published finds the output finished."""
    try:
        return render(out)
    except OutputError:
        if out.exists():
            return 0
        raise


@dataclass
class Steps:
    """Counts steps that touch the disk, and kills this process at one of them.

    Attributes:
        at: the step to be killed at, None never.
        after: whether the step is still made (writes by half otherwise).
    """

    at: int | None = None
    after: bool = False
    count: int = 0
    names: list[str] = field(default_factory=list)

    def step(self, name: str) -> bool:
        """Counts; True where this is the one."""
        self.count += 1
        self.names.append(name)
        return self.count == self.at

    def wrap(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **keywords: Any) -> Any:
            if not self.step(name):
                return call(*arguments, **keywords)
            if self.after:
                call(*arguments, **keywords)
            elif name == "write_bytes":
                call(arguments[0], arguments[1][: len(arguments[1]) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
            raise AssertionError

        return wrapped

    def trace(self, statement: str) -> None:
        if statement.startswith(STATEMENTS) and self.step(statement.split()[0]):
            os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def counted(steps: Steps) -> Iterator[None]:
    """Within, every step of this process is counted."""
    saved = {name: getattr(Path, name) for name in STEPS}
    connect, fsync, read, lay_out = sqlite3.connect, os.fsync, geotiff._Level.read, geotiff.copy_as_cog

    def traced(*arguments: Any, **keywords: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **keywords)
        connection.set_trace_callback(steps.trace)
        return connection

    try:
        for name, call in saved.items():
            setattr(Path, name, steps.wrap(name, call))
        journals.sqlite3.connect = traced  # type: ignore[assignment]
        os.fsync = steps.wrap("fsync", fsync)
        geotiff._Level.read = steps.wrap("block", read)  # type: ignore[method-assign]
        geotiff.copy_as_cog = steps.wrap("cog", lay_out)
        yield
    finally:
        for name, call in saved.items():
            setattr(Path, name, call)
        journals.sqlite3.connect, os.fsync = connect, fsync
        geotiff._Level.read, geotiff.copy_as_cog = read, lay_out  # type: ignore[method-assign]


def count_steps(out: Path) -> list[str]:
    """The steps of an undisturbed run."""
    steps = Steps()
    with counted(steps):
        render(out)
    return steps.names


def killed(out: Path, *, at: int | None = None, after: bool = False, seconds: float | None = None) -> bool:
    """Runs in a forked process that is killed at a step or after some seconds; False where it ended before."""
    child = os.fork()
    if not child:
        try:
            with counted(Steps(at, after)):
                render(out, overwrite=False)
            os._exit(0)
        except BaseException:  # a run that finds the output finished is fine
            os._exit(1)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def contents(out: Path) -> dict[str, bytes]:
    """Every byte of an output, and the names of whatever lies beside it."""
    # a lock that a killed process left is empty and held by nobody: the next run takes it over
    found = [path for path in out.parent.iterdir() if not path.name.endswith(".lock")]
    beside = {path.name: path.read_bytes() if path.is_file() else b"" for path in found}
    if out.is_file():
        return beside
    return beside | {p.relative_to(out).as_posix(): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def blocks_done(out: Path) -> int:
    """How many blocks the journal of an interrupted run says are done."""
    path = out.with_name(f".{out.name}.partial") / "journal.sqlite"
    try:
        journal = journals.Journal(path)
    except Exception:  # none, or not begun
        return 0
    try:
        done = sum(record.pending_reason is None for record in journal.blocks().values())
        return done if journal.stage is Stage.MAKING else 0
    finally:
        journal.close()


@dataclass
class Tally:
    """What came of it."""

    points: int = 0
    kills: int = 0
    different: int = 0
    done: int = 0
    redone: int = 0

    def attempt(self, expected: dict[str, bytes], name: str, kills: list[dict[str, Any]]) -> None:
        """One output, killed as told, resumed and compared."""
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / name
            for kill in kills:
                self.kills += killed(out, **kill)
            done = blocks_done(out)
            if not out.exists() or out.with_name(f".{name}.partial").exists():
                self.redone += max(0, done - resume(out))
            self.done += done
            self.points += 1
            if self.points % 100 == 0:
                print(self, flush=True)
            if contents(out) != expected:
                self.different += 1
                print("differs:", name, kills, sorted(set(contents(out)) ^ set(expected))[:5])


def expected_of(name: str) -> tuple[dict[str, bytes], list[str]]:
    """The bytes and the steps of an undisturbed run."""
    with tempfile.TemporaryDirectory() as folder:
        steps = count_steps(Path(folder) / name)
        return contents(Path(folder) / name), steps


def kill_anywhere(names: list[str], every: int, at_random: int, seed: int = 0) -> Tally:
    """Every `every`-th step of a run, before and after it, and random moments with one to three kills."""
    rng, tally = random.Random(seed), Tally()
    for name in names:
        expected, steps = expected_of(name)
        for at in range(rng.randint(1, every), len(steps) + 1, every):
            for after in (False, True):
                tally.attempt(expected, name, [{"at": at, "after": after}])
        started = time.perf_counter()
        expected_of(name)
        length = time.perf_counter() - started
        for _ in range(-(-at_random // len(names))):
            kills = [{"seconds": rng.uniform(0, length)} for _ in range(rng.randint(1, 3))]
            tally.attempt(expected, name, kills)
        print(f"{name}: {len(steps)} steps;", tally, flush=True)
    return tally


def kill_the_command(count: int, seed: int = 0) -> Tally:
    """`geo2map render` with the packaged model, killed at random moments."""
    from geo2map.demo import make_town

    rng, tally = random.Random(seed), Tally()
    with tempfile.TemporaryDirectory() as folder:
        scene = Path(folder) / "town.tif"
        make_town(scene, size=1000, seed=2)
        for name in ("tiles", "map.tif"):
            whole = Path(folder) / f"whole-{name}" / name
            started = time.perf_counter()
            subprocess.run(_command(scene, whole), check=True, capture_output=True)
            length = time.perf_counter() - started
            for _ in range(count // 2):
                out = Path(folder) / "killed" / name
                for _ in range(rng.randint(1, 2)):
                    process = subprocess.Popen(
                        _command(scene, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                    )
                    time.sleep(rng.uniform(0.3, 1.0) * length)
                    process.kill()
                    tally.kills += process.wait() == -signal.SIGKILL
                if not out.exists() or out.with_name(f".{name}.partial").exists():
                    subprocess.run(_command(scene, out), check=True, capture_output=True)
                tally.points += 1
                tally.different += contents(out) != contents(whole)
                shutil.rmtree(out.parent)
    return tally


def _command(scene: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "geo2map_cli", "render", str(scene), "--out", str(out), "--block-span", "1"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="every how manieth step")
    parser.add_argument("--random", type=int, default=600, help="random moments, shared among the kinds")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), metavar="KIND", help="of output")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--packaged", type=int, default=0, help="attempts with the command and the packaged model")
    asked = parser.parse_args()
    found = kill_anywhere(asked.kinds, asked.every, asked.random, asked.seed)
    print("cheap translator:", found)
    if asked.packaged:
        print("packaged model:", kill_the_command(asked.packaged, asked.seed))
    sys.exit(bool(found.different or found.redone))


if __name__ == "__main__":
    main()
