"""The tables of a journal, and SQLite's errors about them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from geo2map.errors import Geo2MapError, OutputError

TABLES = {
    "meta": "key TEXT PRIMARY KEY, value TEXT NOT NULL",
    "blocks": "y INTEGER, x INTEGER, inputs TEXT NOT NULL, tiles INTEGER NOT NULL, open TEXT, PRIMARY KEY (y, x)",
    "tiles": "z INTEGER, x INTEGER, y INTEGER, digest BLOB NOT NULL, PRIMARY KEY (z, x, y)",
}
"""What every journal holds; a finished set of tiles keeps these."""
WORKING = {
    "removed": "z INTEGER, x INTEGER, y INTEGER, PRIMARY KEY (z, x, y)",
    "data": "z INTEGER, x INTEGER, y INTEGER, data BLOB NOT NULL, PRIMARY KEY (z, x, y)",
}
"""What only a run in progress needs: tiles that are to go, and tiles without a folder of their own."""


def create_tables(db: sqlite3.Connection, tables: Mapping[str, str]) -> None:
    """Makes empty tables."""
    for name, columns in tables.items():
        rowid = "" if name == "data" else " WITHOUT ROWID"  # long rows are better off outside the key's tree
        db.execute(f"CREATE TABLE {name} ({columns}){rowid}")


@contextmanager
def journal_errors(path: Path) -> Iterator[None]:
    """Turns SQLite's errors about a journal into one sentence.

    Raises:
        OutputError: in their place.
    """
    try:
        yield
    except Geo2MapError:
        raise
    except (sqlite3.DatabaseError, ValueError, KeyError, TypeError) as error:
        text = str(error)
        if "full" in text:
            raise OutputError(f"{path} cannot be written: the disk is full; free some space and run again") from error
        if "readonly" in text or "unable to open" in text:
            raise OutputError(f"{path} cannot be opened for writing ({text}); check the folder") from error
        raise OutputError(f"{path} is damaged ({text}): start anew (resume=False)", option="resume") from error


def copy_records(db: sqlite3.Connection, part: Path, schema: str) -> None:
    """Copies what another journal says of its blocks and tiles, in one transaction.

    Args:
        schema: which of the connection's files takes them, e.g. "main".
    """
    db.execute("ATTACH ? AS part", (f"{part.resolve().as_uri()}?immutable=1",))
    try:
        db.execute("BEGIN")
        for name in ("blocks", "tiles"):
            db.execute(f"INSERT OR REPLACE INTO {schema}.{name} SELECT * FROM part.{name}")
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")
        db.execute("DETACH part")
