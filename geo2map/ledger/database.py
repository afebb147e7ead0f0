"""One SQLite file of a journal: its connection, for any thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

from geo2map.ledger.schema import connect, journal_errors


class Database:
    """An open connection. Safe to use from several threads; one process at a time.

    Attributes:
        path: of the file.
        db: the connection, to be used within `access`.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """
        Raises:
            OutputError: there is none, or it is damaged.
        """
        self.path, self._lock, self._read_only = path, RLock(), read_only
        with self.access():
            self.db: sqlite3.Connection = connect(path, read_only=read_only)

    @contextmanager
    def access(self) -> Iterator[None]:
        """Exclusive use of the connection, with SQLite's errors as this package's."""
        with self._lock, journal_errors(self.path, finished=self._read_only):
            yield

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One transaction, which also commits what was spooled before."""
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
        """Lets go of the file; harmless when repeated."""
        with self._lock:
            self.db.close()
