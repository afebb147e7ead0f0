"""The SQLite connection of a journal, shared by threads."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

from geo2map.ledger.schema import connect, journal_errors


class Database:
    """An open connection. Thread-safe; one process at a time.

    Attributes:
        path: the file.
        db: the connection; use it within `access`.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """
        Raises:
            OutputError: the file is missing or damaged.
        """
        self.path, self._lock, self._read_only = path, RLock(), read_only
        with self.access():
            self.db: sqlite3.Connection = connect(path, read_only=read_only)

    @contextmanager
    def access(self) -> Iterator[None]:
        """Exclusive use of the connection; SQLite errors become OutputError."""
        with self._lock, journal_errors(self.path, finished=self._read_only):
            yield

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One transaction, which also commits tiles spooled before."""
        with self.access():
            if not self.db.in_transaction:
                self.db.execute("BEGIN")
            try:
                yield
                self.db.execute("COMMIT")
            except BaseException:
                if self.db.in_transaction:
                    self.db.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the file; may be repeated."""
        with self._lock:
            self.db.close()
