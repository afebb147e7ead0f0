"""What is in a folder of tiles."""

from __future__ import annotations

from pathlib import Path


def contents(folder: Path) -> dict[str, bytes]:
    """Every tile and document of a set, and nothing hidden."""
    files = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    return {name: path.read_bytes() for name, path in sorted(files.items()) if not name.startswith(".")}


def tiles_of(folder: Path) -> dict[str, bytes]:
    """The tiles alone."""
    return {name: data for name, data in contents(folder).items() if name.endswith((".png", ".webp", ".jpg"))}
