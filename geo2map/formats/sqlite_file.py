"""Opening somebody's SQLite file for reading: nothing is written beside it, every hindrance is one sentence."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from geo2map.errors import TileSetError

_MAGIC = b"SQLite format 3\0"
_WAL = 2
"""The header's version of a file in WAL mode."""
_PATIENCE = 5.0
"""Seconds to wait for another program's lock."""
_UNFINISHED = frozenset({sqlite3.SQLITE_READONLY_ROLLBACK, sqlite3.SQLITE_READONLY_RECOVERY})
_LOCKED = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


def open_read_only(path: Path) -> sqlite3.Connection:
    """A connection for any thread, one at a time.

    A file in WAL mode makes SQLite write two files beside it even for a reader. Where none lie there, nobody writes and
    the file is whole, so it is opened as one that does not change: read-only disks then do, too.

    Raises:
        TileSetError: not an SQLite file, cut short, or its last changes lie in a journal that cannot be read here.
    """
    in_wal_mode = _require_whole(path)
    log, index = (path.with_name(f"{path.name}-{ending}") for ending in ("wal", "shm"))
    if in_wal_mode and not log.exists() and not index.exists():
        return _connect(path, "immutable=1")
    try:
        return _connect(path, "mode=ro")
    except sqlite3.Error as error:
        if not in_wal_mode:
            raise
        if log.exists() and log.stat().st_size:
            raise TileSetError(
                f"{path} has its last changes in {log.name}, which cannot be read here ({error}): copy both to a "
                "folder that you may write to"
            ) from error
        return _connect(path, "immutable=1")


def _connect(path: Path, how: str) -> sqlite3.Connection:
    address = f"{path.resolve().as_uri()}?{how}"
    database = sqlite3.connect(address, uri=True, check_same_thread=False, timeout=_PATIENCE)
    try:
        database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        database.close()
        raise
    return database


def _require_whole(path: Path) -> bool:
    """Refuses what is not an SQLite file, or shorter than its first page states; whether it is in WAL mode."""
    if not path.is_file():
        raise TileSetError(f"there is no file {path}: check the path")
    try:
        with path.open("rb") as file:
            head = file.read(100)
            size = path.stat().st_size
    except OSError as error:
        raise TileSetError(f"{path} cannot be read ({error.strerror or error}): check the file") from error
    if len(head) < 100 or not head.startswith(_MAGIC):
        raise TileSetError(
            f"{path} is not an MBTiles file (it is not an SQLite database): check the path or make it again"
        )
    page = int.from_bytes(head[16:18], "big")
    expected = (65536 if page == 1 else page) * int.from_bytes(head[28:32], "big")
    if head[24:28] == head[92:96] and size < expected:
        raise TileSetError(f"{path} is cut short ({size} of {expected} bytes): copy it again or make it again")
    return head[19] == _WAL


@contextmanager
def read_errors(path: Path) -> Iterator[None]:
    """SQLite's errors as one sentence by cause.

    Raises:
        TileSetError: always in place of SQLite's own.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise TileSetError(f"{path} {_complaint(path, error)}") from error


def _complaint(path: Path, error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", 0) or 0
    journal = path.with_name(f"{path.name}-journal")
    if code & 0xFF in _LOCKED:
        return "is locked by another program that writes to it: end that program, or copy the file when it is done"
    if code in _UNFINISHED or (code & 0xFF in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN) and journal.exists()):
        return (
            f"was not closed by the program that wrote it, whose unfinished changes lie in {journal.name}: open it "
            "once with that program, or with sqlite3, to take them back"
        )
    if code & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY):
        return f"cannot be read (SQLite: {error}): check the file and its folder"
    if "no such table" in str(error) or "no such column" in str(error):
        return f"is an SQLite database without the tables of MBTiles ({error}): check the path"
    return f"is not a complete MBTiles file (SQLite: {error}): make it again"
