"""A folder of parts: for each shard its tiles, one SQLite file, and a record that says that they are whole.

Nothing in it is ever changed. A part appears by a rename, its record after it and only if there is none: a shard
that is rendered twice, by whomever, is recorded once.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from secrets import token_hex
from typing import Self

from geo2map.cluster.jobfile import JobFile
from geo2map.errors import OutputError, PlanError
from geo2map.files.atomic import output_errors, sync_folder, write_whole
from geo2map.ledger.part import PartContent, PartOutput
from geo2map.ledger.pending import Pending
from geo2map.plan import Job, Shard

JOB_NAME = "job.json"
LOCK_NAME = ".lock"
_PART, _RECORD = ".part", ".json"


@dataclass(frozen=True)
class ShardRecord:
    """What became of a shard; some 200 bytes.

    Attributes:
        fingerprint: of the job.
        shard: its name.
        tiles, bytes: of all its zooms.
        digest: sixteen hex digits that change with any of its tiles.
        device: what translated, e.g. "cuda NVIDIA H100"; "" where tiles were cut.
        seconds: it took.
    """

    fingerprint: str
    shard: str
    tiles: int
    bytes: int
    digest: str
    device: str
    seconds: float

    def to_json(self) -> str:
        """One JSON object."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote."""
        return cls(**json.loads(text))


@dataclass
class PartTarget:
    """A part as the place for a shard's blocks (a `geo2map.ledger.opening.Target`).

    Attributes:
        parts: the folder that it appears in.
        shard: which part.
        device: what translates, e.g. "cuda NVIDIA H100"; "" where tiles are cut.
        started: when the work on it began, by `time.perf_counter`.
    """

    parts: PartFolder
    shard: Shard
    device: str
    started: float
    _record: ShardRecord | None = None

    @property
    def record(self) -> ShardRecord:
        """The record that counts, once the part is published."""
        assert self._record is not None, "the part is published"
        return self._record

    def open(self, job: Job, pending: Pending) -> PartOutput:
        """Begins a draft of the part."""
        assert pending.shard == self.shard, "one part holds one shard"

        def publish(draft: Path, content: PartContent) -> None:
            seconds = round(time.perf_counter() - self.started, 3)
            record = ShardRecord(job.fingerprint, self.shard.name, *content, self.device, seconds)
            self._record = self.parts.publish(self.shard, draft, record)

        return PartOutput(self.parts.draft(self.shard), job, self.shard, publish)


class PartFolder:
    """A folder of parts, which any number of processes may fill."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def adopt(self, order: JobFile, *, make: bool = True) -> None:
        """Makes the folder that of a job; harmless when repeated.

        Args:
            make: make it where there is none. A worker does not: who removed it has ended the run.

        Raises:
            OutputError: it is that of another job, is not there, or cannot be written.
        """
        if not make and not self.path.is_dir():
            raise OutputError(f"{self.path} is not there any more: the run that these shards are for has ended")
        with output_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            if not (self.path / JOB_NAME).exists():
                self._put_new(self.path / JOB_NAME, order.to_json().encode())
        known = self.order()
        if (known.fingerprint, known.shard_zoom) != (order.fingerprint, order.shard_zoom):
            others = known.job.differences(order.job) or ["its shards are of another zoom"]
            raise OutputError(
                f"{self.path} holds parts of another job: {'; '.join(others[:3])}. Choose another folder, or remove it"
            )
        if make and known.job.digest != order.job.digest:  # the same tiles, to be presented in another way
            write_whole(self.path / JOB_NAME, order.to_json().encode())

    def order(self) -> JobFile:
        """The job whose parts these are.

        Raises:
            PlanError: there is no job in the folder.
        """
        if not (self.path / JOB_NAME).is_file():
            raise PlanError(f"{self.path}: not a folder of parts; give the one that the shards were rendered into")
        return JobFile.read(self.path / JOB_NAME)

    def part(self, shard: Shard) -> Path:
        """The file of a shard's tiles."""
        return self.path / f"{shard.name}{_PART}"

    def draft(self, shard: Shard) -> Path:
        """A name beside it that nobody else uses."""
        return self.path / f".{shard.name}.{token_hex(6)}.partial"

    def record(self, shard: Shard) -> ShardRecord | None:
        """What became of a shard, None where it is still to be done.

        Raises:
            OutputError: its record is damaged.
        """
        path = self.path / f"{shard.name}{_RECORD}"
        try:
            return ShardRecord.from_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise OutputError(f"{path} is damaged ({error}): remove it and render the shard again") from error

    def publish(self, shard: Shard, draft: Path, record: ShardRecord) -> ShardRecord:
        """Gives a finished draft its name and records it.

        Returns:
            The record that counts: another's, if there was one first.

        Raises:
            OutputError: it cannot be written, or another process made other tiles of the same job.
        """
        with output_errors(self.path):
            with draft.open("rb+") as file:
                os.fsync(file.fileno())
            if (known := self.record(shard)) is None:
                draft.replace(self.part(shard))
                sync_folder(self.path)
                self._put_new(self.path / f"{shard.name}{_RECORD}", record.to_json().encode())
                known = self.record(shard) or record
            else:
                draft.unlink()
        if known.digest != record.digest:
            raise OutputError(
                f"shard {shard.name} in {self.path} came out otherwise on {known.device or 'another machine'}: remove "
                "its part and its record, and render it again"
            )
        return known

    def missing(self, order: JobFile) -> Iterator[Shard]:
        """The shards that are still to be done, lazily, in order."""
        return (shard for shard in order.shards() if not (self.path / f"{shard.name}{_RECORD}").exists())

    def clear_drafts(self) -> None:
        """Removes what killed processes left; only when none is at work."""
        for path in self.path.glob(".*.partial*"):
            with suppress(OSError):
                path.unlink()

    def remove(self) -> None:
        """Removes the folder and whatever of it is ours; a worker that is late finds none to write into.

        Raises:
            OutputError: it cannot be removed.
        """
        leaving = PartFolder(self.path.with_name(f"{self.path.name}.{token_hex(6)}.partial"))
        with output_errors(self.path):
            try:
                self.path.rename(leaving.path)
            except OSError:  # Windows keeps a folder in which a file is open
                leaving = self
            leaving.clear_drafts()
            for pattern in (f"*{_PART}", f"*{_RECORD}", LOCK_NAME):
                for path in leaving.path.glob(pattern):
                    path.unlink()
            try:
                leaving.path.rmdir()
            except OSError:  # something of the user's is in it
                if leaving is not self and not self.path.exists():
                    leaving.path.rename(self.path)

    def _put_new(self, path: Path, data: bytes) -> None:
        """Writes a file whole, only if there is none."""
        draft = self.path / f".{path.name}.{token_hex(6)}.partial"
        try:
            with draft.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(draft, path)
            except FileExistsError:
                return
            except OSError:  # a file system without hard links: the window is small, and what is written is the same
                if not path.exists():
                    draft.replace(path)
            sync_folder(self.path)
        finally:
            draft.unlink(missing_ok=True)
