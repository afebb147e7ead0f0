"""Outputs made here and sent to a bucket, visible when they are complete.

A bucket has no renames. What stands in for them: an output's lock is an object that only one writer can create, a
folder's `tilejson.json` comes last and says that the rest is there, and one object is there whole or not at all.
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
from geo2map.tiles.layer import LAYERS
from geo2map.tiles.tilejson import FILE_NAME

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ClientConfig, ObjectStore

    from geo2map.pipeline.report import Report

LEAST_PART, MOST_PARTS = 5 * 2**20, 9_000
"""S3 takes parts of 5 MiB or more, and 10,000 of them."""


def stage_and_upload(
    address: str,
    make: Callable[[Path], Report],
    key: str,
    *,
    tmp: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Report | None:
    """Makes an output on this machine's disk and sends it to a bucket; what is here is removed when it is there.

    Args:
        make: makes the output at a path.
        key: what the output depends on, see `job_key`: a run of the same key goes on where another was stopped.
        tmp: folder to make it in; it needs room for the output and its spool.

    Returns:
        What `make` says; None where the output had been made, and only sending it was left.

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
    """Sixteen hex digits for what an output depends on."""
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def spool_for(address: str, key: str, tmp: str | Path | None) -> Path:
    """The folder of this machine in which the output of a key is made for an address."""
    return Path(tmp or tempfile.gettempdir()) / f"geo2map-{job_key(address, key)}"


def holds(address: str, key: str) -> bool:
    """Whether a finished output of a key is there already.

    Raises:
        OutputError: the bucket does not answer.
    """
    store, name = open_bucket(address)
    with bucket_errors(address):
        return job_of(store, f"{name}{FILE_NAME}" if name.endswith("/") else name) == key


def check_bucket(address: str, *, overwrite: bool = False) -> None:
    """Refuses at once what would be refused later anyway. Writes nothing.

    Raises:
        OutputError: something is there that must not go, or the bucket does not answer.
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
    """Sends a finished output to a bucket; one that was stopped goes on with the objects that are not there yet.

    Args:
        local: a folder of tiles, for an address that ends in a slash, or a file.
        job: what it was made of, which the bucket keeps with it.
        overwrite: replace an output that is there; of a folder only what geo2map made.
        progress: told "objects" and how many are sent.
        client: see `geo2map.buckets.objects.open_bucket`.

    Raises:
        OutputError: something is there that must not go, another writer is at work, or the bucket does not take it.
    """
    store, name = open_bucket(address, client)
    if local.is_dir() != name.endswith("/"):
        raise OutputError(f"{address} must {'' if local.is_dir() else 'not '}end in a slash for {local.name}")
    lock, identity = f"{name}{LOCK}", _identity(local)
    with bucket_errors(address):
        _check_name(store, name, address, overwrite)
        if take_lock(store, lock, identity, address) and not overwrite:
            look_again(store, name, address)
        if local.is_dir():
            _send_folder(store, local, name, _Sending(identity, job, progress))
        else:
            _send_file(store, local, name, job)
        store.delete(lock)


def _check_name(store: ObjectStore, name: str, address: str, overwrite: bool) -> None:
    """
    Raises:
        OutputError: something is there that must not go.
    """
    if name.endswith("/"):
        _check_prefix(store, name, address, overwrite)
    elif not overwrite and is_complete(store, name):
        raise OutputError.exists(address)


def look_again(store: ObjectStore, name: str, address: str) -> None:
    """Gives up a lock that was just taken where another writer ended between the look and the lock.

    Raises:
        OutputError: a finished output is there.
    """
    if is_complete(store, name):
        store.delete(f"{name}{LOCK}")
        raise OutputError.exists(address)


def is_complete(store: ObjectStore, name: str) -> bool:
    """Whether there is a finished output of this name."""
    return find_object(store, f"{name}{FILE_NAME}" if name.endswith("/") else name) is not None


def _identity(local: Path) -> str:
    """What tells one finished output from another: two writers of the same one write the same bytes."""
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
    """
    Raises:
        OutputError: something is there that is not ours, or ours and may not go.
    """
    if (marker := find_object(store, prefix + FILE_NAME)) is None:
        found = [item["path"] for item in islice(list_objects(store, prefix), 3)]
        if found and find_object(store, prefix + LOCK) is None:
            raise OutputError(f"{address} holds {found[0]}, and nothing says that it is geo2map's: choose another")
        return
    try:
        ours = "geo2map" in json.loads(bytes(store.get(prefix + FILE_NAME).bytes()))
    except (ValueError, TypeError):
        ours = False
    if not ours:
        raise OutputError(f"{address} holds a {FILE_NAME} of another program: choose another place")
    if not overwrite and find_object(store, prefix + LOCK) is None:
        raise OutputError.exists(address, f"{marker['size']} bytes of {FILE_NAME}")


def files_before_document(local: Path) -> list[str]:
    """Names of a folder's files that are sent before the document that completes it; journals stay here."""
    files = (path for path in local.rglob("*") if path.is_file() and path.name != JOURNAL_NAME)
    names = sorted(path.relative_to(local).as_posix() for path in files)
    return [name for name in names if name != FILE_NAME]


