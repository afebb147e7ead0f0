"""A job with all that another machine needs to render a share of it: scenes, model, shards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from geo2map.errors import Geo2MapError, PlanError
from geo2map.files.atomic import output_errors, write_whole
from geo2map.model import ModelOptions
from geo2map.plan import Job
from geo2map.plan.job import ANY_DEVICE
from geo2map.plan.shards import Shard, find_shards
from geo2map.protocols import Source
from geo2map.scene import SceneIdentity, open_imagery
from geo2map.scene.collection import IndexedCollection, SheetIndex
from geo2map.scene.reader import read_scene
from geo2map.scene.view import View

_VERSION = 1


class Readable(Protocol):
    """Scenes that can be read; a context manager.

    Attributes:
        identities: of their files.
    """

    @property
    def identities(self) -> tuple[SceneIdentity, ...]: ...

    def at(self, view: View) -> AbstractContextManager[Source]:
        """Opens a pixel source at one zoom."""
        ...

    def __enter__(self) -> Readable: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@dataclass(frozen=True, kw_only=True)
class JobFile:
    """A job to be sent to other machines. A value: picklable, with a JSON form.

    Attributes:
        job: what is rendered.
        scenes: paths that all machines have, or URLs, in order.
        model: which model translates and how it runs; None where tiles are only cut. Its identity is in the job's plan.
        shard_zoom: zoom of the tiles that the shards lie below.
        sheets: the place of each of several scenes, so that a worker opens only those that it needs.
    """

    job: Job
    scenes: tuple[str, ...]
    model: ModelOptions | None
    shard_zoom: int
    sheets: SheetIndex | None = None

    @property
    def fingerprint(self) -> str:
        """The job's fingerprint: parts of one fingerprint fit together."""
        return self.job.fingerprint

    @property
    def wanted(self) -> Job:
        """The job that a finished output must match: on any device, where that was left open."""
        is_open = self.model is not None and self.model.device == ANY_DEVICE
        return replace(self.job, device=ANY_DEVICE) if is_open else self.job

    def shards(self) -> Iterator[Shard]:
        """The shards in their order, lazily."""
        return find_shards(self.job.plan, self.shard_zoom)

    def open_scenes(self) -> Readable:
        """The scenes as they were planned, as a context manager; several are opened when they are read.

        Raises:
            Geo2MapError: whatever opening raises.
        """
        reading = self.job.reading
        if self.sheets is None:
            return open_imagery(self.scenes, reading)
        opens = partial(read_scene, options=reading)
        return IndexedCollection(self.scenes, self.job.scenes, self.sheets, feather=reading.feather, open_one=opens)

    def with_threads(self, threads: int) -> JobFile:
        """The same job, its model on so many CPU threads."""
        return self if self.model is None else replace(self, model=replace(self.model, threads=threads))

    def to_json(self) -> str:
        """One JSON object."""
        model = None if self.model is None else {**asdict(self.model), "model": str(self.model.model)}
        values = {"geo2map_job": _VERSION, "scenes": self.scenes, "model": model, "shard_zoom": self.shard_zoom}
        if self.sheets is not None:
            values["sheets"] = {**self.sheets.to_dict(), "digest": _digest(self.sheets)}
        return json.dumps({**values, "digest": self.job.digest, "job": self.job.to_dict()}) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote.

        Raises:
            PlanError: not a job of this version, or it was changed.
        """
        try:
            values = json.loads(text)
            if values["geo2map_job"] != _VERSION:
                raise PlanError("the job was planned by another version of geo2map: plan it again")
            job = Job.from_json(json.dumps(values["job"]))
            model = values["model"] and ModelOptions(**values["model"])
            sheets = values.get("sheets") and SheetIndex.from_dict(values["sheets"])
            scenes, zoom = tuple(values["scenes"]), int(values["shard_zoom"])
            found = cls(job=job, scenes=scenes, model=model, shard_zoom=zoom, sheets=sheets)
            changed = values["digest"] != found.job.digest
            changed |= sheets is not None and values["sheets"]["digest"] != _digest(sheets)
        except Geo2MapError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise PlanError(f"not a job file of geo2map ({error}): make one with geo2map plan") from error
        if changed:
            raise PlanError("the job was changed after it had been planned: plan it again")
        return found

    def write(self, path: str | Path) -> None:
        """Writes a file, whole or not at all.

        Raises:
            OutputError: it cannot be written.
        """
        with output_errors(Path(path)):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_whole(Path(path), self.to_json().encode())

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Reads a job file.

        Raises:
            PlanError: missing, or not a job file.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PlanError(f"job file not found: {path}; make one with geo2map plan", option="job") from error
        try:
            return cls.from_json(text)
        except PlanError as error:
            raise PlanError(f"{path}: {error}", option="job") from error


def _digest(sheets: SheetIndex) -> str:
    return hashlib.sha256(json.dumps(sheets.to_dict()).encode()).hexdigest()[:16]
