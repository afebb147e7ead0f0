"""The files that belong in a folder of tiles; nothing is deleted or replaced unless every name in it is accepted."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from geo2map.errors import OutputError
from geo2map.files.clutter import CLUTTER_FOLDERS, is_clutter
from geo2map.grid import MAX_ZOOM
from geo2map.tiles.folder import parse_number
from geo2map.tiles.layer import LAYERS
from geo2map.tiles.tilejson import FILE_NAME

JOURNAL_NAME = ".geo2map.journal"
"""The record of a finished folder: its job, blocks and tile digests."""
FAILED_NAME = "failed.geojson"
"""Lists blocks that could not be read."""

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
"""Files that geo2map and other programs put beside the zooms of a tile set, in addition to QGIS layers (.qlr) and
styles (.qml), which are named after the scene."""

_STYLE = re.compile(r"style\..+\.json")
"""Styles of vector tiles."""
_LIMITS = (MAX_ZOOM + 1, 2**MAX_ZOOM)
_TILE_ENDINGS = frozenset({"png", "webp", "jpg", "jpeg", "avif", "pbf", "mvt", "tmp", "xml", "kml"})


def check_replaceable(folder: Path) -> None:
    """Refuse to replace a folder that contains anything other than a tile set.

    Raises:
        OutputError: it has other contents, or neither tiles nor a tilejson.json.
        OSError: it cannot be listed.
    """
    advice = "choose another folder or delete it yourself"
    if (unexpected := first_unexpected(folder)) is not None:
        raise OutputError(f"{folder}: not overwritten, since {unexpected} does not belong to a tile set; {advice}")
    names = {entry.name for entry in folder.iterdir()}
    if FILE_NAME not in names and not any(parse_number(name, MAX_ZOOM + 1) is not None for name in names):
        raise OutputError(f"{folder}: not overwritten, since it has neither zooms nor a {FILE_NAME}; {advice}")


def first_unexpected(folder: Path) -> Path | None:
    """The first entry of a folder that does not belong to a tile set, else None.

    Raises:
        OSError: a folder cannot be listed.
    """
    return next(all_unexpected(folder), None)


def all_unexpected(folder: Path) -> Iterator[Path]:
    """All entries of a folder that do not belong to a tile set.

    A tile set has zoom folders, column folders in these and tiles in those, each named by a number, sidecars, and
    further layers, each a tile set itself. Links do not belong to it. Files of the operating system are ignored.

    Raises:
        OSError: a folder cannot be listed.
    """
    if folder.is_symlink() or not folder.is_dir():
        yield folder
        return
    yield from _all_unexpected(folder, _LIMITS, within=tuple(LAYERS))


def _all_unexpected(folder: Path, limits: tuple[int, ...], within: tuple[str, ...] = ()) -> Iterator[Path]:
    """Check entries of `folder`, where subfolders are numbers below `limits[0]` or layers named in `within`; without
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
    """Whether a file name belongs in a tile set: sidecars at the top, tiles in columns (depth 2)."""
    if is_clutter(name):
        return True
    if depth == 0:
        if name.startswith(".") and name.endswith(".partial"):  # left by a killed run
            name = name[1:].removesuffix(".partial")
        return name in _SIDECARS or _STYLE.fullmatch(name) is not None or name.endswith((".qlr", ".qml"))
    stem, *endings = name.split(".")
    known = depth == 2 and parse_number(stem, 2**MAX_ZOOM) is not None
    return known and bool(endings) and _TILE_ENDINGS.issuperset({ending.lower() for ending in endings} - {"aux"})
