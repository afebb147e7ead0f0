"""A folder of XYZ tiles with overviews and a TileJSON document."""

from __future__ import annotations

import os
from pathlib import Path

from geo2map.errors import OutputError
from geo2map.files.atomic import output_errors, replace_folder, restore_replaced
from geo2map.outputs.staging import StagedSink, TileStaging
from geo2map.protocols import Progress
from geo2map.tiles.inventory import check_replaceable, first_unexpected
from geo2map.tiles.pyramid import build_overviews
from geo2map.tiles.tilejson import TileSet


class XyzSink(StagedSink):
    """Writes `{z}/{x}/{y}` tiles of `tileset.format`; the folder appears under its name, complete, at commit.

    A `geo2map.protocols.Sink`.

    Attributes:
        path: the folder.
        tileset: what tilejson.json will say.
    """

    def __init__(
        self, path: str | Path, tileset: TileSet, *, overwrite: bool = False, progress: Progress | None = None
    ) -> None:
        """
        Args:
            path: new, or an empty folder.
            tileset: tiles are taken at its maxzoom, overviews made down to its minzoom.
            overwrite: a tile set of that name is replaced at commit; any other folder is refused all the same.
            progress: told "overviews" during commit.

        Raises:
            OutputError: the folder holds something, or cannot be written.
        """
        self.path, self.tileset = Path(path), tileset
        self._overwrite, self._progress = overwrite, progress
        self._final = self.path.resolve()
        with output_errors(self.path):
            restore_replaced(self._final)
            self._check_final()
        self._staging = TileStaging(self._final, tileset.format, tileset.maxzoom)

    def commit(self) -> None:
        """Makes overviews and tilejson.json and gives the folder its name; harmless when repeated.

        Raises:
            OutputError: no tile was written, or the disk is full; `abort` is still possible then.
            TileSetError: a stored tile was damaged meanwhile.
        """
        if not self._staging.open:
            return
        folder, tileset = self._staging.folder, self.tileset
        self._staging.require_tiles()
        build_overviews(folder, tileset.format, tileset.minzoom, tileset.maxzoom, progress=self._progress)
        tileset.write(folder)
        with output_errors(self.path):
            self._check_final()
            replace_folder(folder, self._final, first_unexpected)
        self._staging.close()

    def _check_final(self) -> None:
        """Refuses a place that is taken."""
        if not os.path.lexists(self._final):
            return
        if not self._final.is_dir():
            raise OutputError(f"{self.path} was asked for as a folder of tiles, but it is a file: choose another name")
        if not any(self._final.iterdir()):
            return
        if not self._overwrite:
            raise OutputError(f"{self.path} is not empty: choose another folder or allow overwriting it (--overwrite)")
        check_replaceable(self._final)
