"""Outputs built locally and uploaded to a bucket, visible when they are complete.

Buckets have no rename. Instead, the lock of an output is an object that only one writer can create, `tilejson.json`
completes a folder and is sent last, and single objects are atomic.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from datetime import datetime
from itertools import islice
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, NamedTuple

from geo2map.buckets.objects import (
    LOCK,
    SENDERS,
    bucket_errors,
    find_object,
    job_of,
    list_objects,
    object_attributes,
    open_bucket,
    take_lock,
)
from geo2map.errors import OutputError
from geo2map.protocols import Progress
from geo2map.threads import start_threads
from geo2map.tiles.inventory import JOURNAL_NAME
from geo2map.tiles.layer import LAYERS, layer_path
from geo2map.tiles.tilejson import FILE_NAME

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ClientConfig, ObjectStore

    from geo2map.pipeline.report import Report

LEAST_PART, MOST_PARTS = 5 * 2**20, 9_000
"""S3 takes parts of at least 5 MiB, at most 10,000 of them."""


def stage_and_upload(
    address: str,
    make: Callable[[Path], Report],
    key: str,
    *,
    tmp: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Report | None:
    """Build an output locally and upload it; the local copy is removed afterwards.

    Args:
        make: renders the output at a path.
        key: digest of what the output depends on, see `job_key`; a run of the same key resumes an interrupted one.
        tmp: working folder, with room for the output and its spool.

    Returns:
        The report of `make`; None if only the upload was left.

    Raises:
        OutputError: see `upload_output`.
    """
    check_bucket(address, overwrite=overwrite)
    home = spool_for(address, key, tmp)
    home.mkdir(parents=True, exist_ok=True)
    local = home / (address.rsplit("/", 1)[-1] or "tiles")
    report = None if local.exists() else make(local)
    upload_output(local, address, job=key, overwrite=overwrite, progress=progress)
    rmtree(home, ignore_errors=True)
    return report


def job_key(*facts: object) -> str:
    """Sixteen hex digits over everything an output depends on."""
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def spool_for(address: str, key: str, tmp: str | Path | None) -> Path:
    """The local folder in which the output of a key is built for an address."""
    return Path(tmp or tempfile.gettempdir()) / f"geo2map-{job_key(address, key)}"


def is_uploaded(address: str, key: str) -> bool:
    """Whether the finished output of a key exists at an address.

    Raises:
        OutputError: the bucket does not answer.
    """
    store, name = open_bucket(address)
    with bucket_errors(address):
        return job_of(store, f"{name}{FILE_NAME}" if name.endswith("/") else name) == key


def check_bucket(address: str, *, overwrite: bool = False) -> None:
    """Refuse an address before any expensive work. Writes nothing.

    Raises:
        OutputError: the location holds something not to be replaced, or the bucket does not answer.
    """
    store, name = open_bucket(address)
    with bucket_errors(address):
        _check_name(store, name, address, overwrite)


def upload_output(
    local: Path,
    address: str,
    *,
    job: str = "",
    overwrite: bool = False,
    progress: Progress | None = None,
    client: ClientConfig | None = None,
) -> None:
    """Upload a finished output; resumes an interrupted upload with the missing objects.

    Args:
        local: a folder of tiles, for an address that ends in a slash, or a file, whose further layers lie beside it.
        job: digest of the job, stored as metadata.
        overwrite: replace an existing output; in a folder only files of geo2map.
        progress: called with "objects" and the number sent.
        client: see `geo2map.buckets.objects.open_bucket`.

    Raises:
        OutputError: the location holds something not to be replaced, another run is writing it, or the bucket rejects
            the upload.
    """
    store, name = open_bucket(address, client)
    if local.is_dir() != name.endswith("/"):
        raise OutputError(f"{address}: must {'' if local.is_dir() else 'not '}end in a slash for {local.name}")
    lock, identity, beside = f"{name}{LOCK}", _identity(local), {} if local.is_dir() else _layer_files(local, name)
    with bucket_errors(address):
        _check_name(store, name, address, overwrite)
        for other in beside:
            if not (overwrite or (job and job_of(store, other) == job) or find_object(store, other) is None):
                raise OutputError.exists(f"{address.removesuffix(name)}{other}")
        if take_lock(store, lock, identity, address) and not overwrite:
            reject_if_complete(store, name, address)
        if local.is_dir():
            _send_folder(store, local, name, _Upload(identity, job, progress))
        else:
            for other, path in {**beside, name: local}.items():
                _send_file(store, path, other, job)
        store.delete(lock)


def _check_name(store: ObjectStore, name: str, address: str, overwrite: bool) -> None:
    if name.endswith("/"):
        _check_prefix(store, name, address, overwrite)
    elif not overwrite and is_complete(store, name):
        raise OutputError.exists(address)


def reject_if_complete(store: ObjectStore, name: str, address: str) -> None:
    """Release a lock that was just taken if another run finished the output in the meantime.

    Raises:
        OutputError: a finished output exists.
    """
    if is_complete(store, name):
        store.delete(f"{name}{LOCK}")
        raise OutputError.exists(address)


def is_complete(store: ObjectStore, name: str) -> bool:
    """Whether a finished output of this name exists."""
    return find_object(store, f"{name}{FILE_NAME}" if name.endswith("/") else name) is not None


def _identity(local: Path) -> str:
    """Digest of a finished output: two runs of the same job write the same bytes."""
    digest = hashlib.sha256()
    if local.is_dir():
        for name in (FILE_NAME, JOURNAL_NAME):
            if (local / name).is_file():
                digest.update((local / name).read_bytes())
    else:
        with local.open("rb") as file:
            while piece := file.read(2**20):
                digest.update(piece)
    return digest.hexdigest()


def _check_prefix(store: ObjectStore, prefix: str, address: str, overwrite: bool) -> None:
    if (marker := find_object(store, prefix + FILE_NAME)) is None:
        found = [item["path"] for item in islice(list_objects(store, prefix), 3)]
        if found and find_object(store, prefix + LOCK) is None:
            raise OutputError(f"{address}: holds {found[0]}, which is not marked as geo2map's; choose another address")
        return
    try:
        ours = "geo2map" in json.loads(bytes(store.get(prefix + FILE_NAME).bytes()))
    except (ValueError, TypeError):
        ours = False
    if not ours:
        raise OutputError(f"{address}: holds a {FILE_NAME} of another program; choose another address")
    if not overwrite and find_object(store, prefix + LOCK) is None:
        raise OutputError.exists(address, f"{marker['size']} bytes of {FILE_NAME}")


def files_before_document(local: Path) -> list[str]:
    """Names of the files to send before the document that completes the folder; journals stay local."""
    files = (path for path in local.rglob("*") if path.is_file() and path.name != JOURNAL_NAME)
    names = sorted(path.relative_to(local).as_posix() for path in files)
    return [name for name in names if name != FILE_NAME]


class _Upload(NamedTuple):
    """A folder being uploaded: content digest (as in the lock), job, and progress callback."""

    identity: str
    job: str
    progress: Progress | None


def _send_folder(store: ObjectStore, local: Path, prefix: str, sending: _Upload) -> None:
    """Send new and changed files of a folder, its document last; then delete other tiles."""
    progress = sending.progress
    remote = {item["path"][len(prefix) :]: _RemoteObject.of(item) for item in list_objects(store, prefix)}
    since = _since(remote.pop(LOCK, None), local, sending.identity)
    names = files_before_document(local)

    def send(name: str) -> None:
        data = (local / name).read_bytes()
        if name not in remote or not remote[name].matches(data, since):
            store.put(prefix + name, data, attributes=object_attributes(name))

    with start_threads(SENDERS, "send") as senders:
        for done, _ in enumerate(_windowed(senders, send, names), 1):
            if progress is not None:
                progress("objects", done, len(names))
    document = (local / FILE_NAME).read_bytes()
    store.put(prefix + FILE_NAME, document, attributes=object_attributes(FILE_NAME, sending.job))
    kept = set(names)
    stale = [prefix + name for name in remote if _is_tile(name) and name not in kept]
    if stale:
        store.delete(stale)


def _is_tile(name: str) -> bool:
    """Whether an object name is a tile of the map or of a further layer, or the TileJSON of such a layer."""
    layers = "|".join(LAYERS)
    tile = rf"(({layers})/)?\d+/\d+/\d+\.(png|webp|avif|jpg|pbf)"
    return re.fullmatch(rf"{tile}|({layers})/{re.escape(FILE_NAME)}", name) is not None


class _RemoteObject(NamedTuple):
    """An existing object; small, since there may be millions."""

    etag: str
    size: int
    time: datetime

    @classmethod
    def of(cls, item: ObjectMeta) -> _RemoteObject:
        return cls(str(item["e_tag"] or "").strip('"'), item["size"], item["last_modified"])

    def matches(self, data: bytes, since: datetime | None) -> bool:
        """Whether it has these bytes: by its MD5, or because this very upload wrote it."""
        return self.etag == _md5(data) or (since is not None and self.size == len(data) and self.time > since)


def _since(lock: _RemoteObject | None, local: Path, identity: str) -> datetime | None:
    """Time of the lock for these very bytes: whatever is newer belongs to this output, whoever wrote it.

    None if ETags are MD5s, which say more (S3, unless it encrypts with customer keys), and for folders without a
    journal, whose identity does not cover every tile.
    """
    if lock is None or lock.etag == _md5(identity.encode()) or not (local / JOURNAL_NAME).is_file():
        return None
    return lock.time


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _windowed(pool: Executor, send: Callable[[str], None], names: Iterable[str]) -> Iterator[None]:
    """Send in order, a few hundred at a time, to bound memory and the wait on stopping."""
    rest = iter(names)
    while some := list(islice(rest, 16 * SENDERS)):
        yield from pool.map(send, some)


def _layer_files(local: Path, name: str) -> dict[str, Path]:
    """The files of a file's further layers, by the names of their objects."""
    found = {layer: layer_path(local, layer, is_folder=False) for layer in LAYERS}
    there = {layer: path for layer, path in found.items() if path.is_file()}
    return {layer_path(Path(name), layer, is_folder=False).as_posix(): path for layer, path in there.items()}


def _send_file(store: ObjectStore, local: Path, name: str, job: str) -> None:
    part = max(LEAST_PART, -(-local.stat().st_size // MOST_PARTS))
    store.put(name, local, attributes=object_attributes(name, job), chunk_size=part)
