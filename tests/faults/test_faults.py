"""Faults, each injected: kills, full disks, damaged reads, no memory, no permission, a loss of power."""

from __future__ import annotations

import errno
import os
import random
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geo2map.errors import Geo2MapError, OutputError
from geo2map.files import flushing
from geo2map.grid import Block
from geo2map.grid.block import BlockImage
from geo2map.ledger import clean_output, open_output
from geo2map.ledger.journal import Journal
from geo2map.pipeline.run import run
from geo2map.plan import Storage
from geo2map.testing import ArraySource, BlurTranslator, fake_job
from geo2map.tiles.store import FolderStore
from geo2map.types import Batch

sys.path.insert(0, str(Path(__file__).parent))
kill_anywhere = pytest.importorskip("kill_anywhere", reason="kills forked processes, as POSIX has them")

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes, as POSIX has them")
OUTPUTS = ["tiles", "map.tif"]


@pytest.fixture(scope="module")
def expected() -> dict[str, dict[str, bytes]]:
    """The bytes of undisturbed runs."""
    return {name: kill_anywhere.expected_of(name)[0] for name in OUTPUTS}


def attempt(out: Path, translator: Any = None, source: Any = None, **options: Any) -> Any:
    """A run of the small job."""
    job = fake_job(kill_anywhere.PLAN, Storage(minzoom=3), BlurTranslator(7))
    with open_output(out, job) as output:
        return run(source or kill_anywhere.SOURCE, translator or BlurTranslator(7), output, **options)


@pytest.mark.slow
def test_killed_anywhere_and_resumed() -> None:
    """A sample; docs/reliability.md has the command and the figures of a thousand points."""
    seed = random.randrange(10**6)
    print(f"kill_anywhere with seed {seed}")
    tally = kill_anywhere.kill_anywhere(OUTPUTS, every=37, at_random=6, seed=seed)
    assert tally.kills >= 12
    assert (tally.different, tally.redone) == (0, 0)


# A full disk


def failing(call: Callable[..., Any], at: int, error: OSError) -> Callable[..., Any]:
    """A function that fails at its n-th call and from then on."""
    count = [0]

    def wrapped(*arguments: Any, **keywords: Any) -> Any:
        count[0] += 1
        if count[0] >= at:
            raise error
        return call(*arguments, **keywords)

    return wrapped


