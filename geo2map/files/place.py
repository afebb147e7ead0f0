"""Checks of an output's path: impossible names and places are refused before any work."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile

from geo2map.errors import OutputError
from geo2map.files.atomic import hidden_sibling

WINDOWS = os.name == "nt"
_LONGEST_NAME, _LONGEST_PATH = 255, 4096  # if the file system does not report it
_LONGEST_ON_WINDOWS = 259
_INSIDE = 100  # bytes of a path within an output's hidden folder: a tile or a journal in the making
_WINDOWS_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in "123456789")}
_NOT_ON_WINDOWS = frozenset('<>:"|?*')


def check_place(
    path: str | Path, around: Sequence[str] = (), *, keep: Iterable[str | Path] = (), kept: str = "the scene"
) -> Path:
    """Refuses a path that cannot be written to. Writes nothing.

    Args:
        path: of the output, as given.
        around: the names beside it that are needed while it is written; with none, those of `write_whole`.
        keep: files and folders that are read for it: it must not be or contain one of them.
        kept: their name in messages.

    Returns:
        The path resolved.

    Raises:
        OutputError: what is wrong with it, in one sentence.
    """
    final = resolve_place(path)
    shown = _shown(path)
    here = Path.cwd()
    if final == here or final in here.parents:
        which = "is the current folder" if final == here else "holds the current folder"
        raise OutputError(f"{shown} {which}, which cannot be replaced; choose a place inside it")
    _check_kind(final, shown)
    above = _check_parents(final, shown)
    _check_lengths(final, shown, above, around or [hidden_sibling(final, "partial").name])
    if WINDOWS:
        _check_windows_names(path, shown)
    require_apart(path, keep, kept)
    return final


def require_apart(path: str | Path, keep: Iterable[str | Path], kept: str = "the scene") -> None:
    """Refuses an output that is or contains one of its inputs.

    Args:
        keep, kept: see `check_place`.

    Raises:
        OutputError: says which.
    """
    final, shown = resolve_place(path), _shown(path)
    for place in keep:
        is_same = holds = False
        with suppress(OSError, RuntimeError, ValueError):  # inaccessible inputs are refused when they are read
            own = Path(place).resolve()
            is_same = own == final or (final.exists() and own.exists() and own.samefile(final))
            holds = final in own.parents
        if is_same:
            raise OutputError(f"{shown} is {kept} itself; choose another output", option="out")
        if holds:
            raise OutputError(f"{shown} contains {kept}, {_shown(place)}; choose another output", option="out")


def require_outside(path: str | Path, source: str | Path, kept: str) -> None:
    """Refuses an output within its input folder, which it would change.

    Raises:
        OutputError: it is in there.
    """
    if Path(source).resolve() in resolve_place(path).parents:
        raise OutputError(f"{_shown(path)} lies within {kept}, {_shown(source)}; choose another place", option="out")


def require_new(path: Path, overwrite: bool) -> None:
    """Refuses a file that exists, unless it may be overwritten, and a place that cannot be written.

    Raises:
        OutputError: in these cases.
    """
    if check_place(path).exists() and not overwrite:
        raise OutputError.exists(path)
    require_writable(path)


def require_writable(path: str | Path) -> None:
    """Refuses a place in a folder that is not writable, by creating a temporary file.

    Raises:
        OutputError: says which folder.
    """
    above = nearest_folder(resolve_place(path).parent)
    try:
        if not os.access(above, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        with TemporaryFile(dir=above):
            pass
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.EOPNOTSUPP):
            return  # a full disk is reported when it is met
        raise OutputError(f"{above} is not writable; choose another folder for {_shown(path)}") from error


def require_name(path: str | Path) -> None:
    """Refuses an output without a name, which would be the current folder.

    Raises:
        OutputError: says so.
    """
    if not os.fspath(path).strip():
        raise OutputError("the output has an empty name; choose another")


def resolve_place(path: str | Path) -> Path:
    """The absolute path of an output, links followed.

    Raises:
        OutputError: no file can have this name, or links lead in a circle.
    """
    text = os.fspath(path)
    if "\0" in text:
        raise OutputError(f"{_shown(path)} contains a NUL character; choose another name")
    require_name(text)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise OutputError(f"{_shown(path)} is not UTF-8; choose another name") from error
    try:
        final = Path(text).resolve()
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            final.lstat()
    except (OSError, RuntimeError) as error:  # Python 3.11 and 3.12 raise a RuntimeError for a loop
        if getattr(error, "errno", None) == errno.ENAMETOOLONG:
            raise OutputError(f"{_cut(_shown(path))} is too long for the file system; choose a shorter name") from error
        if isinstance(error, RuntimeError) or error.errno == errno.ELOOP:
            raise _loop(path) from error
        raise OutputError(f"{_shown(path)} cannot be accessed ({error}); choose another place") from error
    if not final.name:
        raise OutputError(f"{_shown(path)} is the root of the file system; choose a place inside it")
    if final.is_symlink():  # Python 3.13 leaves loops as they are
        raise _loop(path)
    return final


def _loop(path: str | Path) -> OutputError:
    return OutputError(f"{_shown(path)} goes through a link that points to itself; choose another name")


def _check_kind(final: Path, shown: str) -> None:
    """Refuses an existing path that is neither a file nor a folder."""
    with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        mode = final.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise OutputError(f"{shown} is a device, a pipe or a socket, not a file; choose another name")


def _check_parents(final: Path, shown: str) -> Path:
    """The nearest existing folder above."""
    above = nearest_folder(final.parent)
    if not above.is_dir():
        found = "is a file, not a folder" if above.is_file() else "is not a folder"
        raise OutputError(f"{shown} cannot be written: {above} {found}; choose another place")
    return above


def nearest_folder(folder: Path) -> Path:
    """The folder, or the nearest existing one above it.

    Raises:
        OutputError: there is none, as on a drive that does not exist.
    """
    if (found := next((place for place in (folder, *folder.parents) if os.path.lexists(place)), None)) is None:
        raise OutputError(f"{_shown(folder)} is on a drive that does not exist; choose another place")
    return found


def _check_lengths(final: Path, shown: str, above: Path, around: Iterable[str]) -> None:
    longest_name, longest_path = _limits(above)
    missing = [final.name, *(folder.name for folder in final.parents if not os.path.lexists(folder))]
    if max(map(_length, missing)) > longest_name:
        raise OutputError(f"{_cut(shown)} is too long; a name may have {longest_name} bytes here, choose a shorter one")
    if (extra := max(map(_length, around)) - longest_name) > 0:
        raise OutputError(
            f"the name {_cut(final.name)} is too long by {extra} bytes for the files beside it while it is made: "
            "choose a shorter one"
        )
    if _length(str(final)) + max(map(_length, around)) + _INSIDE > longest_path:
        raise OutputError(f"the path {_cut(shown)} is too long for the system; choose a place nearer to the root")


def _limits(folder: Path) -> tuple[int, int]:
    """Most bytes of a name and of a path; UTF-16 units on Windows."""
    if WINDOWS:
        return _LONGEST_NAME, _LONGEST_PATH if _has_long_paths() else _LONGEST_ON_WINDOWS
    found = []
    for key, usual in (("PC_NAME_MAX", _LONGEST_NAME), ("PC_PATH_MAX", _LONGEST_PATH)):
        try:
            found.append(os.pathconf(folder, key))
        except (AttributeError, ValueError, OSError):  # not every file system answers
            found.append(usual)
    return found[0], found[1]


def _has_long_paths() -> bool:
    """Whether Windows allows paths of more than 259 characters, a setting of the system."""
    try:
        import winreg  # absent on other systems

        key = r"SYSTEM\CurrentControlSet\Control\FileSystem"
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, key) as opened:  # type: ignore[attr-defined,unused-ignore]
            enabled, _ = winreg.QueryValueEx(opened, "LongPathsEnabled")  # type: ignore[attr-defined,unused-ignore]
    except (ImportError, OSError):
        return False
    return bool(enabled)


def _length(name: str) -> int:
    return len(name) if WINDOWS else len(os.fsencode(name))


def _check_windows_names(path: str | Path, shown: str) -> None:
    for part in Path(path).parts[1 if Path(path).anchor else 0 :]:
        if part in (".", ".."):
            continue
        if part.split(".")[0].rstrip().lower() in _WINDOWS_DEVICES:
            raise OutputError(f"{shown} is a device name on Windows ({part}); choose another name")
        if part.endswith((".", " ")):
            raise OutputError(f"{shown} ends in a dot or a space, which Windows drops; choose another")
        if wrong := sorted(_NOT_ON_WINDOWS & set(part)):
            raise OutputError(f"{shown} holds {' '.join(wrong)}, not allowed in names on Windows; choose another")


def _shown(path: str | Path) -> str:
    """A path as a terminal can print it."""
    return os.fspath(path).encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def _cut(text: str, length: int = 60) -> str:
    return text if len(text) <= length else f"{text[:length]}..."
