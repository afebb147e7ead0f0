"""What a set of tiles was converted from: the record that such a set keeps in place of a run's journal."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from geo2map.files.atomic import write_whole
from geo2map.files.clutter import is_clutter
from geo2map.tiles.inventory import JOURNAL_NAME

_MARK = b'{"converted"'


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Which tiles a set was made of, and how. A value with a JSON form.

    Attributes:
        source: where they were.
        state: a digest of the names, sizes and times of the source's files.
        options: what was taken and how it was written, by option; plain JSON values.
        versions: of the libraries, see `geo2map.plan.job.library_versions`.
        size: bytes of a file, or tiles of a folder, that were made; None before they are.
        content: digest of the bytes that were made, see `geo2map.ledger.content`; "" before they are,
            and in records of earlier versions.
    """

    source: str
    state: str
    options: Mapping[str, Any]
    versions: Mapping[str, str] = field(default_factory=dict)
    size: int | None = None
    content: str = ""

    @classmethod
    def of(cls, source: Path, options: Mapping[str, Any], versions: Mapping[str, str]) -> Origin:
        """What a set would be made of now."""
        plain = json.loads(json.dumps(dict(options), default=str))
        return cls(source=str(source.resolve()), state=_state(source), options=plain, versions=versions)

    def differences(self, asked: Origin) -> list[str]:
        """What another conversion would do otherwise, in words; versions of libraries do not count."""
        words = [] if self.source == asked.source else [f"it was made of {self.source}"]
        if not words and self.state != asked.state:
            words = [f"{self.source} has changed since"]
        for name in {**self.options, **asked.options}:
            before, now = self.options.get(name), asked.options.get(name)
            if before != now:
                words.append(f"{name.replace('_', ' ')} was {_spell(before)} and is {_spell(now)}")
        return words

    def to_json(self) -> str:
        """One JSON object, which begins as no journal of a run does."""
        return json.dumps({"converted": 1} | asdict(self)) + "\n"

    def write(self, path: Path) -> None:
        """Writes it where a finished set keeps its record.

        Raises:
            OutputError: it cannot be written.
        """
        write_whole(path, self.to_json().encode())

    @classmethod
    def load(cls, path: Path) -> Origin | None:
        """Reads the record of a converted set; None where there is none, or one of a run."""
        with suppress(OSError, ValueError, TypeError), path.open("rb") as file:
            if file.read(len(_MARK)) == _MARK:
                values = json.loads(_MARK + file.read())
                values.pop("converted")
                return cls(**values)
        return None


def _state(source: Path) -> str:
    """A digest that changes with any file of a set, by name, size and time; no file is read."""
    digest = blake2b(digest_size=8)
    for name, status in _files(source):
        digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _files(source: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Names below a folder, or "" for a file, with what the system tells of them; what systems leave is passed over."""
    if not source.is_dir():
        with suppress(OSError):
            yield "", source.stat()
        return
    yield from _files_below(str(source), "")


def _files_below(folder: str, name: str) -> Iterator[tuple[str, os.stat_result]]:
    with suppress(OSError), os.scandir(folder) as found:
        for entry in sorted(found, key=lambda entry: entry.name):
            if entry.name != JOURNAL_NAME and is_clutter(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _files_below(entry.path, f"{name}{entry.name}/")
            else:
                with suppress(OSError):
                    yield f"{name}{entry.name}", entry.stat()


def _spell(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "not set" if value is None else str(value)
