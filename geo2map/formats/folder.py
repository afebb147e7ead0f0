"""A folder of XYZ tiles with its TileJSON."""

from __future__ import annotations

from pathlib import Path

from geo2map.protocols import Progress, StoredTiles
from geo2map.tiles.tilejson import TileSet


def write_folder(store: StoredTiles, tileset: TileSet, path: Path, progress: Progress | None = None) -> None:  # noqa: ARG001
    """Complete a folder whose tiles are already written, by adding its TileJSON.

    Raises:
        OutputError: it cannot be written.
    """
    tileset.write(path)
