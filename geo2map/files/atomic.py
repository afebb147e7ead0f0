"""Publishing an output atomically, and undoing everything that was created on the way.

No folder is deleted before every name in it was checked: only files of an output of its kind are removed.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from geo2map.errors import Geo2MapError, OutputError

_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_IN_USE = {5, 32, 33}
"""Windows' error codes for a file that another program has open: access denied, a sharing or a lock violation."""


Inspector = Callable[[Path], Path | None]
"""Returns the first entry of a folder that does not belong to an output of its kind."""


def hidden_sibling(path: Path, kind: str) -> Path:
    """A hidden name beside `path`, on the same disk: "tiles" and "partial" give ".tiles.partial"."""
    return path.with_name(f".{path.name}.{kind}")


def make_parents(folder: Path) -> list[Path]:
    """Creates a folder and its missing parents.

    Returns:
        The folders that were created, deepest first, for `remove_parents`.

    Raises:
        OutputError: a parent is a file.
        OSError: a folder cannot be created; none is left behind.
    """
    missing = []
    while not os.path.lexists(folder):
        missing.append(folder)
        folder = folder.parent
    if not folder.is_dir():
        raise OutputError(
            f"the folder {missing[0] if missing else folder} is needed, but {folder} is a file; choose another"
        )
    try:
        for parent in reversed(missing):
            parent.mkdir(exist_ok=True)
    except OSError:
        remove_parents(missing)
        raise
    return missing


def remove_parents(parents: Sequence[Path]) -> None:
    """Removes folders, deepest first, until one is not empty."""
    with suppress(OSError):
        for parent in parents:
            parent.rmdir()


def remove_stale(folder: Path, inspect: Inspector) -> None:
    """Removes a folder that an earlier run left behind, if there is one.

    Args:
        inspect: checks what is in it.

    Raises:
        OutputError: it contains something else.
        OSError: it cannot be removed.
    """
    if not os.path.lexists(folder):
        return
    if (unexpected := inspect(folder)) is not None:
        raise OutputError(f"{folder} is reserved for geo2map, but contains {unexpected}; move that away")
    shutil.rmtree(folder)


def replace_folder(fresh: Path, final: Path, inspect: Inspector) -> None:
    """Renames `fresh` to `final`; an existing folder of that name is moved aside and deleted afterwards.

    The caller has made sure, e.g. by `check_replaceable`, that everything in it may be deleted.

    Args:
        inspect: as in `remove_stale`.

    Raises:
        OSError: it cannot be renamed; then nothing has changed, except that an empty folder of that name is gone.
    """
    if os.path.lexists(final) and not any(final.iterdir()):
        final.rmdir()  # renaming onto an empty folder works on POSIX only
    if not os.path.lexists(final):
        fresh.rename(final)
        return
    old = hidden_sibling(final, "replaced")
    remove_stale(old, inspect)
    final.rename(old)
    try:
        fresh.rename(final)
    except OSError:
        old.rename(final)
        raise
    shutil.rmtree(old, ignore_errors=True)


def restore_replaced(final: Path) -> None:
    """Restores the name of an output after a run that was killed between the two renames of `replace_folder`.

    Raises:
        OSError: it cannot be renamed.
    """
    old = hidden_sibling(final, "replaced")
    if old.is_dir() and not os.path.lexists(final):
        old.rename(final)


def sync_folder(folder: Path) -> None:
    """Flushes the names in a folder to disk, where the system can (Windows does so by itself)."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    with suppress(OSError):  # some network file systems refuse
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all, see `whole_file`.

    Raises:
        OutputError: it cannot be written; nothing is left.
    """
    with whole_file(path) as file:
        file.write(data)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write that gets its name only when it is whole: written beside it, flushed, then renamed.

    Raises:
        OutputError: it cannot be written; nothing is left behind.
    """
    fresh = hidden_sibling(path, "partial")
    with output_errors(path):
        try:
            with fresh.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except BaseException:
            with suppress(OSError):
                fresh.unlink()
            raise


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turns the operating system's errors about an output into one sentence.

    Raises:
        OutputError: in place of an `OSError` that is not a `Geo2MapError`.
    """
    try:
        yield
    except Geo2MapError:
        raise
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    found = error.strerror or str(error)
    if error.errno in _FULL:
        return f"the disk is full ({found}); free some space and run again"
    if getattr(error, "winerror", None) in _IN_USE:
        return f"{error.filename} is open in another program or not writable ({found}); close it and run again"
    if error.errno in _FORBIDDEN:
        return f"{error.filename or 'its folder'} is not writable ({found}); choose a folder you may write to"
    if isinstance(error, FileExistsError | NotADirectoryError):
        return f"{error.filename} exists and is in the way ({found}); choose another name"
    return f"{found} ({error.filename or type(error).__name__}); check the path and the disk"
