"""The one door of the ledger: an output opened new, taken up again, to be changed, or refused."""

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
from geo2map.ledger.journal import Journal, is_begun, read_partial
from geo2map.ledger.origin import Origin
from geo2map.ledger.output import Output
from geo2map.ledger.pending import UNFINISHED, Pending
from geo2map.ledger.publication import Publication
from geo2map.ledger.state import Stage
from geo2map.ledger.workspace import Workspace
from geo2map.pipeline.run import BlockSink
from geo2map.plan.job import Job


class Target(Protocol):
    """A place other than a path that takes the blocks of a job, e.g. a part of an output."""

    def open(self, job: Job, pending: Pending) -> BlockSink:
        """Opens it for some blocks of a job; a context manager that lets go of it."""
        ...


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
    """Opens the output of a job: new, or where an earlier run of the same job stopped.

    Args:
        target: the output's path, or another place for its blocks.
        options: for an output at a path.
        pending: which blocks are to be rendered. A render takes all that are not done; an update or a repair changes a
            finished output, of which a file is made anew out of its own tiles and those that change.

    Raises:
        OutputError: an output that exists, or none where one is to be changed; an interrupted run of another job
            (states what is different); another process at work on it; or a place that cannot be written.
    """
    if not isinstance(target, str | Path):
        return target.open(job, pending)
    return _Opening(target, job, options or OutputOptions(), pending).open()


def end_publishing(path: str | Path, *, runs: bool = True) -> Job | Origin | None:
    """Ends the last step of a command that was killed while it gave an output its name; otherwise does nothing.

    Args:
        runs: of renders, too, not of conversions alone; `open_output` ends those of the render that it resumes.

    Returns:
        What the output is made from, if it was published now.

    Raises:
        OutputError: another process is at work on it, or it cannot be written.
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
            publish_again(Path(path), find_container(path), workspace, journal)
            return journal.recipe
        finally:
            journal.close()
    finally:
        workspace.release()


def publish_again(path: Path, container: Container, workspace: Workspace, journal: Journal) -> Output | None:
    """Ends the last step of a run or a conversion that was killed in it.

    Returns:
        The output of a run, which is complete.
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
    """Throws away what an interrupted run has kept; a finished output is left alone.

    Returns:
        Whether there was anything.

    Raises:
        OutputError: a run is at work on it, or it cannot be removed.
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
        self.container = find_container(path)  # of the text: a slash at its end counts
        self.path, self.job, self.options, self.pending = Path(path), job, options, pending
        self.workspace = Workspace(resolve_place(path), options.tmp)
        if pending.finished:
            require_tiles(self.path, self.container, job.storage)

    def open(self) -> Output:
        """The output: one that is complete already, an interrupted one, or a new one."""
        self.workspace.acquire()
        try:
            with output_errors(self.path):
                restore_replaced(self.workspace.final)
                if not self.workspace.exists:  # killed while it was removed
                    self.workspace.discard()
                output = self._ended() or self._interrupted() or self._begin()
                if output.complete:
                    return output
                try:
                    output.journal.may_replace = self.options.overwrite or output.journal.stage is Stage.PUBLISHED
                    if self.options.sink is not None:
                        output.stores = {name: self.options.sink(output, name) for name in self.job.layers}
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
        """The journal of an interrupted run, None where there is none that counts."""
        if not self.workspace.exists or not self.options.resume:
            return None
        if self.options.overwrite:
            return read_partial(self.workspace)
        return Journal(self.workspace.journal) if is_begun(self.workspace.journal) else None

    def _ended(self) -> Output | None:
        """Ends the last step of a run that was killed in it; its output, if that is the requested one."""
        if (journal := self._journal()) is None or journal.stage is not Stage.PUBLISHING:
            if journal is not None:
                journal.close()
            return None
        output = publish_again(self.path, self.container, self.workspace, journal)
        if output is None:
            return None
        if output.is_incomplete or output.job.refusals(self.job):
            output.close()
            return None
        return output

    def _interrupted(self) -> Output | None:
        """The output of an interrupted run of this job; None where there is none that counts."""
        if (journal := self._journal()) is None:
            return None
        if not isinstance(journal.recipe, Job):  # a conversion keeps nothing to go on with
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
            f"{self.path} holds the partial results of another run: {'; '.join(differences[:3])}. Restore these "
            "settings to resume, or allow overwriting to start anew",
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
        """Whether a finished folder of this job has blocks that are still to be rendered."""
        folder = self.workspace.final
        if not self.container.is_folder or not folder.is_dir() or (journal := load_journal(folder)) is None:
            return False
        try:
            return journal.is_incomplete and not journal.job.tile_differences(self.job)
        finally:
            journal.close()
