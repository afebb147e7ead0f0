"""Flushing files to disk, many at once where the system can."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from geo2map.files.atomic import output_errors, sync_folder

FEW = 4
"""Up to so many files are flushed one by one: flushing the whole file system also waits for its other writers."""
_TRUSTED = ("ext4", "xfs")  # file systems whose flush as a whole is known to reach the disk; FUSE's does not, for one
_TELLS_ERRORS = (5, 8)  # the first Linux whose syncfs reports that a file could not be written


def flush_files(paths: Iterable[Path]) -> None:
    """Returns when the files, their folders and all parents are flushed to disk.

    On Linux, if the files are on one file system that is known to do so reliably, one call flushes it all: every file
    by itself would wait for the disk. Elsewhere file by file.

    Raises:
        OutputError: one cannot be written.
    """
    files = list(paths)
    if len(files) > FEW and _flush_at_once(files[0].parent):
        return
    for path in files:
        with output_errors(path), path.open("rb+") as file:
            os.fsync(file.fileno())
    for folder in {parent for path in files for parent in (path.parent, path.parent.parent)}:
        sync_folder(folder)


def _flush_at_once(folder: Path) -> bool:
    """Flushes a folder's file system; False if that is not reliable.

    Raises:
        OutputError: something on it could not be written.
    """
    with output_errors(folder):
        if file_system(folder.stat().st_dev) not in _TRUSTED:
            return False
        handle = os.open(folder, os.O_RDONLY)
        try:
            sync_file_system(handle)
        finally:
            os.close(handle)
    return True


def sync_file_system(handle: int) -> None:
    """Flushes the file system of an open file.

    Raises:
        OSError: something on it could not be written.
    """
    if ctypes.CDLL(None, use_errno=True).syncfs(handle):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@lru_cache(maxsize=64)
def file_system(device: int) -> str:
    """The type of a device's file system on a Linux that flushes it as a whole and reports errors; else ""."""
    if sys.platform != "linux" or not _is_new(os.uname().release):
        return ""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in lines:
        before, _, after = line.partition(" - ")
        if before.split()[2:3] == [wanted] and after:
            return after.split()[0]
    return ""


def _is_new(release: str) -> bool:
    numbers = [int(part) for part in release.split("-")[0].split(".")[:2] if part.isdigit()]
    return tuple(numbers) >= _TELLS_ERRORS