@pytest.mark.parametrize("at", [1, 2, 7, 15])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_fails_at_some_tile(
    at: int, number: int, expected: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "tiles"
    with monkeypatch.context() as patch:
        error = OSError(number, os.strerror(number), str(out))
        patch.setattr(Path, "write_bytes", failing(Path.write_bytes, at, error))
        with pytest.raises(OutputError, match=os.strerror(number)):
            attempt(out)
    assert not out.exists()
    attempt(out)
    assert kill_anywhere.contents(out) == expected["tiles"]


@pytest.mark.parametrize("pages", [8, 12, 20, 40, 80])
@pytest.mark.parametrize("name", OUTPUTS)
def test_a_journal_that_may_not_grow(
    name: str, pages: int, expected: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite says that the disk is full, wherever that is."""
    out, opened = tmp_path / name, Journal.__init__

    def limited(self: Journal, path: Path, *, read_only: bool = False) -> None:
        opened(self, path, read_only=read_only)
        self.db.execute(f"PRAGMA max_page_count = {pages}")

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "__init__", limited)
        with suppress(OutputError):  # the largest limits do not limit
            attempt(out)
    if not out.exists():
        attempt(out)
    assert kill_anywhere.contents(out) == expected[name]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 400 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    if (
        os.name == "nt"
        or os.geteuid()
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", place], check=False, capture_output=True
        ).returncode
    ):
        pytest.skip("needs to mount a small file system, which only root may")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_disk_that_fills_up(name: str, small_disk: Path) -> None:
    out = small_disk / name
    noise = ArraySource(kill_anywhere.WINDOW, _noise(), np.ones(_noise().shape[:2], dtype=np.bool_))
    with pytest.raises(OutputError, match="full"):
        attempt(out, translator=Unchanged(), source=noise)
    assert not out.exists()
    clean_output(out)
    assert [path for path in small_disk.iterdir() if not path.name.endswith(".lock")] == []


def _noise() -> np.ndarray:
    window = kill_anywhere.WINDOW
    return np.random.default_rng(1).integers(0, 256, (window.height, window.width, 3), dtype=np.uint8)


class Unchanged(BlurTranslator):
    """Noise stays noise, which no format makes small."""

    def __init__(self) -> None:
        super().__init__(radius=0)


# Reading and translating


class Flaky(ArraySource):
    """A source that cannot be read now and then, or gives less than it should."""

    def __init__(self, every: int, error: BaseException) -> None:
        source = kill_anywhere.SOURCE
        super().__init__(source.window, source.pixels, source.mask)
        object.__setattr__(self, "state", [0, every, error])

    def read(self, block: Block) -> BlockImage:
        self.state[0] += 1  # type: ignore[attr-defined]
        if self.state[0] % self.state[1] == 0:  # type: ignore[attr-defined]
            raise self.state[2]  # type: ignore[attr-defined]
        return super().read(block)


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_read_that_fails_in_the_middle(name: str, expected: dict[str, Any], tmp_path: Path) -> None:
    from geo2map.errors import SceneError

    with pytest.raises(SceneError, match="cut short") as caught:
        attempt(tmp_path / name, source=Flaky(3, SceneError("the answer was cut short")))
    assert "run the same command again" in caught.value.__notes__[0]
    report = attempt(tmp_path / name)
    assert report.resumed >= 1
    assert kill_anywhere.contents(tmp_path / name) == expected[name]


@pytest.mark.parametrize("name", OUTPUTS)
def test_blocks_left_out_are_taken_up_by_a_later_run(name: str, expected: dict[str, Any], tmp_path: Path) -> None:
    from geo2map.errors import SceneError

    report = attempt(tmp_path / name, source=Flaky(3, SceneError("no answer")), on_error="skip")
    assert [failure["error"] for failure in report.failed] == ["no answer"]
    again = attempt(tmp_path / name)
    assert again.translated + again.empty == 1
    assert kill_anywhere.contents(tmp_path / name) == expected[name]


class Exhausted(BlurTranslator):
    """Runs out of memory at the third block."""

    def __init__(self) -> None:
        super().__init__(radius=7)
        object.__setattr__(self, "calls", [0])

    def translate_pixels(self, batch: Batch, margin: int = 0) -> Batch:
        self.calls[0] += 1  # type: ignore[attr-defined]
        if self.calls[0] == 3:  # type: ignore[attr-defined]
            raise MemoryError("cannot allocate")
        return super().translate_pixels(batch, margin)


def test_no_memory_left(expected: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(MemoryError) as caught:
        attempt(tmp_path / "tiles", translator=Exhausted())
    assert "are kept" in caught.value.__notes__[0]
    attempt(tmp_path / "tiles")
    assert kill_anywhere.contents(tmp_path / "tiles") == expected["tiles"]


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_place_that_may_not_be_written(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(OutputError, match="Permission denied"):
        attempt(tmp_path / "new" / name)
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


# A loss of power


@pytest.mark.parametrize("at_once", [True, False])
def test_tiles_are_on_the_disk_before_their_record(
    at_once: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the journal says survives: every tile's file is flushed, and its folder, before the record is made."""
    flushed: set[tuple[int, int]] = set()
    written: list[Path] = []
    fsync, put, record = os.fsync, FolderStore.put, Journal.record

    def note_fsync(handle: int) -> None:
        status = os.fstat(handle)
        flushed.add((status.st_ino, 0 if stat.S_ISDIR(status.st_mode) else status.st_size))
        fsync(handle)

    def note_put(self: FolderStore, tile: Any, data: bytes) -> None:
        put(self, tile, data)
        written.append(self.path / str(tile.z) / str(tile.x) / f"{tile.y}{self.suffix}")

    def check_record(self: Journal, done: Any, tiles: Any) -> None:
        for path in written:
            status = path.stat()
            assert (status.st_ino, status.st_size) in flushed
            assert (path.parent.stat().st_ino, 0) in flushed
        record(self, done, tiles)

    def note_all(handle: int) -> None:
        """Everything that was written is flushed, where it is all of one file system."""
        for path in written:
            status = path.stat()
            flushed.update({(status.st_ino, status.st_size), (path.parent.stat().st_ino, 0)})
        flush_all(handle)

    if not at_once:
        monkeypatch.setattr(flushing, "file_system", lambda _: "")
    flush_all = flushing.sync_file_system
    monkeypatch.setattr(flushing, "sync_file_system", note_all)
    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(FolderStore, "put", note_put)
    monkeypatch.setattr(Journal, "record", check_record)
    attempt(tmp_path / "tiles")
    assert len(written) > 10


def test_a_torn_journal_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(MemoryError):
        attempt(tmp_path / "tiles", translator=Exhausted())
    journal = tmp_path / ".tiles.partial" / "journal.sqlite"
    journal.write_bytes(journal.read_bytes()[:3000])
    with pytest.raises(Geo2MapError, match="damaged"):
        attempt(tmp_path / "tiles")
    assert clean_output(tmp_path / "tiles")
    attempt(tmp_path / "tiles")
