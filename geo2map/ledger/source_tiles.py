"""The imagery's own tiles beside a map's: a tile set by itself in a folder of the map's, made block by block with it.

What is to be done is for the map's journal to say, whose records come last: a block that has none is made again.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

from geo2map.errors import OutputError
from geo2map.files.atomic import output_errors
from geo2map.formats.folder import write_folder
from geo2map.ledger.folder import build_overviews, open_folder
from geo2map.ledger.journal import Journal
from geo2map.ledger.publish import publish_changes
from geo2map.ledger.workspace import Workspace
from geo2map.pipeline.blocks import BlockDone
from geo2map.pipeline.records import Changes
from geo2map.plan.job import Job
from geo2map.protocols import TileStore
from geo2map.tiles.inventory import JOURNAL_NAME, SOURCE_FOLDER


class SourceTiles:
    """The imagery's tiles of one output in the making.

    Attributes:
        journal: of them alone.
    """

    def __init__(self, workspace: Workspace) -> None:
        """
        Raises:
            OutputError: its journal is missing or damaged.
        """
        self.journal = Journal(workspace.source_journal)
        self._result, self._final = workspace.result / SOURCE_FOLDER, workspace.final / SOURCE_FOLDER

    @cached_property
    def _store(self) -> TileStore:
        with output_errors(self._final):
            self._result.parent.mkdir(exist_ok=True)
        return open_folder(self._result, self._final, self.journal)

    def keep(self, done: BlockDone) -> None:
        """Stores the imagery's tiles of a block, then the record that says so.

        Raises:
            OutputError: they cannot be written.
        """
        for tile, data in done.source.items():
            self._store.put(tile, data)
        self._store.sync()
        self.journal.record(done, done.source)

    def finish(self) -> None:
        """Makes the overviews above the blocks and the documents.

        Raises:
            OutputError: they cannot be written.
            TileSetError: a stored tile was damaged meanwhile.
        """
        build_overviews(self._store, self.journal)
        write_folder(self._store, self.journal.job.tileset, self._result)
        self.journal.write_final(self._result / JOURNAL_NAME)

    def publish_changes(self) -> None:
        """Moves what changed into the finished set; see `geo2map.ledger.publish.publish_changes`."""
        publish_changes(self._result, self._final, self.journal)


def begin_source(workspace: Workspace, job: Job) -> None:
    """Makes the journal of the imagery's tiles where a map's job wants them; to be called before the map's is made.

    Raises:
        OutputError: it cannot be written.
    """
    if job.source is not None:
        Journal.create(workspace.source_journal, job.source).close()


def reopen_source(workspace: Workspace, job: Job, changes: Changes) -> None:
    """The same for a finished set that is to be changed.

    Raises:
        OutputError: it lacks the imagery's tiles, or it cannot be written.
    """
    if job.source is None:
        return
    finished = workspace.final / SOURCE_FOLDER / JOURNAL_NAME
    if not finished.is_file():
        raise OutputError(f"{finished.parent} is not the set of the imagery's tiles that was made: render the map anew")
    Journal.reopen(
        finished, workspace.source_journal, job.source, replace(changes, strays=changes.source_strays)
    ).close()
