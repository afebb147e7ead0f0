"""Tiles on their way: a hidden folder beside the output that takes them until the output is complete."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

from geo2map.errors import OutputError
from geo2map.files.atomic import hidden_sibling, make_parents, output_errors, remove_parents, remove_stale
from geo2map.grid.block import BlockImage
from geo2map.tiles.codec import encode_tile
from geo2map.tiles.folder import XyzFolder
from geo2map.tiles.inventory import first_unexpected
from geo2map.types import TileFormat


class TileStaging:
    """A hidden XYZ folder, `.{name}.partial` beside the output `{name}`, for the tiles of one zoom.

    Attributes:
        final: the output.
        folder: the hidden folder.
        open: whether it still takes tiles.
    """

    def __init__(self, final: Path, format: TileFormat, zoom: int) -> None:
        """Makes the folder, and those above the output; removes what a killed run left under its name.

        Raises:
            OutputError: the place cannot be written.
        """
        self.final, self.folder = final, hidden_sibling(final, "partial")
        self._format, self._zoom = format, zoom
        with output_errors(final):
            self._parents = make_parents(final.parent)
            try:
                remove_stale(self.folder, first_unexpected)
                self.folder.mkdir()
            except OSError:
                remove_parents(self._parents)
                raise
        self._tiles = XyzFolder(self.folder)
        self.open = True

    def write(self, image: BlockImage) -> None:
        """Stores the tiles that have a valid pixel. May be called from several threads, never for the same tile.

        Raises:
            OutputError: the disk is full or went away, the block is of another zoom, or the output is finished.
        """
        if not self.open:
            raise OutputError(f"{self.final} is finished and takes no more tiles: open a new sink")
        if image.block.z != self._zoom:
            raise OutputError(f"{self.final} takes zoom {self._zoom}, but a block has {image.block.z}: check the plan")
        for tile, pixels, mask in image.tiles():
            self._tiles.write(tile, encode_tile(pixels, mask, self._format), self._format)

    def require_tiles(self) -> None:
        """
        Raises:
            OutputError: not one tile was written.
        """
        if not self._tiles.zooms:
            raise OutputError(
                f"{self.final} would be empty: no tile has a valid pixel; check the scene and the area asked"
            )

    def close(self) -> None:
        """Takes no more tiles; the folder is someone else's now."""
        self.open = False

    def discard(self) -> None:
        """Removes the folder, and those that were made above the output as far as they are empty."""
        self.open = False
        shutil.rmtree(self.folder, ignore_errors=True)
        remove_parents(self._parents)


class StagedSink:
    """What sinks have in common whose tiles wait in a `TileStaging`: a subclass says how they become the output.

    As a context manager it aborts what was not committed. One process at a time may write an output of a name.
    """

    _staging: TileStaging

    def write(self, image: BlockImage) -> None:
        """Stores the tiles of a block image; see `geo2map.protocols.Sink`."""
        self._staging.write(image)

    def commit(self) -> None:
        """Makes the output of the staged tiles; harmless when repeated."""
        raise NotImplementedError

    def abort(self) -> None:
        """Removes what was written and leaves an older output as it was; harmless after `commit`."""
        if self._staging.open:
            self._staging.discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()
