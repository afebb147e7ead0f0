"""An output in the making: what is done of it is kept, whatever happens, and it is visible when it is complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from geo2map.errors import Geo2MapError, OutputError, TileSetError
from geo2map.files.atomic import output_errors, write_whole
from geo2map.formats.containers import Container, TileFile
from geo2map.formats.documents.companions import companion_files
from geo2map.formats.documents.sidecars import job_sidecars
from geo2map.formats.geotiff.held_crs import crs_beside
from geo2map.grid.raster import RasterGrid
from geo2map.ledger.content import content_digest
from geo2map.ledger.finished import UpdatedTiles, open_finished
from geo2map.ledger.folder import OverlayStore, build_overviews, journal_path, open_folder
from geo2map.ledger.journal import Journal
from geo2map.ledger.publish import publish_changes, publish_file, publish_folder, stage
from geo2map.ledger.source_tiles import SourceTiles
from geo2map.ledger.spool import SpoolStore
from geo2map.ledger.workspace import Workspace
from geo2map.pipeline.blocks import BlockDone, BlockKey
from geo2map.pipeline.records import BlockRecord
from geo2map.protocols import Progress, StoredTiles, TileStore
from geo2map.tiles.inventory import JOURNAL_NAME
from geo2map.types import Tile


class Output:
    """One output and the journal of its run; see `geo2map.ledger.open_output`. A context manager that lets go of it.

    Attributes:
        path: as it was asked for.
        job: what is being made.
        container: which kind of output it is.
        journal: what is done so far.
        records: what was done of each block when it was opened.
        resumed: whether an earlier run left something.
        complete: nothing is left to do.
        made_down_to: lowest zoom whose tiles were all kept, overviews included; None is what blocks hold.
        elsewhere: where the tiles are if they are not kept here; if its zooms are unknown (), the journal counts.
        parts: journals of tiles that lie elsewhere, which this one does not list.
    """

    made_down_to: int | None = None
    elsewhere: TileStore | None = None
    parts: Sequence[Path] = ()

    def __init__(
        self, path: Path, container: Container, workspace: Workspace, journal: Journal, *, resumed: bool
    ) -> None:
        self.path, self.job, self.container, self.journal = path, journal.job, container, journal
        self.records: dict[BlockKey, BlockRecord] = journal.blocks()
        self.resumed, self.complete = resumed, False
        self._workspace, self._kept, self._open = workspace, 0, ExitStack()
        self._source = SourceTiles(workspace) if self.job.storage.with_source else None

    @cached_property
    def store(self) -> TileStore:
        """The tiles made so far."""
        if self.elsewhere is not None:
            return self.elsewhere
        if not self.container.is_folder:
            spool = SpoolStore(self.journal)
            return OverlayStore(spool, self._finished, self.journal) if self._is_overlay else spool
        return open_folder(self._workspace.result, self._workspace.final, self.journal)

    @cached_property
    def _finished(self) -> TileFile:
        """The file that is being brought up to date."""
        opened = open_finished(self._workspace.final, self.container, self.job.storage)
        self._open.callback(opened.close)
        return opened

    @property
    def _whole(self) -> StoredTiles:
        """All tiles of what is being made."""
        if self.container.is_folder or not self._is_overlay:
            return self.store
        return UpdatedTiles(self.store, self.journal, self.path)

    @property
    def _may_replace(self) -> bool:
        """Whether an output of the name goes: asked for, or our own of which some blocks were open or may change."""
        return self._is_overlay or "yes" in (self.journal.get("overwrite"), self.journal.get("incomplete"))

    @property
    def _is_overlay(self) -> bool:
        return self.journal.is_overlay

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Keeps what is done, unless that is nothing, and says with the error how to go on."""
        if not self.complete and not (self._kept or self.resumed):
            self._close()
            with suppress(Geo2MapError):
                self._workspace.discard()
        elif not self.complete and error is not None:
            error.add_note(self._way_on())
        self._close()
        self._workspace.release()

    def _close(self) -> None:
        if self._source is not None:
            self._source.journal.close()
        self.journal.close()
        self._open.close()

    def _way_on(self) -> str:
        with suppress(Geo2MapError):
            self.records = self.journal.blocks()
        done = sum(record.open is None for record in self.records.values())
        return (
            f"{done} of {self.job.plan.block_count} blocks of {self.path} are kept; run the same command again to go "
            f"on, or throw them away with: geo2map clean {self.path}"
        )

    def keep(self, done: BlockDone, tiles: Mapping[Tile, bytes]) -> None:
        """Stores a block: its tiles first, then the record that says so.

        Raises:
            OutputError: it cannot be written.
        """
        if self._source is not None:
            self._source.keep(done)
        for tile, data in tiles.items():
            self.store.put(tile, data)
        self.store.sync()
        self.journal.record(done, tiles)
        self._kept += done.error is None

    def finish(self, progress: Progress | None = None) -> None:
        """Makes the overviews above the blocks and the container, and gives it its name.

        Raises:
            OutputError: no block has a tile, or it cannot be written; in the latter case what is done is kept.
            TileSetError: a stored tile was damaged meanwhile.
        """
        if not self.journal.has_tiles() and not (self.elsewhere is not None and self.elsewhere.zooms):
            self._kept, self.resumed = 0, False
            raise OutputError(f"{self.path} would be empty: {self._why_empty()}")
        try:
            self._make(progress)
        except TileSetError:
            if self._is_overlay and not self.container.is_folder:  # the file is damaged: it has to be mended first
                self._kept, self.resumed = 0, False
            raise
        self.journal.set("state", "publishing")
        self.publish()

    def _why_empty(self) -> str:
        records = self.journal.blocks().values()
        unread = [record.open for record in records if record.open is not None]
        if not unread:
            return "no pixel is valid there; check the scene and the area"
        if len(unread) == len(records):
            return f"no block could be read ({unread[0]})"
        return f"{len(unread)} of {len(records)} blocks could not be read ({unread[0]}), the others hold no valid pixel"

    def _make(self, progress: Progress | None) -> None:
        build_overviews(self.store, self.journal, self.made_down_to, progress)
        if self._source is not None:
            self._source.finish()
        result = self._workspace.result if self.container.is_folder else self._workspace.making
        if self.container.is_folder:
            with output_errors(self.path):
                result.mkdir(exist_ok=True)
        try:
            self.container.writer(self.job.storage)(self._whole, self.job.tileset, result, progress)
            if self.container.is_folder:
                self._write_sidecars(result)
                self.journal.write_final(result / JOURNAL_NAME)
            else:
                self._workspace.take_result()
                self._stage_companions()
        except BaseException:
            if not self.container.is_folder:
                result.unlink(missing_ok=True)
            raise

    def _write_sidecars(self, folder: Path) -> None:
        if not self.job.storage.bare:
            for name, data in job_sidecars(self.job).items():
                write_whole(folder / name, data)

    def _stage_companions(self) -> None:
        """Makes what is to lie beside a file, so that only renames are left to be done."""
        final = self._workspace.final
        if self.container.is_raster:
            grid = self.job.storage.grid
            crs = crs_beside(self._workspace.result, grid) if isinstance(grid, RasterGrid) else None
            stage(self._workspace, companion_files(final, self.job.tileset, crs))
        if not self.job.storage.bare:
            result, kept = self._workspace.result, self._workspace.beside(journal_path(final).name)
            facts = {"size": str(result.stat().st_size), "content": content_digest(result)}
            self.journal.write_final(kept, self.parts, **facts)

    def publish(self) -> None:
        """Gives the finished thing its name: the last step, which the next run repeats if this one is killed in it."""
        result, final = self._workspace.result, self._workspace.final
        is_open = any(record.open is not None for record in self.journal.blocks().values())
        if not self.container.is_folder:
            self._open.close()  # Windows renames over no open file
            publish_file(self._workspace, overwrite=self._may_replace)
        elif self._is_overlay:
            if self._source is not None:
                self._source.publish_changes()
            publish_changes(result, final, self.journal)
        else:
            publish_folder(result, final, overwrite=self._may_replace)
        self.complete = True
        if is_open and not self.container.is_folder:  # the tiles stay for the run that takes up the open blocks
            self.journal.set("state", "published")
            self.journal.set("incomplete", "yes")
            return
        self._close()
        self._workspace.discard()
