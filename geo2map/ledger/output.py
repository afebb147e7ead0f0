"""An output under construction: finished blocks persist, and it becomes visible when it is complete."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from geo2map.colour.palette import Palette
from geo2map.errors import Geo2MapError, OutputError, TileSetError
from geo2map.files.atomic import output_errors, write_whole
from geo2map.formats.containers import Container
from geo2map.formats.documents.sidecars import job_sidecars
from geo2map.formats.geotiff.held_crs import crs_beside
from geo2map.formats.vectors.read import FeatureFile
from geo2map.grid.block import Block
from geo2map.grid.raster import RasterGrid
from geo2map.ledger.derivation import ClassTiles, fill_tiles
from geo2map.ledger.finished import open_finished
from geo2map.ledger.journal import Journal
from geo2map.ledger.overlay import OverlayStore
from geo2map.ledger.overviews import build_overviews
from geo2map.ledger.publication import Publication
from geo2map.ledger.spool import SpoolStore
from geo2map.ledger.state import Stage
from geo2map.ledger.workspace import Workspace
from geo2map.pipeline.blocks import LayerTiles
from geo2map.pipeline.reading import BlockDone, BlockKey
from geo2map.pipeline.records import BlockRecord
from geo2map.pipeline.run import pending_blocks
from geo2map.plan.storage import CLASSES, SCORES
from geo2map.protocols import Progress, StoredTiles, TileStore
from geo2map.tiles.doubt import Doubt
from geo2map.tiles.folder import XyzFolder
from geo2map.tiles.layer import MAP, Layer
from geo2map.tiles.store import FolderStore, MemoryStore
from geo2map.tiles.tilejson import TileSet


class Output:
    """One output and its journal; see `geo2map.ledger.open_output`. A context manager.

    Attributes:
        path: path as given by the caller.
        job: the job of the run.
        container: type of the output.
        journal: progress so far.
        records: the record of each block when the output was opened.
        resumed: whether an interrupted run is resumed.
        complete: whether nothing is left to do.
        doubt: where the map is doubtful by the records of this journal, once it is complete.
        lowest_complete_zoom: lowest zoom whose tiles are all stored, overviews included; None is the lowest zoom that
            blocks hold.
        stores: the tiles of each layer; replaced by a sink's stores.
        parts: journals of parts whose tiles this journal does not list.
    """

    lowest_complete_zoom: int | None = None
    parts: Sequence[Path] = ()
    doubt: Doubt | None = None
    _incomplete = False

    def __init__(
        self, path: Path, container: Container, workspace: Workspace, journal: Journal, *, resumed: bool
    ) -> None:
        self.path, self.job, self.container, self.journal = path, journal.job, container, journal
        self.records: dict[BlockKey, BlockRecord] = journal.blocks()
        self.resumed, self.complete = resumed, False
        self.publication = Publication(workspace, container, journal)
        self._workspace, self._kept, self._discarded, self._open = workspace, 0, False, ExitStack()

    @cached_property
    def stores(self) -> dict[str, TileStore]:
        """The tiles stored so far, by layer."""
        return {name: self._store(layer) for name, layer in {**self.job.layers, **self.job.block_layers}.items()}

    @property
    def store(self) -> TileStore:
        """The tiles of the map stored so far."""
        return self.stores[MAP]

    def _store(self, layer: Layer) -> TileStore:
        name, final = layer.name, self.publication.layer(layer.name)
        made: TileStore = SpoolStore(self.journal, name)
        if self.container.is_folder and not layer.is_working:
            folder = self.publication.draft(name)
            with output_errors(self.path):
                folder.mkdir(exist_ok=True)
            made = FolderStore(folder, layer.codec.suffix, self.job.storage.scheme)
        if not self.journal.is_overlay:
            return made
        return OverlayStore(made, self._finished(final, layer), self.journal.layer(name), str(self.path))

    def _finished(self, final: Path, layer: Layer) -> StoredTiles:
        """The finished layer to be changed; empty if it is missing or damaged and has to be rebuilt."""
        if not final.exists():
            return MemoryStore()
        if self.container.is_folder:
            return XyzFolder(final)
        try:
            opened = open_finished(final, self.container, self.job.storage, layer.codec)
        except TileSetError:
            if layer.name == MAP:
                raise
            return MemoryStore()
        self._open.callback(opened.close)
        return opened

    @property
    def block_count(self) -> int:
        return self.job.plan.block_count

    def blocks(self) -> Iterator[Block]:
        """The blocks still to be rendered."""
        return pending_blocks(self.job, self.records)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Keep finished blocks, discard an empty workspace, and add a note on resuming to the error."""
        if not self.complete and self._is_worthless:
            self.close()
            with suppress(Geo2MapError):
                self._workspace.discard()
        elif not self.complete and error is not None:
            error.add_note(self._resume_hint())
        self.close()
        self._workspace.release()

    @property
    def _is_worthless(self) -> bool:
        """Whether nothing of the run is worth keeping; a half-published output always is."""
        idle = not (self._kept or self.resumed) and self.journal.stage is Stage.MAKING
        return self._discarded or idle

    @property
    def is_incomplete(self) -> bool:
        """Whether it was published with blocks still to be rendered."""
        return self._incomplete

    def close(self) -> None:
        """Close the journal and the finished files; may be repeated."""
        self.journal.close()
        self._open.close()

    def _resume_hint(self) -> str:
        with suppress(Geo2MapError):
            self.records = self.journal.blocks()
        done = sum(record.pending_reason is None for record in self.records.values())
        return (
            f"{done} of {self.block_count} blocks of {self.path} are kept; run the same command again to resume, or "
            f"delete them with: geo2map clean {self.path}"
        )

    def keep(self, done: BlockDone, tiles: LayerTiles) -> None:
        """Store a block: its tiles first, then its record.

        Raises:
            OutputError: it cannot be written.
        """
        for name, some in tiles.items():
            for tile, data in some.items():
                self.stores[name].put(tile, data)
        for name in tiles:
            self.stores[name].sync()
        self.journal.record(done, tiles)
        self._kept += done.error is None

    def finish(self, progress: Progress | None = None) -> None:
        """Build the overviews above the blocks and the container, and publish it.

        Raises:
            OutputError: no block has a tile, or it cannot be written (finished blocks persist).
            TileSetError: a stored tile was damaged meanwhile.
        """
        first = next(iter(self.job.block_layers))
        if not self.journal.layer(first).any() and not (self.parts and self.stores[first].zooms):
            self._discarded = True
            raise OutputError(f"{self.path}: would be empty; {self._why_empty()}")
        try:
            self._make(progress)
        except TileSetError:
            if self.journal.is_overlay and not self.container.is_folder:  # the old file needs repair first
                self._discarded = True
            raise
        self._open.close()  # Windows cannot replace an open file
        self.publication.commit()
        self.settle()

    def _why_empty(self) -> str:
        records = self.journal.blocks().values()
        unread = [record.pending_reason for record in records if record.pending_reason is not None]
        if not unread:
            return "no valid pixel there; check the scene and the area"
        if len(unread) == len(records):
            return f"no block could be read ({unread[0]})"
        return f"{len(unread)} of {len(records)} blocks could not be read ({unread[0]}), the others hold no valid pixel"

    def _make(self, progress: Progress | None) -> None:
        made: dict[str, Path] = {}
        for stale in self._workspace.staged().values():  # an earlier attempt may have had another presentation
            stale.unlink(missing_ok=True)
        for name, layer in self.job.layers.items():
            told = progress if name == MAP else None
            store, tileset = self.stores[name], self.job.tileset_of(layer)
            if layer.pixels is None:
                features = self._derive(store, layer, tileset, told)
                if self.container.export is not None:
                    made[name] = self.publication.write_features(features, self.job.storage, told)
                    continue
            else:
                records = self.journal.layer(name)
                build_overviews(self.job, layer, store, records, self.lowest_complete_zoom, progress=told)
            made[name] = self.publication.write_layer(name, store, tileset, self.job.storage, told)
            grid = self.job.storage.grid
            crs = crs_beside(made[name], grid) if isinstance(grid, RasterGrid) else None
            self.publication.stage_companions(name, tileset, crs)
        if self.container.is_folder:
            self._write_sidecars(made[MAP])
        if self.container.is_folder or not self.job.storage.bare:
            self.publication.stage_record(made, self.parts, sealed=not self.container.is_folder)

    def _derive(self, store: TileStore, layer: Layer, tileset: TileSet, progress: Progress | None) -> FeatureFile:
        """Read the features out of the blocks, and make the map's tiles from them."""
        storage = self.job.storage
        blocks = ClassTiles(self.stores[CLASSES], self.stores.get(SCORES), Palette(storage.legend or ()))
        features = blocks.extract(tileset, storage.feature_style, self._workspace.spool, progress)
        if self.container.export is None:
            record = self.journal.layer(layer.name).record_parents
            fill_tiles(store, features, blocks, tileset, storage, record=record, progress=progress)
        return features

    def _write_sidecars(self, folder: Path) -> None:
        if not self.job.storage.bare:
            for name, data in job_sidecars(self.job).items():
                write_whole(folder / name, data)

    def settle(self) -> None:
        """End the run of a published output. The workspace is removed, unless unreadable blocks are pending: a later
        run rebuilds the file with them."""
        self.complete, self.doubt = True, Doubt.of(self.journal.doubt.counts())
        rebuilt = (
            self.container.is_folder and not self.job.storage.is_derived
        )  # tile by tile, without the blocks kept here
        self._incomplete = self.journal.is_incomplete and not rebuilt
        if self._incomplete:
            self.journal.stage, self.journal.may_replace = Stage.PUBLISHED, True
            return
        self.close()
        self._workspace.discard()


Sink = Callable[[Output, str], TileStore]
"""Provides the stores for the layers of an open folder output, e.g. in a bucket."""
