"""Tables of a journal, and errors of SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from geo2map.errors import Geo2MapError, OutputError
from geo2map.pipeline.reading import BlockKey
from geo2map.plan.job import Job

_PLACE = "layer TEXT, z INTEGER, x INTEGER, y INTEGER"
_KEY = "PRIMARY KEY (layer, z, x, y)"
TABLES = {
    "meta": "key TEXT PRIMARY KEY, value TEXT NOT NULL",
    "blocks": "y INTEGER, x INTEGER, inputs TEXT NOT NULL, tiles INTEGER NOT NULL, pending TEXT, PRIMARY KEY (y, x)",
    "tiles": f"{_PLACE}, digest BLOB NOT NULL, {_KEY}",
    "doubt": "z INTEGER, x INTEGER, y INTEGER, judged INTEGER NOT NULL, doubtful INTEGER NOT NULL, "
    "total INTEGER NOT NULL, PRIMARY KEY (z, x, y)",
}
"""Tables of every journal; a finished output keeps these."""
WORKING = {"removed": f"{_PLACE}, {_KEY}", "data": f"{_PLACE}, data BLOB NOT NULL, {_KEY}"}
"""Tables of a run in progress: tiles to be removed, and spooled tiles of single-file outputs."""


def create_tables(db: sqlite3.Connection, tables: Mapping[str, str]) -> None:
    for name, columns in tables.items():
        rowid = "" if name == "data" else " WITHOUT ROWID"  # long rows would bloat the key's B-tree
        db.execute(f"CREATE TABLE {name} ({columns}){rowid}")


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open an existing journal, for any thread."""
    uri = f"{path.resolve().as_uri()}?{'immutable=1' if read_only else 'mode=rw'}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)


@contextmanager
def journal_errors(path: Path, *, finished: bool = False) -> Iterator[None]:
    """Turn errors of SQLite into OutputError.

    Args:
        finished: whether it is the record of a finished output, not the journal of a run.
    """
    try:
        yield
    except Geo2MapError:
        raise
    except (sqlite3.DatabaseError, ValueError, KeyError, TypeError) as error:
        text = str(error)
        if "full" in text:
            raise OutputError(f"{path}: the disk is full; free some space and run again") from error
        if "readonly" in text or "unable to open" in text:
            raise OutputError(f"{path}: not writable ({text}); check the folder") from error
        if finished:
            raise OutputError(f"{path}: damaged record ({text}); render the output again") from error
        raise OutputError(f"{path}: damaged ({text}); start over (resume=False)", option="resume") from error


def copy_records(db: sqlite3.Connection, part: Path, schema: str, *, without: Iterable[str] = ()) -> None:
    """Copy the blocks, tiles and counts of another journal, in one transaction.

    Args:
        schema: the connection's database to copy into, e.g. "main".
        without: layers whose tiles are not copied.
    """
    db.execute("ATTACH ? AS part", (f"{part.resolve().as_uri()}?immutable=1",))
    try:
        db.execute("BEGIN")
        for name in ("blocks", "doubt"):
            db.execute(f"INSERT OR REPLACE INTO {schema}.{name} SELECT * FROM part.{name}")
        copy_tiles(db, "part", schema, without)
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")
        db.execute("DETACH part")


def copy_tiles(db: sqlite3.Connection, source: str, schema: str, without: Iterable[str] = ()) -> None:
    """Copy the records of tiles from one attached database to another, in order, within a transaction.

    Args:
        without: layers whose tiles are not copied.
    """
    names = tuple(without)
    chosen = f"layer NOT IN ({', '.join('?' * len(names))})" if names else "true"
    query = f"INSERT OR REPLACE INTO {schema}.tiles SELECT * FROM {source}.tiles WHERE {chosen} ORDER BY 1, 2, 3, 4"
    db.execute(query, names)


def remove_block(db: sqlite3.Connection, job: Job, key: BlockKey) -> None:
    """Mark the tiles of a block and its overviews for removal, in every layer, within a transaction."""
    plan = job.plan
    span, world = plan.block_span, 2**plan.maxzoom
    for level in range(plan.block_levels + 1):
        side = span >> level
        left, top = key[0] * span % world >> level, key[1] * side
        inside = "layer = ? AND z = ? AND x >= ? AND x < ? AND y >= ? AND y < ?"
        for name in job.block_layers:
            box = (name, plan.maxzoom - level, left, left + side, top, top + side)
            db.execute(f"INSERT OR IGNORE INTO removed SELECT layer, z, x, y FROM tiles WHERE {inside}", box)
            db.execute(f"DELETE FROM tiles WHERE {inside}", box)
        db.execute("DELETE FROM doubt WHERE z = ? AND x >= ? AND x < ? AND y >= ? AND y < ?", box[1:])
