"""The recipe of a converted output: the tiles it was converted from, and how. What a job is to a render."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from geo2map.files.clutter import is_clutter
from geo2map.plan.job import change_text
from geo2map.tiles.inventory import JOURNAL_NAME
from geo2map.tiles.layer import MAP, layer_path

_MARK = '{"converted"'


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Source and options of a conversion. A value with a JSON form.

    Attributes:
        source: path of the source.
        state: digest of names, sizes and times of the source's files.
        options: option values that decide the output; plain JSON values.
        versions: library versions, see `geo2map.plan.job.library_versions`.
        storage_layers: names of the layers besides the map.
    """

    source: str
    state: str
    options: Mapping[str, Any]
    versions: Mapping[str, str] = field(default_factory=dict)
    storage_layers: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, source: Path, options: Mapping[str, Any], versions: Mapping[str, str], layers: tuple[str, ...] = ()
    ) -> Origin:
        """The origin of a conversion started now."""
        plain = json.loads(json.dumps(dict(options), default=str))
        places = [source] if source.is_dir() else [layer_path(source, name, is_folder=False) for name in (MAP, *layers)]
        state = _state(places)
        return cls(
            source=str(source.resolve()), state=state, options=plain, versions=dict(versions), storage_layers=layers
        )

    def differences(self, other: Origin) -> list[str]:
        """Differences to another conversion, in words; library versions do not count."""
        words = [] if self.source == other.source else [f"it was converted from {self.source}"]
        if not words and self.state != other.state:
            words = [f"{self.source} has changed since"]
        for name in {**self.options, **other.options}:
            before, now = self.options.get(name), other.options.get(name)
            if before != now:
                words.append(change_text(name.replace("_", " "), before, now))
        return words

    def to_json(self) -> str:
        """One JSON object, distinguishable from a job by its start."""
        return json.dumps({"converted": 1} | asdict(self))

    @staticmethod
    def is_json(text: str) -> bool:
        """Whether a text was written by `to_json`."""
        return text.startswith(_MARK)

    @classmethod
    def from_json(cls, text: str) -> Origin:
        values = json.loads(text)
        values.pop("converted")
        return cls(**{**values, "storage_layers": tuple(values["storage_layers"])})


def _state(places: Sequence[Path]) -> str:
    """Digest over name, size and time of every file; reads no file."""
    digest = blake2b(digest_size=8)
    for name, status in (file for place in places for file in _files(place)):
        digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _files(source: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Names below a folder ("" for a file) with their stat results; skips files of the operating system."""
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
