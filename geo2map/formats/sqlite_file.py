"""Opening any SQLite file read-only, without writing beside it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from geo2map.errors import TileSetError

_MAGIC = b"SQLite format 3\0"
_WAL = 2
"""Header version of a file in WAL mode."""
_PATIENCE = 5.0
"""Seconds to wait for another program's lock."""
_UNFINISHED = frozenset({sqlite3.SQLITE_READONLY_ROLLBACK, sqlite3.SQLITE_READONLY_RECOVERY})
_LOCKED = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


def open_read_only(path: Path) -> sqlite3.Connection:
    """A connection for any thread, one at a time.

    SQLite writes two files beside a file in WAL mode even for a reader. Without these files, nobody is writing, so the
    file is opened as immutable, which also works on read-only disks.

    Raises:
        TileSetError: not an SQLite file, truncated, or its last changes are in an unreadable journal.
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
                f"{path}: its last changes are in {log.name}, which cannot be read here ({error}); copy both to a "
                "writable folder"
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
    """Refuse a file that is not SQLite or truncated; returns whether it is in WAL mode."""
    if not path.is_file():
        raise TileSetError(f"{path}: not found; check the path")
    try:
        with path.open("rb") as file:
            head = file.read(100)
            size = path.stat().st_size
    except OSError as error:
        raise TileSetError(f"{path}: cannot be read ({error.strerror or error}); check the file") from error
    if len(head) < 100 or not head.startswith(_MAGIC):
        raise TileSetError(f"{path}: not an MBTiles file (not an SQLite database); check the path or create it again")
    page = int.from_bytes(head[16:18], "big")
    expected = (65536 if page == 1 else page) * int.from_bytes(head[28:32], "big")
    if head[24:28] == head[92:96] and size < expected:
        raise TileSetError(f"{path}: truncated ({size} of {expected} bytes); copy or create it again")
    return head[19] == _WAL


@contextmanager
def read_errors(path: Path) -> Iterator[None]:
    """Turn errors of SQLite into TileSetError."""
    try:
        yield
    except sqlite3.Error as error:
        raise TileSetError(f"{path}: {_cause(path, error)}") from error


def _cause(path: Path, error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", 0) or 0
    journal = path.with_name(f"{path.name}-journal")
    if code & 0xFF in _LOCKED:
        return "locked by another program that writes to it; end that program, or copy the file when it is done"
    if code in _UNFINISHED or (code & 0xFF in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN) and journal.exists()):
        return (
            f"not closed by the program that wrote it, with unfinished changes in {journal.name}; open it once with "
            "that program, or with sqlite3, to roll them back"
        )
    if code & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY):
        return f"cannot be read (SQLite: {error}); check the file and its folder"
    if "no such table" in str(error) or "no such column" in str(error):
        return f"an SQLite database without the tables of MBTiles ({error}); check the path"
    return f"not a complete MBTiles file (SQLite: {error}); create it again"
