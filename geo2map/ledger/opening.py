"""Opening an output: a new one, an interrupted one to resume, or a finished one to change."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol, overload

from geo2map.errors import OutputError
from geo2map.files.atomic import output_errors, restore_replaced
from geo2map.files.place import resolve_place
from geo2map.formats.containers import Container, find_container
from geo2map.ledger.checks import OutputOptions, check_final
from geo2map.ledger.finished import require_tiles
from geo2map.ledger.finished_record import journal_path, load_journal
from geo2map.ledger.journal import Journal, is_initialized, read_partial
from geo2map.ledger.origin import Origin
from geo2map.ledger.output import Output
from geo2map.ledger.pending import UNFINISHED, Pending
from geo2map.ledger.publication import Publication
from geo2map.ledger.state import Stage
from geo2map.ledger.workspace import Workspace
from geo2map.pipeline.run import BlockSink
from geo2map.plan.job import Job


class Target(Protocol):
    """A destination other than a path for the blocks of a job, e.g. a part of an output."""

    def open(self, job: Job, pending: Pending) -> BlockSink:
        """Open it for some blocks of a job; a context manager."""


@overload
def open_output(
    target: str | Path, job: Job, options: OutputOptions | None = None, *, pending: Pending = UNFINISHED
) -> Output: ...


@overload
def open_output(
    target: Target, job: Job, options: OutputOptions | None = None, *, pending: Pending = UNFINISHED
) -> BlockSink: ...


def open_output(
    target: str | Path | Target, job: Job, options: OutputOptions | None = None, *, pending: Pending = UNFINISHED
) -> BlockSink:
    """Open the output of a job: a new one, or an interrupted run of the same job.

    Args:
        target: the output's path, or another destination for its blocks.
        options: for an output at a path.
        pending: the blocks to render. A render takes all unfinished ones; an update or repair changes a finished
            output (a single file is rebuilt from its old tiles and the changed ones).

    Raises:
        OutputError: the output exists, or does not where it is to be changed; an interrupted run of another job
            (states the differences); another process is writing it; or the path is not writable.
    """
    if not isinstance(target, str | Path):
        return target.open(job, pending)
    return _Opening(target, job, options or OutputOptions(), pending).open()


def finish_publishing(path: str | Path, *, runs: bool = True) -> Job | Origin | None:
    """Complete a publication that was killed halfway; otherwise do nothing.

    Args:
        runs: of renders, too, not of conversions alone; `open_output` ends those of the render that it resumes.

    Returns:
        The recipe of the output, if it was published now.

    Raises:
        OutputError: another process is writing it, or it cannot be written.
    """
    workspace = Workspace(resolve_place(path))
    with output_errors(Path(path)):
        if not workspace.exists:
            return None
    workspace.acquire()
    try:
        if (journal := read_partial(workspace)) is None:
            return None
        try:
            if journal.stage is not Stage.PUBLISHING or (isinstance(journal.recipe, Job) and not runs):
                return None
            resume_publishing(Path(path), find_container(path), workspace, journal)
            return journal.recipe
        finally:
            journal.close()
    finally:
        workspace.release()


def resume_publishing(path: Path, container: Container, workspace: Workspace, journal: Journal) -> Output | None:
    """Complete the publication of a killed run or conversion.

    Returns:
        The complete output of a run; None for a conversion.
    """
    if isinstance(journal.recipe, Job):
        output = Output(path, container, workspace, journal, resumed=True)
        output.publication.publish()
        output.settle()
        return output
    Publication(workspace, container, journal).publish()
    journal.close()
    workspace.discard()
    return None


def clean_output(path: str | Path) -> bool:
    """Delete the partial results of an interrupted run; a finished output is left alone.

    Returns:
        Whether anything was deleted.

    Raises:
        OutputError: a run is writing it, or it cannot be removed.
    """
    workspace = Workspace(resolve_place(path))
    if not os.path.lexists(workspace.final.parent):
        return False
    workspace.acquire()
    try:
        found = os.path.lexists(workspace.folder)
        workspace.discard()
        return found
    finally:
        workspace.release()


class _Opening:
    """One output being opened."""

    def __init__(self, path: str | Path, job: Job, options: OutputOptions, pending: Pending) -> None:
        self.container = find_container(path)  # before Path() drops a trailing slash
        self.path, self.job, self.options, self.pending = Path(path), job, options, pending
        self.workspace = Workspace(resolve_place(path), options.tmp)
        if pending.finished:
            require_tiles(self.path, self.container, job.storage)

    def open(self) -> Output:
        """The output: already complete, resumed, or new."""
        self.workspace.acquire()
        try:
            with output_errors(self.path):
                restore_replaced(self.workspace.final)
                if not self.workspace.exists:  # killed during cleanup
                    self.workspace.discard()
                output = self._published() or self._resumed() or self._begin()
                if output.complete:
                    return output
                try:
                    output.journal.may_replace = self.options.overwrite or output.journal.stage is Stage.PUBLISHED
                    if self.options.sink is not None:
                        sinks = {name: self.options.sink(output, name) for name in self.job.layers}
                        output.stores = output.stores | sinks
                except BaseException:
                    output.close()
                    raise
                return output
        except BaseException:
            self.workspace.release()
            raise

    def _output(self, journal: Journal, *, resumed: bool) -> Output:
        return Output(self.path, self.container, self.workspace, journal, resumed=resumed)

    def _journal(self) -> Journal | None:
        """The journal of an interrupted run to resume, else None."""
        if not self.workspace.exists or not self.options.resume:
            return None
        if self.options.overwrite:
            return read_partial(self.workspace)
        return Journal(self.workspace.journal) if is_initialized(self.workspace.journal) else None

    def _published(self) -> Output | None:
        """Complete an interrupted publication; the output, if it belongs to the requested job."""
        if (journal := self._journal()) is None or journal.stage is not Stage.PUBLISHING:
            if journal is not None:
                journal.close()
            return None
        output = resume_publishing(self.path, self.container, self.workspace, journal)
        if output is None:
            return None
        if output.is_incomplete or output.job.refusals(self.job):
            output.close()
            return None
        return output

    def _resumed(self) -> Output | None:
        """The output of an interrupted run of this job, else None."""
        if (journal := self._journal()) is None:
            return None
        if not isinstance(journal.recipe, Job):  # conversions cannot be resumed
            journal.close()
            return None
        if not (differences := journal.job.tile_differences(self.job)):
            if journal.stage is not Stage.PUBLISHED and not journal.is_overlay:
                self._check_final()
            journal.adopt(self.job)
            return self._output(journal, resumed=True)
        journal.close()
        if self.options.overwrite:
            return None
        raise OutputError(
            f"{self.path}: partial results of another run ({', '.join(differences[:3])}); restore these settings to "
            "resume, or allow overwriting to start over",
            option="overwrite",
        )

    def _begin(self) -> Output:
        """A new output, or a finished one to be changed."""
        takes_up = self.options.resume and not self.options.overwrite
        if self.pending.finished or (takes_up and self._is_incomplete()):
            self.workspace.create()
            finished = journal_path(self.workspace.final)
            journal = Journal.reopen(finished, self.workspace.journal, self.job, self.pending)
        else:
            self._check_final()
            self.workspace.create()
            journal = Journal.create(self.workspace.journal, self.job)
        return self._output(journal, resumed=False)

    def _check_final(self) -> None:
        check_final(self.path, self.container, self.options, self.job.storage.layers)

    def _is_incomplete(self) -> bool:
        """Whether a finished folder of this job has pending blocks."""
        folder = self.workspace.final
        if (
            self.job.storage.is_derived
            or not self.container.is_folder
            or not folder.is_dir()
            or (journal := load_journal(folder)) is None
        ):
            return False
        try:
            return journal.is_incomplete and not journal.job.tile_differences(self.job)
        finally:
            journal.close()