class _Sending(NamedTuple):
    """A folder on its way: its content as the lock has it, its job, and who is told how far it is."""

    identity: str
    job: str
    progress: Progress | None


def _send_folder(store: ObjectStore, local: Path, prefix: str, sending: _Sending) -> None:
    """Sends all files of a set that are not there with these bytes, its document last; then removes other tiles."""
    progress = sending.progress
    there = {item["path"][len(prefix) :]: _Known.of(item) for item in list_objects(store, prefix)}
    since = _since(there.pop(LOCK, None), local, sending.identity)
    names = files_before_document(local)

    def send(name: str) -> None:
        data = (local / name).read_bytes()
        if name not in there or not there[name].has(data, since):
            store.put(prefix + name, data, attributes=object_attributes(name))

    with start_threads(SENDERS, "send") as senders:
        for done, _ in enumerate(_windowed(senders, send, names), 1):
            if progress is not None:
                progress("objects", done, len(names))
    document = (local / FILE_NAME).read_bytes()
    store.put(prefix + FILE_NAME, document, attributes=object_attributes(FILE_NAME, sending.job))
    kept = set(names)
    stale = [prefix + name for name in there if _is_tile(name) and name not in kept]
    if stale:
        store.delete(stale)


def _is_tile(name: str) -> bool:
    """Whether an object of this name is a tile of the map or of a further layer, or the document of such a layer."""
    layers = "|".join(LAYERS)
    tile = rf"(({layers})/)?\d+/\d+/\d+\.(png|webp|avif|jpg)"
    return re.fullmatch(rf"{tile}|({layers})/{re.escape(FILE_NAME)}", name) is not None


class _Known(NamedTuple):
    """What is known of an object: little, since there may be millions."""

    etag: str
    size: int
    time: datetime

    @classmethod
    def of(cls, item: ObjectMeta) -> _Known:
        return cls(str(item["e_tag"] or "").strip('"'), item["size"], item["last_modified"])

    def has(self, data: bytes, since: datetime | None) -> bool:
        """Whether it has these bytes: by its MD5, or because it is of this very output's own run."""
        return self.etag == _md5(data) or (since is not None and self.size == len(data) and self.time > since)


def _since(lock: _Known | None, local: Path, identity: str) -> datetime | None:
    """When the lock was taken for these very bytes; what came later is of them, whoever wrote it.

    None where ETags say more, which are MD5s on S3 (unless it encrypts with keys of its own), and for folders whose
    identity does not depend on every tile, since they have no journal.
    """
    if lock is None or lock.etag == _md5(identity.encode()) or not (local / JOURNAL_NAME).is_file():
        return None
    return lock.time


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _windowed(pool: Executor, send: Callable[[str], None], names: Iterable[str]) -> Iterator[None]:
    """Sends in order, a few hundred at a time, so that neither memory nor a stop waits for all."""
    rest = iter(names)
    while some := list(islice(rest, 16 * SENDERS)):
        yield from pool.map(send, some)


def _send_file(store: ObjectStore, local: Path, name: str, job: str) -> None:
    part = max(LEAST_PART, -(-local.stat().st_size // MOST_PARTS))
    store.put(name, local, attributes=object_attributes(name, job), chunk_size=part)
