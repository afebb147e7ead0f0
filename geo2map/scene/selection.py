"""Which imagery a request names, searched for once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from geo2map.files.address import is_file_path
from geo2map.scene.discover import find_imagery, mosaic_name
from geo2map.scene.tile_folder import is_tile_folder

Scenes: TypeAlias = str | Path | Sequence[str | Path]
"""One scene or several: files, folders, patterns, URLs, or a folder of tiles; see `geo2map.open_scenes`."""


@dataclass(frozen=True)
class SceneSelection:
    """The result of a search for scenes.

    Attributes:
        paths: rasters in order; a folder of XYZ tiles stands alone.
        name: of all of them together.
        remarks: notes on outputs of geo2map among them.
        is_tiles: whether it is a folder of XYZ tiles.
    """

    paths: tuple[str, ...]
    name: str
    remarks: tuple[str, ...] = ()
    is_tiles: bool = False

    @property
    def files(self) -> list[str]:
        """Those on this machine's disks, without URLs."""
        return [path for path in self.paths if is_file_path(path)]

    @property
    def full_paths(self) -> list[str]:
        """The paths as any process finds them, whatever its working folder."""
        return [str(Path(path).resolve()) if is_file_path(path) else path for path in self.paths]


def select_scenes(asked: Scenes | SceneSelection) -> SceneSelection:
    """Searches for scenes; returns a selection unchanged.

    Raises:
        SceneError: nothing given, a folder without rasters, a pattern without matches, a list that cannot be read.
        TileSetError: a folder of tiles on another grid.
    """
    if isinstance(asked, SceneSelection):
        return asked
    if (tiles := select_tiles(asked)) is not None:
        return tiles
    scenes, remarks = find_imagery(asked)
    return SceneSelection(tuple(scenes), mosaic_name(asked, scenes), remarks)


def select_tiles(asked: Scenes | SceneSelection) -> SceneSelection | None:
    """A folder of tiles as a selection; None for anything else.

    Raises:
        TileSetError: a folder of tiles on another grid.
    """
    if isinstance(asked, SceneSelection):
        return asked if asked.is_tiles else None
    folder = is_tile_folder(asked)
    return None if folder is None else SceneSelection((str(folder),), folder.resolve().name, is_tiles=True)
