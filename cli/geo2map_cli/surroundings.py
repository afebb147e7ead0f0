"""Limits of the system, and errors that it causes."""

from __future__ import annotations

import errno
import sqlite3
import sys
from contextlib import suppress

from geo2map.errors import TOO_MANY_FILES, Geo2MapError, SetupError

_MANY = 65536
DISK_FAULTS = frozenset(
    {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_BUSY}
)
"""SQLite's primary result codes for faults of the disk."""


def raise_file_limit() -> None:
    """Raises the soft limit of open files: many systems start with 1024, and each scene is one."""
    with suppress(ImportError, OSError, ValueError):  # Windows has no such limit
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = _MANY if hard == resource.RLIM_INFINITY else min(hard, _MANY)
        if 0 <= soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def explain(error: Exception) -> Geo2MapError | None:
    """A library's error that the system has caused, as one of ours; None for any other."""
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return SetupError(TOO_MANY_FILES)
    if isinstance(error, sqlite3.OperationalError) and getattr(error, "sqlite_errorcode", 0) & 0xFF in DISK_FAULTS:
        return SetupError(f"SQLite cannot go on ({error}); check that the disk has space and is writable")
    if type(error).__module__.startswith("rasterio") and "rasterio" in sys.modules:
        from geo2map.grid.mercator import web_mercator

        try:
            web_mercator()
        except SetupError as fault:
            return fault
    return None
