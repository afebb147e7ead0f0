"""Folders of tiles streamed into a bucket: tiles as they are rendered, documents at the end.

The journal of the run stays on the local disk: a block is recorded after the bucket has received all its tiles.
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
from geo2map.buckets.uploads import (
    check_bucket,
    files_before_document,
    is_complete,
    job_key,
    reject_if_complete,
    spool_for,
)
from geo2map.files.closing import Closing
from geo2map.threads import start_threads
from geo2map.tiles.layer import MAP
from geo2map.tiles.place import row_number
from geo2map.tiles.tilejson import FILE_NAME
from geo2map.types import Tile

if TYPE_CHECKING:
    from obstore.store import ObjectStore

    from geo2map.ledger.output import Output, Sink
    from geo2map.pipeline.report import Report


class BucketSink(Closing):
    """A bucket as the destination of a folder's tiles (a `geo2map.ledger.output.Sink`).

    A context manager that ends its threads.
    """

    def __init__(self, store: ObjectStore, prefix: str, address: str) -> None:
        """
        Args:
            prefix: common prefix of the object names, ending in a slash.
            address: for messages.
        """
        self.store, self.prefix, self.address = store, prefix, address
        self.senders = start_threads(SENDERS, "put")

    def __call__(self, output: Output, layer: str) -> BucketTiles:
        return BucketTiles(self, output, layer)

    def close(self) -> None:
        """Drop what is not sent; may be repeated."""
        self.senders.shutdown(cancel_futures=True)


class BucketTiles:
    """One layer's tiles as objects (a `geo2map.protocols.TileStore`), listed by the output's journal."""

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
        """Start to send a tile; `sync` reports errors."""
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
        """Wait until the bucket has received everything put so far.

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
        row = row_number(tile.z, tile.y, self._storage.scheme)
        return f"{self._prefix}{tile.z}/{tile.x}/{row}{self._suffix}"


def can_stream(address: str) -> bool:
    """Whether tiles may be streamed to an address: a folder without a finished output."""
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
    """Render a folder into a bucket; only documents and journal are written to the local disk.

    Args:
        make: renders the output at a path, with its tiles in a sink.
        key, tmp: see `geo2map.buckets.uploads.stage_and_upload`.

    Returns:
        The report of `make`; None if only documents were left to send.

    Raises:
        OutputError: the location holds foreign objects, another run is writing it, or the bucket rejects the upload.
    """
    check_bucket(address)
    store, prefix = open_bucket(address)
    home = spool_for(address, key, tmp)
    with bucket_errors(address):
        if take_lock(store, prefix + LOCK, job_key(address, key), address):
            rmtree(home, ignore_errors=True)  # left by a run whose tiles were deleted
            reject_if_complete(store, prefix, address)
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
