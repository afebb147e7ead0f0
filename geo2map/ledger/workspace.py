"""The hidden folder in which an output is built, and the lock against concurrent runs."""

from __future__ import annotations

import errno
import shutil
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from filelock import FileLock, Timeout

from geo2map.errors import OutputError
from geo2map.files.atomic import hidden_sibling, make_parents, output_errors, remove_parents, remove_stale, write_whole
from geo2map.formats.containers import CONTAINERS
from geo2map.tiles.inventory import first_unexpected

_JOURNAL = "journal.sqlite"
_BESIDE = "result.beside."
_SPOOL_POINTER = "result.elsewhere"


class Workspace:
    """`.NAME.partial` beside an output NAME: the journal and the result under construction.

    With a working folder, a single-file output is built there: the hidden folder then holds a pointer to it, and
    receives the result before publication.

    The lock is the operating system's, released when the process ends in any way.

    Attributes:
        final: path of the output.
        folder: the hidden folder.
        result: the staged output; a folder is built in place.
    """

    def __init__(self, final: Path, tmp: str | Path | None = None) -> None:
        """
        Args:
            tmp: working folder for `create`; None is beside the output.
        """
        self.final = final
        self.folder = hidden_sibling(final, "partial")
        self._tmp = None if tmp is None else Path(tmp).resolve()
        suffix = final.suffix if final.suffix.lower() in CONTAINERS else ""
        self.result = self.folder / f"result{suffix}"
        self._lock = FileLock(hidden_sibling(final, "lock"), timeout=0, thread_local=False)
        self._parents: list[Path] = []

    @property
    def spool(self) -> Path:
        """The folder in which the output is built: the hidden one, or the one it points to."""
        with suppress(OSError):
            return Path((self.folder / _SPOOL_POINTER).read_text(encoding="utf-8"))
        return self.folder

    @property
    def journal(self) -> Path:
        return self.spool / _JOURNAL

    @property
    def draft(self) -> Path:
        """A single-file output under construction."""
        return self.spool / self.result.name

    def acquire(self) -> None:
        """Lock the output for this process and create its parent folders.

        Raises:
            OutputError: another process holds the lock, or the path is not writable.
        """
        with output_errors(self.final):
            self._parents = make_parents(self.final.parent)
            try:
                self._lock.acquire()
            except Timeout as error:
                raise OutputError(
                    f"{self.final}: another geo2map is writing it; wait for that, or choose another name"
                ) from error
            except OSError:
                remove_parents(self._parents)
                raise

    def release(self) -> None:
        """Release the lock and remove parent folders that stayed empty; may be repeated."""
        if self._lock.is_locked:
            path = Path(self._lock.lock_file)
            with suppress(OSError):  # while held, so nobody else can lock it; refused on Windows
                path.unlink()
            self._lock.release()
            with suppress(OSError):
                remove_parents(self._parents)

    @property
    def exists(self) -> bool:
        """Whether an earlier run left a journal."""
        return self.journal.is_file()

    def beside(self, name: str) -> Path:
        """Staged path of a file to be published beside a single-file output."""
        return self.folder / f"{_BESIDE}{name}"

    def staged(self) -> dict[str, Path]:
        """Files staged to be published beside the output, by final name."""
        found = self.folder.glob(f"{_BESIDE}*")
        return {path.name.removeprefix(_BESIDE): path for path in sorted(found)}

    def create(self) -> None:
        """Create an empty workspace; a previous one is discarded.

        Raises:
            OutputError: it holds foreign files, or cannot be written.
        """
        self.discard()
        with output_errors(self.final):
            self.folder.mkdir()
        if self._tmp is not None:
            self._create_spool(self._tmp)

    def _create_spool(self, tmp: Path) -> None:
        """Create the spool in a working folder, and point to it."""
        digest = blake2b(str(self.final).encode(errors="surrogateescape"), digest_size=4).hexdigest()
        spool = tmp / f".{self.final.name}.{digest}.partial"
        with output_errors(spool):
            tmp.mkdir(parents=True, exist_ok=True)
            remove_stale(spool, _first_unexpected)
            write_whole(self.folder / _SPOOL_POINTER, str(spool).encode())
            spool.mkdir()

    def stage(self, draft: Path, result: Path) -> None:
        """Move a finished file into the workspace, by copy from another file system.

        Raises:
            OutputError: it cannot be written.
        """
        if draft == result:
            return
        with output_errors(self.final):
            try:
                draft.replace(result)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                copy = self.folder / "result.copy"
                shutil.copyfile(draft, copy)
                copy.replace(result)  # flushed at publication
                draft.unlink()

    def discard(self) -> None:
        """Remove the workspace; the run can no longer be resumed.

        Raises:
            OutputError: it holds foreign files, or cannot be removed.
        """
        with output_errors(self.final):
            if (spool := self.spool) != self.folder:
                remove_stale(spool, _first_unexpected)
            remove_stale(self.folder, _first_unexpected)


def _first_unexpected(folder: Path) -> Path | None:
    """The first foreign entry of a workspace; earlier versions stored the tiles directly in it."""
    if folder.is_symlink() or not folder.is_dir():
        return folder
    for path in sorted(folder.iterdir()):
        if path.name.removeprefix(".").startswith("result"):  # hidden during writing
            if path.is_dir() and (unexpected := first_unexpected(path)) is not None:
                return unexpected
        elif not path.name.startswith(_JOURNAL):
            return path if (folder / _JOURNAL).exists() else first_unexpected(folder)
    return None
