"""The hidden place beside an output where it is made, and the lock that keeps a second run away from it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from geo2map.errors import OutputError
from geo2map.files.atomic import hidden_sibling, make_parents, output_errors, remove_parents, remove_stale
from geo2map.tiles.inventory import first_unexpected

_JOURNAL = "journal.sqlite"
_BESIDE = "result.beside."
_MARKER = "result.publishing"


class Workspace:
    """`.NAME.partial` beside an output NAME: the journal, and the result in the making.

    The lock is the operating system's: it ends with its process, however that ends.

    Attributes:
        final: the output.
        folder: the hidden folder.
        journal: file of the journal.
        result: the output under construction.
        marker: of a command that keeps no journal: there while the output is given its name, and says how.
    """

    def __init__(self, final: Path) -> None:
        self.final = final
        self.folder = hidden_sibling(final, "partial")
        self.journal = self.folder / _JOURNAL
        self.result = self.folder / f"result{final.suffix}"
        self.marker = self.folder / _MARKER
        self._lock = FileLock(hidden_sibling(final, "lock"), timeout=0, thread_local=False)
        self._parents: list[Path] = []

    def acquire(self) -> None:
        """Takes the output for this process and makes the folders above it.

        Raises:
            OutputError: another process has it, or the place cannot be written.
        """
        with output_errors(self.final):
            self._parents = make_parents(self.final.parent)
            try:
                self._lock.acquire()
            except Timeout as error:
                raise OutputError(
                    f"{self.final} is being written by another geo2map: wait for it, or choose another name"
                ) from error
            except OSError:
                remove_parents(self._parents)
                raise

    def release(self) -> None:
        """Lets others have the output; harmless when repeated. Folders that were made for nothing go."""
        if self._lock.is_locked:
            path = Path(self._lock.lock_file)
            with suppress(OSError):  # while it is held, so that nobody else can have taken it; Windows refuses that
                path.unlink()
            self._lock.release()
            with suppress(OSError):
                remove_parents(self._parents)

    @property
    def exists(self) -> bool:
        """Whether an earlier run left something to go on with."""
        return self.journal.is_file()

    def beside(self, name: str) -> Path:
        """Where a file is made that is to lie beside an output that is one file."""
        return self.folder / f"{_BESIDE}{name}"

    def staged(self) -> dict[str, Path]:
        """The files that wait to be moved beside the output, by their names there."""
        found = self.folder.glob(f"{_BESIDE}*")
        return {path.name.removeprefix(_BESIDE): path for path in sorted(found)}

    def create(self) -> None:
        """Makes the folder anew; what is there and ours goes.

        Raises:
            OutputError: it holds something that is not ours, or cannot be written.
        """
        with output_errors(self.final):
            remove_stale(self.folder, _first_unexpected)
            self.folder.mkdir()

    def discard(self) -> None:
        """Removes the folder; nothing can be taken up again.

        Raises:
            OutputError: it holds something that is not ours, or cannot be removed.
        """
        with output_errors(self.final):
            remove_stale(self.folder, _first_unexpected)


def _first_unexpected(folder: Path) -> Path | None:
    """The first thing in a workspace that is not ours; earlier versions kept the tiles themselves in it."""
    if folder.is_symlink() or not folder.is_dir():
        return folder
    for path in sorted(folder.iterdir()):
        if path.name.removeprefix(".").startswith("result"):  # hidden while it is written
            if path.is_dir() and (unexpected := first_unexpected(path)) is not None:
                return unexpected
        elif not path.name.startswith(_JOURNAL):
            return path if (folder / _JOURNAL).exists() else first_unexpected(folder)
    return None
