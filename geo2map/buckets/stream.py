"""Folders of tiles straight into a bucket: each tile when it is made, the documents when all are there.

What is sent is in the journal of the run, on this machine's disk: a block is recorded when the bucket has all its
tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from threading import Lock
from typing import TYPE_CHECKING

from geo2map.buckets.objects import (
    LOCK,
    SENDERS,
    bucket_errors,
    object_attributes,
    open_bucket,
    take_lock,
)
from geo2map.buckets.uploads import check_bucket, files_before_document, is_complete, job_key, look_again, spool_for
from geo2map.files.closing import Closing
from geo2map.threads import start_threads
from geo2map.tiles.layer import MAP
from geo2map.tiles.tilejson import FILE_NAME
from geo2map.types import Tile

if TYPE_CHECKING:
    from obstore.store import ObjectStore

    from geo2map.ledger.output import Output, Sink
    from geo2map.pipeline.report import Report


class BucketSink(Closing):
    """A bucket as the place for a folder's tiles (a `geo2map.ledger.output.Sink`).

    A context manager that lets go of its threads.
    """

    def __init__(self, store: ObjectStore, prefix: str, address: str) -> None:
        """
        Args:
            prefix: of the objects' names, with a slash at its end.
            address: for errors.
        """
        self.store, self.prefix, self.address = store, prefix, address
        self.senders = start_threads(SENDERS, "put")

    def __call__(self, output: Output, layer: str) -> BucketTiles:
        """The tiles of a layer of an open output."""
        return BucketTiles(self, output, layer)

    def close(self) -> None:
        """Drops what is not sent; harmless when repeated."""
        self.senders.shutdown(cancel_futures=True)


class BucketTiles:
    """One layer's tiles as objects (a `geo2map.protocols.TileStore`); the output's journal lists them."""

    def __init__(self, sink: BucketSink, output: Output, layer: str) -> None:
        self._sink, self._lock = sink, Lock()
        self._storage, self._records = output.job.storage, output.journal.layer(layer)
        self._prefix = sink.prefix if layer == MAP else f"{sink.prefix}{layer}/"
        self._suffix = output.job.layers[layer].codec.suffix
        self._under_way: list[Future[None]] = []

    @property
    def zooms(self) -> tuple[int, ...]:
        return self._records.zooms

    def put(self, tile: Tile, data: bytes) -> None:
        """Begins to send a tile; `sync` tells whether that went well."""
        sending = self._sink.senders.submit(self._put, self._name(tile), data)
        with self._lock:
            self._under_way.append(sending)

    def get(self, tile: Tile) -> bytes | None:
        """
        Raises:
            OutputError: the bucket does not answer.
        """
        with bucket_errors(self._sink.address), suppress(FileNotFoundError):
            return bytes(self._sink.store.get(self._name(tile)).bytes())
        return None

    def tiles(self, zoom: int) -> Iterator[Tile]:
        return self._records.tiles(zoom)

    def sync(self) -> None:
        """Waits until the bucket has everything put so far.

        Raises:
            OutputError: the bucket rejected it.
        """
        with self._lock:
            under_way, self._under_way = self._under_way, []
        with bucket_errors(self._sink.address):
            for sending in under_way:
                sending.result()

    def _put(self, name: str, data: bytes) -> None:
        self._sink.store.put(name, data, attributes=object_attributes(name))

    def _name(self, tile: Tile) -> str:
        row = 2**tile.z - 1 - tile.y if self._storage.scheme == "tms" else tile.y
        return f"{self._prefix}{tile.z}/{tile.x}/{row}{self._suffix}"


def is_fresh(address: str) -> bool:
    """Whether tiles may go straight to an address: a folder, and no finished map is there that they would spoil."""
    if not address.endswith("/"):
        return False
    store, prefix = open_bucket(address)
    with bucket_errors(address):
        return not is_complete(store, prefix)


def stream_to_bucket(
    address: str,
    make: Callable[[Path, Sink], Report],
    key: str,
    *,
    tmp: str | Path | None = None,
) -> Report | None:
    """Makes a folder of tiles of which only documents and journal are made on this machine's disk.

    Args:
        make: makes the output at a path, with its tiles elsewhere.
        key, tmp: as `geo2map.buckets.uploads.stage_and_upload` has them.

    Returns:
        What `make` says; None where only the documents were left.

    Raises:
        OutputError: something is there that is not ours, another writer is at work, or the bucket does not take it.
    """
    check_bucket(address)
    store, prefix = open_bucket(address)
    home = spool_for(address, key, tmp)
    with bucket_errors(address):
        if take_lock(store, prefix + LOCK, job_key(address, key), address):
            rmtree(home, ignore_errors=True)  # of a run whose tiles somebody removed
            look_again(store, prefix, address)
    home.mkdir(parents=True, exist_ok=True)
    local, report = home / "tiles", None
    if not local.exists():
        with BucketSink(store, prefix, address) as sink:
            report = make(local, sink)
    with bucket_errors(address):
        for name in (*files_before_document(local), FILE_NAME):
            attributes = object_attributes(name, key if name == FILE_NAME else "")
            store.put(prefix + name, (local / name).read_bytes(), attributes=attributes)
        store.delete(prefix + LOCK)
    rmtree(home, ignore_errors=True)
    return report
