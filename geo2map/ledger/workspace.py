"""The hidden place beside an output, or elsewhere, where it is made, and the lock that keeps a second run away."""

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
_ELSEWHERE = "result.elsewhere"


class Workspace:
    """`.NAME.partial` beside an output NAME: the journal, and the result in the making.

    Of an output that is one file, both may be made elsewhere; the hidden folder then says where, so that whoever comes
    next finds it, and takes the result before it is given its name.

    The lock is the operating system's: it ends with its process, however that ends.

    Attributes:
        final: the output.
        folder: the hidden folder.
        result: the output when it is complete, a folder as it is made.
    """

    def __init__(self, final: Path, tmp: str | Path | None = None) -> None:
        """
        Args:
            tmp: a folder to make the output in, from `create` on; None is beside it.
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
        """The folder in which the output is made: the hidden one, or what that says."""
        with suppress(OSError):
            return Path((self.folder / _ELSEWHERE).read_text(encoding="utf-8"))
        return self.folder

    @property
    def journal(self) -> Path:
        """File of the journal."""
        return self.spool / _JOURNAL

    @property
    def making(self) -> Path:
        """The output under construction where it is one file."""
        return self.spool / self.result.name

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
        self.discard()
        with output_errors(self.final):
            self.folder.mkdir()
        if self._tmp is not None:
            self._create_elsewhere(self._tmp)

    def _create_elsewhere(self, tmp: Path) -> None:
        """Says where the output is made, and makes that place."""
        digest = blake2b(str(self.final).encode(errors="surrogateescape"), digest_size=4).hexdigest()
        spool = tmp / f".{self.final.name}.{digest}.partial"
        with output_errors(spool):
            tmp.mkdir(parents=True, exist_ok=True)
            remove_stale(spool, _first_unexpected)
            write_whole(self.folder / _ELSEWHERE, str(spool).encode())
            spool.mkdir()

    def take(self, making: Path, result: Path) -> None:
        """Moves a file to where it waits to be published, by a copy from another file system.

        Raises:
            OutputError: it cannot be written.
        """
        if making == result:
            return
        with output_errors(self.final):
            try:
                making.replace(result)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                copy = self.folder / "result.copy"
                shutil.copyfile(making, copy)
                copy.replace(result)  # it is flushed when it is published
                making.unlink()

    def discard(self) -> None:
        """Removes the folder; nothing can be taken up again.

        Raises:
            OutputError: it holds something that is not ours, or cannot be removed.
        """
        with output_errors(self.final):
            if (spool := self.spool) != self.folder:
                remove_stale(spool, _first_unexpected)
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
