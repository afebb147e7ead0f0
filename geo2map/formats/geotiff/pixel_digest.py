"""Verification of a raster: the pixels written against the pixels read back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from geo2map.errors import OutputError
from geo2map.formats.geotiff.bands import BandArray, BandLayout


class PixelDigest:
    """An order-independent digest of the blocks of a raster.

    Attributes:
        visible: number of blocks with a valid pixel.
    """

    def __init__(self, blank: int = 0) -> None:
        """
        Args:
            blank: value of the last band in invalid pixels.
        """
        self._sum, self._blank, self.visible = 0, blank, 0

    def add(self, column: int, row: int, bands: BandArray) -> bool:
        """Add a block, uint8 (bands, H, W); returns whether it has a valid pixel."""
        data = np.ascontiguousarray(bands)
        found = hashlib.blake2b(f"{column} {row}".encode(), digest_size=8)
        found.update(data.data)
        self._sum ^= int.from_bytes(found.digest(), "big")
        visible = bool((bands[-1] != self._blank).any())
        self.visible += visible
        return visible

    @property
    def hex(self) -> str:
        """Sixteen hex digits."""
        return f"{self._sum:016x}"


@contextmanager
def open_level(path: Path, number: int, mode: str = "r") -> Iterator[Any]:
    """Open a file's pixels (0) or one of its overviews (1 ...)."""
    options = {"OVERVIEW_LEVEL": number - 1} if number else {}
    with rasterio.open(path, mode, **options) as dataset:
        yield dataset


def level_digests(path: Path, layout: BandLayout) -> list[PixelDigest]:
    """The digest of every level of a file, read block by block."""
    digests = []
    with rasterio.open(path) as dataset:
        levels = len(dataset.overviews(1)) + 1
    for number in range(levels):
        digest = PixelDigest(layout.blank)
        with open_level(path, number) as dataset:
            for (row, column), window in dataset.block_windows(1):
                digest.add(column, row, dataset.read(window=window))
        digests.append(digest)
    return digests


def verify(path: Path, layout: BandLayout, written: list[PixelDigest]) -> None:
    """Read every block back.

    Raises:
        OutputError: blocks are missing, or differ from what was written.
    """
    found = level_digests(path, layout)
    if lost := sum(digest.visible for digest in written) - sum(digest.visible for digest in found):
        raise OutputError(f"{path}: {lost} blocks missing after writing; the disk may be full: free some space")
    if [digest.hex for digest in found] != [digest.hex for digest in written]:
        raise OutputError(f"{path}: differs from what was written; check the disk and run again")
