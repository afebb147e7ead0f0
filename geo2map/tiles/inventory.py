"""What belongs in a folder of tiles: nothing is ever deleted or replaced before every name in it was looked at."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from geo2map.errors import OutputError
from geo2map.files.clutter import CLUTTER_FOLDERS, is_clutter
from geo2map.grid import MAX_ZOOM
from geo2map.tiles.folder import parse_number
from geo2map.tiles.layer import LAYERS
from geo2map.tiles.tilejson import FILE_NAME

JOURNAL_NAME = ".geo2map.journal"
"""What a finished set keeps of its run: its job, its blocks and the digests of its tiles."""
FAILED_NAME = "failed.geojson"
"""Where blocks that could not be read are listed."""

_SIDECARS = frozenset(
    {
        FILE_NAME,
        JOURNAL_NAME,
        FAILED_NAME,
        f"{FILE_NAME}.tmp",
        "tiles.xml",
        "provenance.json",
        "legend.tsv",
        "stacta.json",
        "metadata.json",
        "tilemapresource.xml",
        "doc.kml",
        "layer.json",
        "tiles.json",
        "WMTSCapabilities.xml",
    }
    | {"index.html", "viewer.html", "leaflet.html", "openlayers.html", "googlemaps.html", "mapml.mapml"}
)
"""Files that we and others put beside the zooms of a tile set; QGIS layers (.qlr) and styles (.qml), named by the
scene, come on top."""

_LIMITS = (MAX_ZOOM + 1, 2**MAX_ZOOM)
_TILE_ENDINGS = frozenset({"png", "webp", "jpg", "jpeg", "avif", "tmp", "xml", "kml"})


def check_replaceable(folder: Path) -> None:
    """Refuses to replace a folder that is not a tile set through and through.

    Raises:
        OutputError: it holds something else, or neither tiles nor a tilejson.json.
        OSError: it cannot be listed.
    """
    advice = "choose another folder or delete it yourself"
    if (unexpected := first_unexpected(folder)) is not None:
        raise OutputError(f"{folder} was to be overwritten, but {unexpected} in it is no part of a tile set: {advice}")
    names = {entry.name for entry in folder.iterdir()}
    if FILE_NAME not in names and not any(parse_number(name, MAX_ZOOM + 1) is not None for name in names):
        raise OutputError(f"{folder} was to be overwritten, but it has neither zooms nor a {FILE_NAME}: {advice}")


def first_unexpected(folder: Path) -> Path | None:
    """The first thing in a folder that is no part of a tile set, None where all is.

    Raises:
        OSError: a folder cannot be listed.
    """
    return next(all_unexpected(folder), None)


def all_unexpected(folder: Path) -> Iterator[Path]:
    """Everything in a folder that is no part of a tile set.

    Parts are zoom folders, column folders in them and tiles in those, each named by a number, `SIDECARS`, and further
    layers, each a tile set by itself. Links are none. What systems put into any folder for themselves is passed over.

    Raises:
        OSError: a folder cannot be listed.
    """
    if folder.is_symlink() or not folder.is_dir():
        yield folder
        return
    yield from _all_unexpected(folder, _LIMITS, within=tuple(LAYERS))


def _all_unexpected(folder: Path, limits: tuple[int, ...], within: tuple[str, ...] = ()) -> Iterator[Path]:
    """Looks below `folder`, where subfolders are numbers below `limits[0]`, or sets called as `within` says; without
    limits it is a column."""
    with os.scandir(folder) as entries:
        for entry in entries:
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False) and entry.name in within:
                yield from _all_unexpected(path, _LIMITS)
            elif entry.is_dir(follow_symlinks=False) and entry.name.lower() in CLUTTER_FOLDERS:
                continue
            elif entry.is_dir(follow_symlinks=False):
                if not limits or parse_number(entry.name, limits[0]) is None:
                    yield path
                else:
                    yield from _all_unexpected(path, limits[1:])
            elif not entry.is_file(follow_symlinks=False) or not _belongs(entry.name, depth=2 - len(limits)):
                yield path


def _belongs(name: str, depth: int) -> bool:
    """Whether a file of this name has a place in a tile set: sidecars at its top, tiles in its columns (depth 2)."""
    if is_clutter(name):
        return True
    if depth == 0:
        if name.startswith(".") and name.endswith(".partial"):  # one that was being written when its run was killed
            name = name[1:].removesuffix(".partial")
        return name in _SIDECARS or name.endswith((".qlr", ".qml"))
    stem, *endings = name.split(".")
    known = depth == 2 and parse_number(stem, 2**MAX_ZOOM) is not None
    return known and bool(endings) and _TILE_ENDINGS.issuperset({ending.lower() for ending in endings} - {"aux"})
