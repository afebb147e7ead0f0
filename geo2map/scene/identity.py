"""The identity of a scene: whether a file is still the one that an interrupted run has read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

from geo2map.files.address import is_file_path

SAMPLES, SAMPLE_BYTES = 16, 4096
TIMEOUT = 10.0
"""Timeout in seconds for a server to report the version of a scene."""


@dataclass(frozen=True)
class SceneIdentity:
    """The identity of a scene without reading all of it. A value.

    Attributes:
        path: as it was given; absolute for files of this machine.
        size: bytes of all its files; None if unknown.
        modified: when the newest of them was written, nanoseconds since 1970, or what a server says of it.
        content: hash of a sample of the bytes, or a server's ETag; "" if neither is available.
    """

    path: str
    size: int | None = None
    modified: str = ""
    content: str = ""

    def difference(self, other: SceneIdentity) -> str | None:
        """What changed since, in words; None if nothing did."""
        if self.size != other.size:
            return f"{self.path} changed: it had {self.size} bytes and has {other.size}"
        if self.content != other.content:
            return f"the content of {self.path} changed"
        return f"{self.path} was rewritten" if self.modified != other.modified else None


def identify(path: str | Path, files: Iterable[str]) -> SceneIdentity:
    """The identity of a scene.

    Args:
        path: as it was given.
        files: all the files it consists of, sidecars and the sources of a VRT included, as GDAL lists them.
    """
    text = str(path)
    if text.lower().startswith(("http://", "https://")):
        return _ask_server(text)
    if not is_file_path(path):
        return SceneIdentity(text)
    own = str(Path(path).resolve())
    parts = sorted({own, *(str(Path(file).resolve()) for file in files if is_file_path(file))})
    digest, size, modified = hashlib.sha256(), 0, 0
    for part in parts:
        with suppress(OSError):  # what cannot be read is noticed when it is needed
            status = Path(part).stat()
            size, modified = size + status.st_size, max(modified, status.st_mtime_ns)
            _sample(Path(part), status.st_size, digest.update)
    return SceneIdentity(own, size, str(modified), digest.hexdigest()[:16])


def _sample(path: Path, size: int, take: Callable[[bytes], None]) -> None:
    """Feeds `SAMPLES` evenly spread pieces of a file, first and last included, to a hash."""
    with path.open("rb") as file:
        last = max(0, size - SAMPLE_BYTES)
        for number in range(SAMPLES):
            file.seek(last * number // (SAMPLES - 1), os.SEEK_SET)
            take(file.read(SAMPLE_BYTES))


def _ask_server(url: str) -> SceneIdentity:
    """The identity from a HEAD request; incomplete if the server does not answer it."""
    try:
        with urlopen(Request(url, method="HEAD"), timeout=TIMEOUT) as answer:
            headers = answer.headers
    except (URLError, OSError, ValueError):
        return SceneIdentity(url)
    length = headers.get("Content-Length")
    size = int(length) if length and length.isdigit() else None
    return SceneIdentity(url, size, headers.get("Last-Modified", ""), headers.get("ETag", ""))
