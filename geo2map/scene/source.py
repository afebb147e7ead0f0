"""A scene at one zoom, as a source of pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from rasterio.io import DatasetReader
from rasterio.windows import Window

from geo2map.colour.transform import ColourTransform
from geo2map.errors import SceneError
from geo2map.files.closing import Closing
from geo2map.grid import PixelWindow, world_window
from geo2map.grid.block import Block, BlockImage
from geo2map.scene.emptiness import Emptiness
from geo2map.scene.gdal import open_raster, reading, retry
from geo2map.types import Image, Mask


class SceneSource(Closing):
    """A scene at one zoom (a `geo2map.protocols.Source`).

    There is one fixed warped view for the whole scene: a pixel does not depend on the block. Columns are
    counted modulo the world, so that it is also the same on both sides of the antimeridian.

    The file is opened on first read, and again after closing.
    """

    def __init__(
        self, path: str, document: str, frame: PixelWindow, rendition: ColourTransform, emptiness: Emptiness
    ) -> None:
        """
        Args:
            path: of the scene, for errors.
            document: what `geo2map.scene.vrt.warped_vrt` made.
            frame: the global pixels it covers; may reach over the world's right edge.
            emptiness: of the file that the document warps.
        """
        self.path, self.rendition = path, rendition
        self._document, self._emptiness = document, emptiness
        self._vrt: DatasetReader | None = None
        self._frame, self._world = frame, world_window(emptiness.zoom).width

    def close(self) -> None:
        """Closes the file."""
        if self._vrt is not None:
            self._vrt.close()
            self._vrt = None

    def another(self) -> SceneSource:
        """The same pixels through handles of their own, for another thread."""
        return SceneSource(self.path, self._document, self._frame, self.rendition, self._emptiness.another())

    def is_empty(self, window: PixelWindow) -> bool:
        """Whether a window of global pixels provably contains no valid one; False if only reading can decide."""
        turned = (window.shift(-turn) for turn in (-self._world, 0, self._world))
        parts = (part.intersection(self._frame) for part in turned)
        return all(part.empty or self._emptiness.is_empty(part) for part in parts)

    def read(self, block: Block) -> BlockImage:
        """Reads a block; a pixel is valid where the scene's pixel is, or half of those that an alpha band mixes.

        Raises:
            SceneError: damaged data.
        """
        return BlockImage(block, *self.read_window(block.window))

    def read_window(self, wanted: PixelWindow) -> tuple[Image, Mask]:
        """Pixels and mask of any global pixels; see `read`."""
        pixels = np.zeros((wanted.height, wanted.width, 3), dtype=np.uint8)
        mask = np.zeros((wanted.height, wanted.width), dtype=np.bool_)
        for turn in (-self._world, 0, self._world):
            frame = self._frame.shift(turn)
            there = wanted.intersection(frame)
            if not there.empty:
                into = there.slices(wanted)
                pixels[into], mask[into] = self._read(Window.from_slices(*there.slices(frame)))
        return pixels, mask

    def _read(self, window: Window) -> tuple[Image, Mask]:
        bands = retry(self.path, lambda: self._read_bands(window))
        colours = np.moveaxis(bands[:-1], 0, -1)
        mask = (bands[-1] >= 128) & np.isfinite(colours).all(axis=-1)
        if colours.shape[-1] == 1:
            colours = colours.repeat(3, axis=-1)
        return self.rendition(colours), mask

    def _read_bands(self, window: Window) -> npt.NDArray[np.generic]:
        try:
            with reading(self.path):
                self._vrt = self._vrt or open_raster(self._document)
                return self._vrt.read(window=window)
        except SceneError:
            self.close()
            raise
