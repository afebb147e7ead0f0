"""The journal of an output: its job, its finished blocks, and a digest per tile and layer. One SQLite file.

A block is recorded after its tiles are written, so every tile in the journal exists. Tiles of single-file outputs are
spooled in the journal itself, in the same transaction as the record, until the file is written.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from geo2map.errors import OtherVersionError, OutputError
from geo2map.files.atomic import sync_folder
from geo2map.ledger.database import Database
from geo2map.ledger.doubt_records import DoubtRecords
from geo2map.ledger.layer_records import LayerRecords
from geo2map.ledger.origin import Origin
from geo2map.ledger.pending import Pending
from geo2map.ledger.schema import TABLES, WORKING, copy_records, copy_tiles, create_tables, journal_errors, remove_block
from geo2map.ledger.state import Seal, Stage
from geo2map.ledger.workspace import Workspace
from geo2map.pipeline.blocks import LayerTiles
from geo2map.pipeline.reading import BlockDone, BlockKey
from geo2map.pipeline.records import BlockRecord
from geo2map.plan.job import Job
from geo2map.tiles.layer import MAP

_VERSION = "3"


class Journal(Database):
    """An open journal. Thread-safe; one process at a time.

    Attributes:
        path: the file.
        recipe: the job of a run, or the origin of a conversion.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open a journal.

        Raises:
            OutputError: it is missing, damaged, or written by another version of geo2map.
        """
        if read_only and _is_text(path):
            raise OtherVersionError.of(path, finished=True)
        super().__init__(path, read_only=read_only)
        try:
            with self.access():
                self.db.execute("PRAGMA locking_mode = EXCLUSIVE")  # no shared memory: works on network drives, too
                self.db.execute("PRAGMA synchronous = NORMAL")
                if self._get("version") != _VERSION:
                    raise OtherVersionError.of(path, finished=read_only)
                text = self._get("job") or ""
                self.recipe: Job | Origin = Origin.from_json(text) if Origin.is_json(text) else Job.from_json(text)
        except BaseException:
            self.close()
            raise

    @classmethod
    def create(cls, path: Path, recipe: Job | Origin) -> Journal:
        """Create an empty journal; the file must not exist.

        Raises:
            OutputError: it cannot be written.
        """
        with journal_errors(path), closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("BEGIN")
            create_tables(db, {**TABLES, **WORKING})
            facts = {"version": _VERSION, "job": recipe.to_json()}
            db.executemany("INSERT INTO meta VALUES (?, ?)", facts.items())
            db.execute("COMMIT")
        sync_folder(path.parent)
        return cls(path)

    @classmethod
    def reopen(cls, finished: Path, path: Path, job: Job, pending: Pending) -> Journal:
        """A journal for changing a finished output, copied from that output's journal.

        Raises:
            OutputError: the finished journal is damaged, or the new one cannot be written.
        """
        cls(finished, read_only=True).close()
        with journal_errors(path), closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("ATTACH ? AS finished", (str(finished),))
            db.execute("BEGIN")
            create_tables(db, {**TABLES, **WORKING})
            for name in TABLES:
                db.execute(f"INSERT INTO {name} SELECT * FROM finished.{name}")
            facts = {"job": job.to_json(), "base": "finished"}
            db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", facts.items())
            recheck = (("to be checked again", y, x) for x, y in pending.recheck)
            db.executemany("UPDATE blocks SET pending = ? WHERE y = ? AND x = ?", recheck)
            damaged = (("to be repaired", "damaged", y, x) for x, y in pending.damaged)
            db.executemany("UPDATE blocks SET pending = ?, inputs = ? WHERE y = ? AND x = ?", damaged)
            for key in pending.removed:
                remove_block(db, job, key)
                db.execute("DELETE FROM blocks WHERE y = ? AND x = ?", (key[1], key[0]))
            orphans = ((name, tile.z, tile.x, tile.y) for name, tiles in pending.orphans.items() for tile in tiles)
            db.executemany("INSERT OR IGNORE INTO removed VALUES (?, ?, ?, ?)", orphans)
            db.execute("COMMIT")
        return cls(path)

    @property
    def job(self) -> Job:
        assert isinstance(self.recipe, Job), "a conversion has no job"
        return self.recipe

    def adopt(self, job: Job) -> None:
        """Continue with a job of the same tiles and another presentation."""
        text = job.to_json()
        self.recipe = Job.from_json(text)  # in the order of its JSON, as after any reopening
        self._set("job", text)

    @property
    def stage(self) -> Stage:
        """Progress of the output."""
        return Stage(self._get("stage") or Stage.MAKING)

    @stage.setter
    def stage(self, stage: Stage) -> None:
        self._set("stage", stage)

    @property
    def is_overlay(self) -> bool:
        """Whether the run changes a finished output."""
        return self._get("base") == "finished"

    @property
    def may_replace(self) -> bool:
        """Whether an existing output may be replaced: allowed by the user, or written by this journal."""
        return self.is_overlay or self._get("replace") == "yes"

    @may_replace.setter
    def may_replace(self, allowed: bool) -> None:
        self._set("replace", "yes" if allowed else "no")

    @property
    def stale_names(self) -> list[str]:
        """Names beside the output that are outdated once it is published."""
        return [str(name) for name in json.loads(self._get("stale") or "[]")]

    @stale_names.setter
    def stale_names(self, names: Sequence[str]) -> None:
        self._set("stale", json.dumps(list(names)))

    def seal(self, layer: str = MAP) -> Seal | None:
        """Size and content of a finished layer; None if its tiles are recorded instead."""
        size, content = self._get(f"size {layer}"), self._get(f"content {layer}")
        return None if size is None or content is None else Seal(int(size), content)

    def merged_digest(self, shard: str) -> str | None:
        """Digest of a part that was merged into this output; None if it was not."""
        return self._get(f"shard {shard}")

    def merge(self, shard: str, digest: str, records: Path | None = None) -> None:
        """Record that a part was merged.

        Args:
            records: the part's journal, to copy blocks and tiles from; None leaves them in the part.
        """
        if records is not None:
            with self.transaction():  # commits what was spooled: within a transaction, no database can be attached
                pass
            with self.access():
                copy_records(self.db, records, "main")
        self._set(f"shard {shard}", digest)

    def clear_blocks(self) -> None:
        """Empty the records of blocks and tiles, which the parts hold."""
        with self.access():
            for name in ("blocks", "tiles", "doubt", "data"):
                self.db.execute(f"DELETE FROM {name}")

    def layer(self, name: str = MAP) -> LayerRecords:
        """The records of one layer's tiles."""
        return LayerRecords(self, name)

    @property
    def doubt(self) -> DoubtRecords:
        """What is recorded of the confidence of tiles."""
        return DoubtRecords(self)

    def blocks(self) -> dict[BlockKey, BlockRecord]:
        """The record of each block, by key; some hundred bytes a block."""
        with self.access():
            rows = self.db.execute("SELECT x, y, inputs, tiles, pending FROM blocks")
            return {(x, y): BlockRecord(inputs, tiles, reason) for x, y, inputs, tiles, reason in rows}

    @property
    def is_incomplete(self) -> bool:
        """Whether any block is pending."""
        with self.access():
            return self.db.execute("SELECT 1 FROM blocks WHERE pending IS NOT NULL LIMIT 1").fetchone() is not None

    def record(self, done: BlockDone, tiles: LayerTiles) -> None:
        """Record a finished block and its tiles, in one transaction with everything spooled before. Tiles that the
        block no longer has are marked for removal."""
        row = {"x": done.key[0], "y": done.key[1], "inputs": done.inputs, "tiles": done.tiles, "pending": done.error}
        with self.transaction():
            if done.error is not None or done.unchanged:  # an older record stays; only `pending` changes
                self.db.execute("UPDATE blocks SET pending = :pending WHERE y = :y AND x = :x", row)
                self.db.execute("INSERT OR IGNORE INTO blocks VALUES (:y, :x, :inputs, :tiles, :pending)", row)
                return
            remove_block(self.db, self.job, done.key)
            for name, some in tiles.items():
                self.layer(name).add(some)
            self.doubt.add(done.doubt)
            self.db.execute("INSERT OR REPLACE INTO blocks VALUES (:y, :x, :inputs, :tiles, NULL)", row)

    def write_final(self, path: Path, parts: Sequence[Path] = (), *, seals: dict[str, Seal] | None = None) -> None:
        """Write the record that a finished output keeps; deterministic.

        Args:
            parts: further journals with blocks and tiles of the output.
            seals: sizes and contents of layers that are not recorded tile by tile.

        Raises:
            OutputError: it cannot be written.
        """
        sealed = {f"size {name}": str(seal.size) for name, seal in (seals or {}).items()}
        sealed |= {f"content {name}": seal.content for name, seal in (seals or {}).items()}
        layers = self.job.storage.block_layers if isinstance(self.recipe, Job) else ()
        working = [layer.name for layer in layers if layer.is_working]
        path.unlink(missing_ok=True)
        with self._lock, journal_errors(path):
            self.db.execute("ATTACH ? AS final", (str(path),))
            try:
                self.db.execute("PRAGMA final.journal_mode = OFF")
                self.db.execute("BEGIN")
                create_tables(self.db, {f"final.{name}": columns for name, columns in TABLES.items()})
                self.db.execute("INSERT INTO final.meta SELECT * FROM meta WHERE key IN ('job', 'version') ORDER BY 1")
                self.db.executemany("INSERT INTO final.meta VALUES (?, ?)", sorted(sealed.items()))
                self.db.execute("INSERT INTO final.blocks SELECT * FROM main.blocks ORDER BY 1, 2")
                self.db.execute("INSERT INTO final.doubt SELECT * FROM main.doubt ORDER BY 1, 2, 3")
                copy_tiles(self.db, "main", "final", working)
                self.db.execute("COMMIT")
                for part in parts:
                    copy_records(self.db, part, "final", without=working)
            finally:
                self.db.execute("DETACH final")

    def skip_flushing(self) -> None:
        """Disable fsync: the part is flushed when it is published, and an unfinished one is discarded."""
        with self.access():
            self.db.execute("PRAGMA synchronous = OFF")

    def make_single_file(self) -> None:
        """Finish writing a part: leave WAL mode, so that the file stands alone."""
        with self.access():
            self.db.execute("PRAGMA journal_mode = DELETE")

    def _get(self, key: str) -> str | None:
        with self.access():
            row = self.db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def _set(self, key: str, value: str) -> None:
        with self.access():
            self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def is_initialized(path: Path) -> bool:
    """Whether a journal was completely created; if not, the run was killed before doing anything else.

    Raises:
        OutputError: it is damaged.
    """
    with journal_errors(path), closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone() is not None


def read_partial(workspace: Workspace) -> Journal | None:
    """The journal of an interrupted command; None if it is empty or unreadable."""
    try:
        return Journal(workspace.journal) if workspace.exists and is_initialized(workspace.journal) else None
    except OutputError:
        return None


def _is_text(path: Path) -> bool:
    """Whether a record is the JSON document that conversions wrote before version 2."""
    try:
        with path.open("rb") as file:
            return file.read(1) == b"{"
    except OSError:
        return False
