"""A GeoTIFF: tiles are spooled without loss during the run and become one file at the end."""

from __future__ import annotations

from pathlib import Path

from geo2map.outputs.raster import check_raster_path, mosaic
from geo2map.outputs.staging import StagedSink, TileStaging
from geo2map.protocols import Progress
from geo2map.tiles.tilejson import TileSet


class RasterSink(StagedSink):
    """Writes one RGBA GeoTIFF with internal overviews; it appears under its name, complete, at commit.

    A `geo2map.protocols.Sink`. The spool beside the output takes about as much disk as the GeoTIFF itself.

    Attributes:
        path: the file.
        tileset: what the file will say of itself; its format and minzoom play no part.
    """

    def __init__(
        self, path: str | Path, tileset: TileSet, *, overwrite: bool = False, progress: Progress | None = None
    ) -> None:
        """
        Args:
            path: ends in .tif or .tiff.
            tileset: tiles are taken at its maxzoom.
            overwrite: a file of that name is replaced at commit.
            progress: told "mosaic" during commit.

        Raises:
            OutputError: the file exists, or cannot be written.
        """
        self.path, self.tileset = Path(path), tileset
        self._overwrite, self._progress = overwrite, progress
        self._final = self.path.resolve()
        check_raster_path(self._final, overwrite=overwrite)
        self._staging = TileStaging(self._final, "png", tileset.maxzoom)

    def commit(self) -> None:
        """Writes the GeoTIFF, gives it its name and removes the spool; harmless when repeated.

        Raises:
            OutputError: no tile was written, or the disk is full; `abort` is still possible then.
            TileSetError: a spooled tile was damaged meanwhile, or the tiles lie too far apart for one file.
        """
        if not self._staging.open:
            return
        self._staging.require_tiles()
        self.tileset.write(self._staging.folder)
        mosaic(self._staging.folder, self._final, overwrite=self._overwrite, progress=self._progress)
        self._staging.discard()
