"""Making an output visible at once, and taking back everything that was made on the way.

Nothing here deletes a folder before having looked at every name in it: only what is made of tiles goes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from geo2map.errors import OutputError
from geo2map.grid import MAX_ZOOM
from geo2map.tilejson import FILE_NAME
from geo2map.xyz import parse_number

SIDECARS = frozenset(
    {FILE_NAME, f"{FILE_NAME}.tmp", "tiles.xml", "stacta.json", "metadata.json", "tilemapresource.xml", "doc.kml"}
    | {"index.html", "viewer.html", "leaflet.html", "openlayers.html", "googlemaps.html", "mapml.mapml"}
)
"""Files that we and others put beside the zooms of a tile set; QGIS layers (.qlr), named by the scene, come on top."""

_CLUTTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
_TILE_ENDINGS = frozenset({"png", "webp", "jpg", "jpeg", "tmp", "xml", "kml"})


Inspector = Callable[[Path], Path | None]
"""Names the first thing in a folder that is no part of an output of its kind, as `first_stranger` does for tiles."""


def hidden_sibling(path: Path, kind: str) -> Path:
    """A hidden name beside `path`, on the same disk: "tiles" and "partial" give ".tiles.partial"."""
    return path.with_name(f".{path.name}.{kind}")


def make_parents(folder: Path) -> list[Path]:
    """Makes a folder and what is missing above it.

    Returns:
        The folders that were made, deepest first, for `remove_parents`.

    Raises:
        OutputError: something above is a file.
        OSError: a folder cannot be made; none of them is left.
    """
    missing = []
    while not os.path.lexists(folder):
        missing.append(folder)
        folder = folder.parent
    if not folder.is_dir():
        raise OutputError(
            f"the folder {missing[0] if missing else folder} is needed, but {folder} is a file: choose another"
        )
    try:
        for parent in reversed(missing):
            parent.mkdir(exist_ok=True)
    except OSError:
        remove_parents(missing)
        raise
    return missing


def remove_parents(parents: Sequence[Path]) -> None:
    """Removes folders, deepest first, as far as they are empty."""
    with suppress(OSError):
        for parent in parents:
            parent.rmdir()


def remove_stale(folder: Path, inspect: Inspector | None = None) -> None:
    """Removes a folder that an earlier run left behind; harmless where there is none.

    Args:
        inspect: knows what may be in it; by default tiles.

    Raises:
        OutputError: it holds something else.
        OSError: it cannot be removed.
    """
    if not os.path.lexists(folder):
        return
    if (stranger := (inspect or first_stranger)(folder)) is not None:
        raise OutputError(f"{folder} is needed for geo2map's own use, but holds {stranger}: move that away")
    shutil.rmtree(folder)


def replace_folder(fresh: Path, final: Path, inspect: Inspector | None = None) -> None:
    """Gives `fresh` the name `final`; the folder that has it is moved aside and deleted afterwards.

    The caller has made sure, e.g. by `check_replaceable`, that there is nothing in it but what may go.

    Args:
        inspect: as in `remove_stale`.

    Raises:
        OSError: it cannot be renamed; then all is as it was, but for an empty folder of that name.
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
    """Gives an output its name back after a run that was killed between the two renames of `replace_folder`.

    Raises:
        OSError: it cannot be renamed.
    """
    old = hidden_sibling(final, "replaced")
    if old.is_dir() and not os.path.lexists(final):
        old.rename(final)


def check_replaceable(folder: Path) -> None:
    """Refuses to replace a folder that is not a tile set through and through.

    Raises:
        OutputError: it holds something else, or neither tiles nor a tilejson.json.
        OSError: it cannot be listed.
    """
    advice = "choose another folder or delete it yourself"
    if (stranger := first_stranger(folder)) is not None:
        raise OutputError(f"{folder} was to be overwritten, but {stranger} in it is no part of a tile set: {advice}")
    names = {entry.name for entry in folder.iterdir()}
    if FILE_NAME not in names and not any(parse_number(name, MAX_ZOOM + 1) is not None for name in names):
        raise OutputError(f"{folder} was to be overwritten, but it has neither zooms nor a {FILE_NAME}: {advice}")


def first_stranger(folder: Path) -> Path | None:
    """The first thing in a folder that is no part of a tile set, None where all is.

    Parts are zoom folders, column folders in them and tiles in those, each named by a number, and `SIDECARS`. Links are
    strangers.

    Raises:
        OSError: a folder cannot be listed.
    """
    if folder.is_symlink() or not folder.is_dir():
        return folder
    limits = (MAX_ZOOM + 1, 2**MAX_ZOOM)
    return _first_stranger(folder, limits)


def _first_stranger(folder: Path, limits: tuple[int, ...]) -> Path | None:
    """Looks below `folder`, where subfolders are numbers below `limits[0]`; without limits it is a column."""
    with os.scandir(folder) as entries:
        for entry in entries:
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                if not limits or parse_number(entry.name, limits[0]) is None:
                    return path
                if (stranger := _first_stranger(path, limits[1:])) is not None:
                    return stranger
            elif not entry.is_file(follow_symlinks=False) or not _belongs(entry.name, depth=2 - len(limits)):
                return path
    return None


def _belongs(name: str, depth: int) -> bool:
    """Whether a file of this name has a place in a tile set: sidecars at its top, tiles in its columns (depth 2)."""
    if name in _CLUTTER:
        return True
    if depth == 0:
        return name in SIDECARS or name.endswith(".qlr")
    stem, *endings = name.split(".")
    known = depth == 2 and parse_number(stem, 2**MAX_ZOOM) is not None
    return known and bool(endings) and _TILE_ENDINGS.issuperset(set(endings) - {"aux"})
