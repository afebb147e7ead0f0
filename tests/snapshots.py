"""What an output or a folder holds, for tests that compare two, or before and after."""

from __future__ import annotations

from pathlib import Path


def read_files(path: Path, *, hidden: bool = True) -> dict[str, bytes]:
    """Every file of an output by its name inside; "." for an output that is one file.

    Args:
        hidden: whether files whose name begins with a dot count.
    """
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    named = {file.relative_to(path).as_posix(): file.read_bytes() for file in files}
    return {name: data for name, data in named.items() if hidden or name == "." or not name.startswith(".")}


def read_tiles(folder: Path) -> dict[str, bytes]:
    """Every tile of a set."""
    return {name: data for name, data in read_files(folder, hidden=False).items() if Path(name).suffix in TILE_SUFFIXES}


TILE_SUFFIXES = (".png", ".webp", ".jpg")


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Every file and folder below one: what a refused command must leave as it was."""
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}
