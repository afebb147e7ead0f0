"""Sinks: where translated pixels go. Which one is chosen by the look of the path."""

from __future__ import annotations

import os
from pathlib import Path

from geo2map.errors import OutputError
from geo2map.files.atomic import output_errors
from geo2map.outputs.raster import SUFFIXES as RASTER_SUFFIXES
from geo2map.outputs.raster_sink import RasterSink
from geo2map.outputs.xyz_sink import XyzSink
from geo2map.protocols import Progress
from geo2map.tiles.tilejson import TileSet

__all__ = ["RasterSink", "XyzSink", "open_sink"]


def open_sink(
    path: str | Path, tileset: TileSet, *, overwrite: bool = False, progress: Progress | None = None
) -> XyzSink | RasterSink:
    """Opens the sink that the path asks for; also a context manager that aborts what was not committed.

    Args:
        path: a name that ends in .tif or .tiff becomes a GeoTIFF; one without a suffix, with a slash at its end, or of
            a folder that exists becomes a folder of XYZ tiles.
        tileset: what the output is to say of itself.
        overwrite: replaces an existing output, at commit.
        progress: told about the stages of commit.

    Raises:
        OutputError: another suffix, an output that exists, or a place that cannot be written.
    """
    separators = tuple(filter(None, ("/", os.sep, os.altsep)))
    asked_folder = str(path).endswith(separators)
    path = Path(path)
    suffix = path.suffix.lower()
    with output_errors(path):
        is_folder = asked_folder or not suffix or path.is_dir()
    if is_folder:
        return XyzSink(path, tileset, overwrite=overwrite, progress=progress)
    if suffix in RASTER_SUFFIXES:
        return RasterSink(path, tileset, overwrite=overwrite, progress=progress)
    raise OutputError(
        f"{path} was asked for, but geo2map writes no {suffix} files: give a name that ends in .tif (a GeoTIFF), "
        "or in a slash (a folder of tiles)"
    )
