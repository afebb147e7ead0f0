"""The journal of a run: its job, the blocks that are done, and the digest of every tile. One SQLite file.

A block's record is written after its tiles, so what the journal says is there. For outputs that are one file, the
tiles lie in the journal itself until the output is made of them, in one transaction with the record.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from threading import RLock

from geo2map.errors import OutputError
from geo2map.files.atomic import sync_folder
from geo2map.pipeline.blocks import BlockDone, BlockKey
from geo2map.pipeline.records import BlockRecord, Changes, tile_digest
from geo2map.pipeline.schema import TABLES, WORKING, copy_records, create_tables, journal_errors
from geo2map.plan.job import Job
from geo2map.plan.value import Plan
from geo2map.types import Tile

_VERSION = "1"
_AT_ONCE = 512


class Journal:
    """A journal that is open. Safe to use from several threads; one process at a time.

    Attributes:
        path: of the file.
        job: whose journal it is.
        db: the connection, for `geo2map.pipeline.spool`; to be used within `errors`.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Opens a journal.

        Raises:
            OutputError: there is none, it is damaged, or another version of geo2map wrote it.
        """
        self.path, self._lock = path, RLock()
        with self.errors():
            uri = f"{path.resolve().as_uri()}?{'immutable=1' if read_only else 'mode=rw'}"
            self.db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
            try:
                self.db.execute("PRAGMA locking_mode = EXCLUSIVE")  # no shared memory: works on network drives, too
                self.db.execute("PRAGMA synchronous = NORMAL")
                if self.get("version") != _VERSION:
                    raise OutputError(f"{path} was written by another version of geo2map: use that one, or start anew")
                self.job = Job.from_json(self.get("job") or "")
            except BaseException:
                self.db.close()
                raise

    @classmethod
    def create(cls, path: Path, job: Job) -> Journal:
        """Makes an empty journal; a file of that name must not be there.

        Raises:
            OutputError: it cannot be written.
        """
        with journal_errors(path), closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("BEGIN")
            create_tables(db, {**TABLES, **WORKING})
            facts = {"version": _VERSION, "job": job.to_json(), "mode": "fresh"}
            db.executemany("INSERT INTO meta VALUES (?, ?)", facts.items())
            db.execute("COMMIT")
        sync_folder(path.parent)
        return cls(path)

    def get(self, key: str) -> str | None:
        """A word kept under a name, None where there is none."""
        with self.errors():
            row = self.db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def set(self, key: str, value: str) -> None:
        """Keeps a word under a name."""
        with self.errors():
            self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    @property
    def is_overlay(self) -> bool:
        """Whether a finished set is being changed."""
        return self.get("mode") == "overlay"

    def blocks(self) -> dict[BlockKey, BlockRecord]:
        """What is known of each block, by its key; some hundred bytes a block."""
        with self.errors():
            rows = self.db.execute("SELECT x, y, inputs, tiles, open FROM blocks")
            return {(x, y): BlockRecord(inputs, tiles, reason) for x, y, inputs, tiles, reason in rows}

    def record(self, done: BlockDone, tiles: Mapping[Tile, bytes]) -> None:
        """Says that a block is done and which tiles it has, in one transaction with whatever `put` stored since the
        last one; tiles that it had before and has no more are to be removed."""
        row = {"x": done.key[0], "y": done.key[1], "inputs": done.inputs, "tiles": done.tiles, "open": done.error}
        with self._lock, self._transaction():
            if done.error is not None or done.unchanged:  # an older record stays, but for whether it is open
                self.db.execute("UPDATE blocks SET open = :open WHERE y = :y AND x = :x", row)
                self.db.execute("INSERT OR IGNORE INTO blocks VALUES (:y, :x, :inputs, :tiles, :open)", row)
                return
            _remove_tiles(self.db, self.job.plan, done.key)
            self._add(tiles)
            self.db.execute("INSERT OR REPLACE INTO blocks VALUES (:y, :x, :inputs, :tiles, NULL)", row)

    def _add(self, tiles: Mapping[Tile, bytes]) -> None:
        rows = [(tile.z, tile.x, tile.y) for tile in tiles]
        self.db.executemany("DELETE FROM removed WHERE z = ? AND x = ? AND y = ?", rows)
        rows_digests = [(tile.z, tile.x, tile.y, tile_digest(data)) for tile, data in tiles.items()]
        self.db.executemany("INSERT OR REPLACE INTO tiles VALUES (?, ?, ?, ?)", rows_digests)

    def record_parents(self, parents: Mapping[Tile, bytes | None]) -> None:
        """Says which overviews above the blocks there are; None for those that are no more."""
        gone = [(tile.z, tile.x, tile.y) for tile, data in parents.items() if data is None]
        with self._lock, self._transaction():
            self._add({tile: data for tile, data in parents.items() if data is not None})
            self.db.executemany("DELETE FROM tiles WHERE z = ? AND x = ? AND y = ?", gone)
            self.db.executemany("INSERT OR IGNORE INTO removed VALUES (?, ?, ?)", gone)

    def digests(self, zoom: int) -> Iterator[tuple[Tile, bytes]]:
        """Tiles that there must be at a zoom, by column, then row, and their digests."""
        with self.errors():
            rows = self.db.execute("SELECT x, y, digest FROM tiles WHERE z = ? ORDER BY x, y", (zoom,))
        while True:
            with self.errors():  # not held while others work with what was yielded
                some = rows.fetchmany(_AT_ONCE)
            if not some:
                return
            for x, y, digest in some:
                yield Tile(x, y, zoom), digest

    def digest(self, tile: Tile) -> bytes | None:
        """The digest of a tile that there must be, None of any other."""
        with self.errors():
            key = (tile.z, tile.x, tile.y)
            row = self.db.execute("SELECT digest FROM tiles WHERE z = ? AND x = ? AND y = ?", key).fetchone()
        return None if row is None else bytes(row[0])

    def zooms(self) -> tuple[int, ...]:
        """Those with tiles, ascending."""
        with self.errors():
            return tuple(zoom for (zoom,) in self.db.execute("SELECT DISTINCT z FROM tiles ORDER BY z"))

    def has_tiles(self) -> bool:
        """Whether there is any tile."""
        with self.errors():
            return self.db.execute("SELECT 1 FROM tiles LIMIT 1").fetchone() is not None

    def removed(self, zoom: int | None = None) -> list[Tile]:
        """Tiles that an older output has and the new one has not."""
        where, values = ("", ()) if zoom is None else (" WHERE z = ?", (zoom,))
        with self.errors():
            rows = self.db.execute(f"SELECT x, y, z FROM removed{where} ORDER BY z, x, y", values)
            return [Tile(*row) for row in rows]

    def is_removed(self, tile: Tile) -> bool:
        """Whether an older output has this tile and the new one has not."""
        with self.errors():
            key = (tile.z, tile.x, tile.y)
            return self.db.execute("SELECT 1 FROM removed WHERE z = ? AND x = ? AND y = ?", key).fetchone() is not None

    def write_final(self, path: Path, parts: Sequence[Path] = (), **facts: str) -> None:
        """Writes what a finished set keeps of the journal; the same content gives the same bytes.

        Args:
            parts: other journals, whose blocks and tiles are the set's, too.
            facts: further words to keep.

        Raises:
            OutputError: it cannot be written.
        """
        path.unlink(missing_ok=True)
        with self._lock, journal_errors(path):
            self.db.execute("ATTACH ? AS final", (str(path),))
            try:
                self.db.execute("PRAGMA final.journal_mode = OFF")
                self.db.execute("BEGIN")
                create_tables(self.db, {f"final.{name}": columns for name, columns in TABLES.items()})
                self.db.execute("INSERT INTO final.meta SELECT * FROM meta WHERE key IN ('job', 'version') ORDER BY 1")
                self.db.executemany("INSERT INTO final.meta VALUES (?, ?)", sorted(facts.items()))
                self.db.execute("INSERT INTO final.blocks SELECT * FROM blocks ORDER BY 1, 2")
                self.db.execute("INSERT INTO final.tiles SELECT * FROM tiles ORDER BY 1, 2, 3")
                self.db.execute("COMMIT")
                for part in parts:
                    copy_records(self.db, part, "final")
            finally:
                self.db.execute("DETACH final")

    @classmethod
    def reopen(cls, finished: Path, path: Path, job: Job, changes: Changes) -> Journal:
        """A journal to go on with, from that of a finished set, which is left as it is.

        Args:
            finished: the finished set's journal.
            path: of the new one.
            job: what the set is to become.
            changes: what of it is in doubt.

        Raises:
            OutputError: the finished set's journal is damaged, or the new one cannot be written.
        """
        with journal_errors(path), closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("ATTACH ? AS finished", (str(finished),))
            db.execute("BEGIN")
            create_tables(db, {**TABLES, **WORKING})
            for name in TABLES:
                db.execute(f"INSERT INTO {name} SELECT * FROM finished.{name}")
            facts = {"job": job.to_json(), "mode": "overlay"}
            db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", facts.items())
            again = (("to be looked at again", y, x) for x, y in changes.revisit)
            db.executemany("UPDATE blocks SET open = ? WHERE y = ? AND x = ?", again)
            spoilt = (("to be mended", "spoilt", y, x) for x, y in changes.spoilt)
            db.executemany("UPDATE blocks SET open = ?, inputs = ? WHERE y = ? AND x = ?", spoilt)
            for key in changes.gone:
                _remove_tiles(db, job.plan, key)
                db.execute("DELETE FROM blocks WHERE y = ? AND x = ?", (key[1], key[0]))
            strays = ((tile.z, tile.x, tile.y) for tile in changes.strays)
            db.executemany("INSERT OR IGNORE INTO removed VALUES (?, ?, ?)", strays)
            db.execute("COMMIT")
        return cls(path)

    def close(self) -> None:
        """Lets go of the file; harmless when repeated."""
        with self._lock:
            self.db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self.errors():
            if not self.db.in_transaction:
                self.db.execute("BEGIN")
            try:
                yield
                self.db.execute("COMMIT")
            except BaseException:
                if self.db.in_transaction:
                    self.db.execute("ROLLBACK")
                raise

    @contextmanager
    def errors(self) -> Iterator[None]:
        """The journal for oneself, and its errors ours."""
        with self._lock, journal_errors(self.path):
            yield


def is_begun(path: Path) -> bool:
    """Whether a journal was made whole: a run that was killed while making it has done nothing else.

    Raises:
        OutputError: it is damaged.
    """
    with journal_errors(path), closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone() is not None


def _remove_tiles(db: sqlite3.Connection, plan: Plan, key: BlockKey) -> None:
    """Says that the tiles of a block, and the overviews it holds whole, are to be removed."""
    span, world = plan.block_span, 2**plan.maxzoom
    for level in range(plan.block_levels + 1):
        side = span >> level
        left, top = key[0] * span % world >> level, key[1] * side
        own = "z = ? AND x >= ? AND x < ? AND y >= ? AND y < ?"
        box = (plan.maxzoom - level, left, left + side, top, top + side)
        db.execute(f"INSERT OR IGNORE INTO removed SELECT z, x, y FROM tiles WHERE {own}", box)
        db.execute(f"DELETE FROM tiles WHERE {own}", box)
