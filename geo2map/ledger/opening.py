"""Opening an output: new, taken up again, or refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from geo2map.errors import OutputError
from geo2map.files.atomic import hidden_sibling, output_errors, restore_replaced
from geo2map.files.place import check_place, nearest_folder, require_writable, resolve_place
from geo2map.formats.containers import Container, find_container
from geo2map.ledger.finished import require_tiles
from geo2map.ledger.folder import has_record, journal_path, load_journal
from geo2map.ledger.journal import Journal, is_begun
from geo2map.ledger.output import Output
from geo2map.ledger.publish import publish_marked
from geo2map.ledger.source_tiles import begin_source, reopen_source
from geo2map.ledger.workspace import Workspace
from geo2map.pipeline.records import Changes
from geo2map.plan.job import Job
from geo2map.plan.storage import Storage
from geo2map.protocols import TileStore
from geo2map.tiles.inventory import FAILED_NAME, check_replaceable


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """What to do with an output that is there, whole or interrupted.

    Attributes:
        overwrite: replace it, at the end; an interrupted run of another job is thrown away at once.
        resume: go on with an interrupted run of the same job; False throws it away.
        tmp: a folder to make an output in that is one file, e.g. on a larger disk; None is beside it. An interrupted
            run is taken up where it was begun.
        away: where the tiles of a folder go instead, once it is open; the folder has its documents only.
    """

    overwrite: bool = False
    resume: bool = True
    tmp: str | Path | None = None
    away: Callable[[Output], TileStore] | None = None


def check_output(path: str | Path, options: OutputOptions, storage: Storage) -> Container:
    """Refuses at once what would be refused later anyway, before anything that takes time. Writes nothing.

    An output that says how it was made is passed: whether it is complete is for `find_complete` to say.

    Raises:
        OutputError: not a kind of output, a format that it has not, or an output that is there already and that nothing
            says to replace or continue.
    """
    container = find_container(path)
    container.check_storage(storage)
    final = check_place(path, names_around(path, container))
    check_tmp(path, container, options.tmp)
    with output_errors(Path(path)):
        is_begun = Workspace(final).exists
        if not is_begun and not options.overwrite and has_record(final, is_folder=container.is_folder):
            return container
        if not is_begun:
            check_final(Path(path), container, options)
    require_writable(path)
    return container


def names_around(path: str | Path, container: Container) -> list[str]:
    """The names that are needed beside an output, and in its hidden folder for what is to lie beside it."""
    final = resolve_place(path)
    names = [hidden_sibling(final, kind).name for kind in ("partial", "lock", "replaced", "parts")]
    if not container.is_folder:
        workspace = Workspace(final)
        names.append(workspace.beside(hidden_sibling(final, "journal").name).name)
        names.append(hidden_sibling(final.with_name(f"{final.stem}.{FAILED_NAME}"), "partial").name)
        if container.is_raster:
            names.append(hidden_sibling(workspace.beside(f"{final.name}.aux.xml"), "partial").name)
    return names


def open_output(path: str | Path, job: Job, options: OutputOptions | None = None) -> Output:
    """Opens the output of a job; takes up again what an interrupted run of the same job has done.

    Raises:
        OutputError: an output that exists, an interrupted run of another job (says what is different), another
            process at work on it, or a place that cannot be written.
    """
    opening = _Opening(path, job, options or OutputOptions())
    return opening.open(lambda: opening.unfinished() or opening.start())


def open_update(path: str | Path, job: Job, changes: Changes) -> Output:
    """Opens a finished output to bring it up to another job. A file is made anew beside it, out of its own tiles and
    those that change.

    Args:
        changes: what of it may have to change.

    Raises:
        OutputError: no such set, an interrupted run of another job, another process at work on it, or a place that
            cannot be written.
    """
    opening = _Opening(path, job, OutputOptions())
    require_tiles(opening.path, opening.container, job.storage)
    return opening.open(lambda: opening.reopen(changes))


def end_publishing(path: str | Path, *, runs: bool = True) -> str | None:
    """Ends the last step of a command that was killed while it gave an output its name; else does nothing.

    Args:
        runs: of those with a journal, too.

    Returns:
        What the output is made of, as a command without a journal put it (`mark_publishing`).

    Raises:
        OutputError: another process is at work on it, or it cannot be written.
    """
    workspace = Workspace(resolve_place(path))
    with output_errors(Path(path)):
        if not workspace.marker.is_file() and not (runs and workspace.exists):
            return None
    container = find_container(path)
    workspace.acquire()
    try:
        if workspace.marker.is_file():
            return publish_marked(workspace, is_folder=container.is_folder)
        if not is_begun(workspace.journal):
            return None
        journal = Journal(workspace.journal)
        if journal.get("state") == "publishing":
            Output(Path(path), container, workspace, journal, resumed=True).publish()
        journal.close()
        return None
    finally:
        workspace.release()


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

    def __init__(self, path: str | Path, job: Job, options: OutputOptions) -> None:
        self.container = find_container(path)  # of the text: a slash at its end counts
        self.path, self.job, self.options = Path(path), job, options
        self.workspace = Workspace(resolve_place(path), options.tmp)

    def open(self, begin: Callable[[], Output]) -> Output:
        """The output: one that is complete already, an interrupted one, or what `begin` makes."""
        self.workspace.acquire()
        try:
            with output_errors(self.path):
                restore_replaced(self.workspace.final)
                output = self._ended() or self._interrupted() or begin()
                if not output.complete:
                    output.journal.set("overwrite", "yes" if self.options.overwrite else "no")
                if self.options.away is not None:
                    output.elsewhere = self.options.away(output)
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
        try:
            return Journal(self.workspace.journal) if is_begun(self.workspace.journal) else None
        except OutputError:
            if self.options.overwrite:
                return None
            raise

    def _ended(self) -> Output | None:
        """Ends the last step of a run that was killed in it; its output, if that is the one asked for."""
        if (journal := self._journal()) is None or journal.get("state") != "publishing":
            if journal is not None:
                journal.close()
            return None
        output = self._output(journal, resumed=True)
        output.publish()
        return None if output.job.refusals(self.job) else output

    def _interrupted(self) -> Output | None:
        """The output of an interrupted run of this job; None where there is none that counts."""
        if (journal := self._journal()) is None:
            return None
        if not (differences := journal.job.differences(self.job)):
            if journal.get("state") != "published" and journal.get("mode") != "overlay":
                check_final(self.path, self.container, self.options)
            return self._output(journal, resumed=True)
        journal.close()
        if self.options.overwrite:
            return None
        raise OutputError(
            f"{self.path} was begun by another run: {'; '.join(differences[:3])}. Make that as it was to go on with "
            "it, or allow overwriting to start anew",
            option="overwrite",
        )

    def unfinished(self) -> Output | None:
        """A finished set of tiles of this job some of whose blocks are still open; None where there is none."""
        folder = self.workspace.final
        if not self.options.resume or not self.container.is_folder or not _is_open(folder, self.job):
            return None
        return self.reopen(Changes())

    def reopen(self, changes: Changes) -> Output:
        """A finished output, to be changed."""
        self.workspace.create()
        reopen_source(self.workspace, self.job, changes)
        finished = journal_path(self.workspace.final)
        return self._output(Journal.reopen(finished, self.workspace.journal, self.job, changes), resumed=False)

    def start(self) -> Output:
        """A new output."""
        check_final(self.path, self.container, self.options)
        self.workspace.create()
        begin_source(self.workspace, self.job)
        return self._output(Journal.create(self.workspace.journal, self.job), resumed=False)


def check_tmp(path: str | Path, container: Container, tmp: str | Path | None) -> None:
    """Refuses a folder to make an output in that cannot be one, or for an output that is made in its place.

    Raises:
        OutputError: says so.
    """
    if tmp is None:
        return
    if container.is_folder:
        raise OutputError(
            f"the tiles of {path} are written in their place: leave it out ({tmp})", option="tmp", usage=True
        )
    folder, final = resolve_place(tmp), resolve_place(path)
    if final in (folder, *folder.parents):
        raise OutputError(f"{path} cannot be made in itself ({tmp}): choose another folder", option="tmp")
    above = nearest_folder(folder)
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise OutputError(f"{above} is not a folder that you may write to: choose another", option="tmp")


def check_final(path: Path, container: Container, options: OutputOptions) -> None:
    """Refuses a place that is taken.

    Raises:
        OutputError: says by what.
    """
    final = resolve_place(path)
    if not os.path.lexists(final):
        return
    if container.is_folder != final.is_dir():
        found = "a folder" if final.is_dir() else "a file"
        raise OutputError(f"{path} is {found}, not {container.name}: choose another name")
    if container.is_folder and not any(final.iterdir()):
        return
    if not options.overwrite:
        recorded = has_record(final, is_folder=container.is_folder)
        raise OutputError.exists(path, "" if recorded else "without a record of how it was made")
    if container.is_folder:
        check_replaceable(final)


def _is_open(final: Path, job: Job | None = None) -> bool:
    """Whether a finished set of tiles (of a job) says that some of its blocks are still to be rendered."""
    if not final.is_dir() or (journal := load_journal(final)) is None:
        return False
    try:
        is_open = any(record.open is not None for record in journal.blocks().values())
        return is_open and (job is None or not journal.job.differences(job))
    finally:
        journal.close()
