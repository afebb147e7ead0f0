"""A folder of XYZ tiles with its TileJSON and the journal of how it was made."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from geo2map.files.atomic import hidden_sibling, output_errors
from geo2map.ledger.journal import Journal
from geo2map.ledger.origin import Origin
from geo2map.protocols import Progress, StoredTiles, TileStore
from geo2map.tiles.folder import XyzFolder
from geo2map.tiles.inventory import JOURNAL_NAME
from geo2map.tiles.pyramid import build_parents
from geo2map.tiles.store import FolderStore
from geo2map.types import Tile

PARENTS_AT_ONCE = 256


def journal_path(path: Path) -> Path:
    """Where a finished output keeps its journal: in its folder, or hidden beside its file."""
    return path / JOURNAL_NAME if path.is_dir() else hidden_sibling(path, "journal")


def has_record(final: Path, *, is_folder: bool) -> bool:
    """Whether an output of this kind is there, and a record of how it was made."""
    return (final.is_dir() if is_folder else final.is_file()) and journal_path(final).is_file()


def load_journal(path: Path) -> Journal | None:
    """The journal that a finished output keeps, for reading; None where there is none, or what is kept is an `Origin`.

    Raises:
        OutputError: it is damaged.
    """
    if Origin.load(path := journal_path(path)) is not None or not path.is_file():
        return None
    return Journal(path, read_only=True)


def open_folder(result: Path, final: Path, journal: Journal) -> TileStore:
    """The tiles of a folder in the making: those at `result`, over the finished set `final` where that is changed.

    Raises:
        OutputError: the folder cannot be made.
    """
    storage = journal.job.storage
    with output_errors(final):
        result.mkdir(exist_ok=True)
    made = FolderStore(result, storage.codec.suffix, storage.scheme)
    return OverlayStore(made, XyzFolder(final), journal) if journal.is_overlay else made


def build_overviews(
    store: TileStore, journal: Journal, made_down_to: int | None = None, progress: Progress | None = None
) -> None:
    """Makes the overviews above the blocks, and records them.

    Args:
        made_down_to: lowest zoom that is there; None is what blocks hold.

    Raises:
        TileSetError: a stored tile was damaged meanwhile.
        OutputError: one cannot be written.
    """
    plan, storage = journal.job.plan, journal.job.storage
    assert storage.minzoom is not None, "the storage of a job is resolved"
    made = plan.maxzoom - storage.levels(plan) if made_down_to is None else made_down_to
    parents = build_parents(store, storage.codec, store.tiles(made), storage.minzoom, progress=progress)
    while some := dict(islice(parents, PARENTS_AT_ONCE)):
        store.sync()
        journal.record_parents(some)


class OverlayStore:
    """What a finished set of tiles will be (a `geo2map.protocols.TileStore`): changed tiles over those it has.

    Nothing of the finished set is touched.
    """

    def __init__(self, changed: TileStore, finished: StoredTiles, journal: Journal) -> None:
        self._changed, self._finished, self._journal = changed, finished, journal

    @property
    def zooms(self) -> tuple[int, ...]:
        return tuple(sorted({*self._changed.zooms, *self._finished.zooms}))

    def put(self, tile: Tile, data: bytes) -> None:
        self._changed.put(tile, data)

    def get(self, tile: Tile) -> bytes | None:
        if (data := self._changed.get(tile)) is not None:
            return data
        return None if self._journal.is_removed(tile) else self._finished.get(tile)

    def tiles(self, zoom: int) -> Iterator[Tile]:
        """What differs from the finished set: tiles that changed, and those that are to go."""
        yield from sorted({*self._changed.tiles(zoom), *self._journal.removed(zoom)})

    def sync(self) -> None:
        self._changed.sync()
