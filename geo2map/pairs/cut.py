"""Cuts scene and map into pictures of one grid, one picture at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from geo2map.grid import PixelWindow
from geo2map.pairs.folder import PairsFolder
from geo2map.pairs.layer import PairLayer
from geo2map.pairs.options import PairsOptions
from geo2map.pairs.registration import Shift, Surface, correlation, find_shift
from geo2map.pairs.split import Cell, draw_number
from geo2map.types import Image, Mask

BLANK_LEVELS, BLANK_SHARE = 8, 0.99
"""A map is blank if at least this share of it is within this many levels of its median colour."""
CLASS_STRIDE = 2
"""Step in rows and columns when classes are counted."""


@dataclass(frozen=True)
class Cut:
    """The record of a stored image.

    Attributes:
        cell: which one.
        shift: offset of its map, None if undetermined.
        classes: pixels of each class of the palette.
    """

    cell: Cell
    shift: Shift | None
    classes: tuple[int, ...]


class Cutter:
    """Reads images, drops those without data, correlates and stores the rest.

    Attributes:
        cuts: the stored images.
        dropped: pictures left out, by reason.
        surface: sum of the correlations of all images, None before the first.
    """

    def __init__(
        self, scene: PairLayer, drawn: PairLayer, window: PixelWindow, folder: PairsFolder, options: PairsOptions
    ) -> None:
        """
        Args:
            window: global pixels that both layers cover.
        """
        self._layers, self._window, self._folder, self._options = (scene, drawn), window, folder, options
        self.cuts: list[Cut] = []
        self.dropped = {"nodata": 0, "blank": 0, "registration": 0}
        self.surface: Surface | None = None

    def cut(self, cell: Cell) -> None:
        """Reads one image and stores it, or counts the reason why not.

        Raises:
            OutputError: it cannot be written.
            SceneError, TileSetError: it cannot be read.
        """
        options = self._options
        pair = self._read(cell)
        if pair is None:
            self.dropped["nodata"] += 1
            return
        scene, drawn, mask = pair
        if options.keep_blank < 1 and is_blank(drawn) and draw_number(options.seed, cell) >= options.keep_blank:
            self.dropped["blank"] += 1
            return
        self._folder.write(cell, scene, drawn)
        shift = None if options.registration == "off" else self._register(scene, drawn, mask)
        self.cuts.append(Cut(cell, shift, self._count_classes(drawn)))

    def _read(self, cell: Cell) -> tuple[Image, Image, Mask] | None:
        """Scene, map and where both are valid; None if too little of either is."""
        size, least = self._options.size, self._options.min_valid
        window = cell_window(cell, size)
        common = window.intersection(self._window)
        if common.empty or common.width * common.height < least * size * size:
            return None
        pixels: list[Image] = []
        both = np.ones((size, size), dtype=np.bool_)
        for layer in self._layers:
            image, mask = layer.read(window)
            if mask.mean() < least or not mask.any():
                return None
            pixels.append(image)
            both &= mask
        return pixels[0], pixels[1], both

    def _register(self, scene: Image, drawn: Image, mask: Mask) -> Shift | None:
        surface = correlation(scene, drawn, mask)
        self.surface = surface if self.surface is None else self.surface + surface
        return find_shift(surface)

    def _count_classes(self, drawn: Image) -> tuple[int, ...]:
        if (palette := self._options.palette) is None:
            return ()
        classes = palette.classify(drawn[::CLASS_STRIDE, ::CLASS_STRIDE])
        return tuple(np.bincount(classes.ravel(), minlength=len(palette.classes)).tolist())


def cells(window: PixelWindow, size: int) -> Iterator[Cell]:
    """The pictures that a window touches, row by row."""
    columns, rows = cell_span(window, size)
    for row in rows:
        for column in columns:
            yield Cell(column, row)


def cell_span(window: PixelWindow, size: int) -> tuple[range, range]:
    """Columns and rows of the pictures that a window touches."""
    return (
        range(window.left // size, -(-window.right // size)),
        range(window.top // size, -(-window.bottom // size)),
    )


def cell_window(cell: Cell, size: int) -> PixelWindow:
    """The global pixels of a picture."""
    left, top = cell.column * size, cell.row * size
    return PixelWindow(left, top, left + size, top + size)


def is_blank(drawn: Image) -> bool:
    """Whether a map is of one colour."""
    levels = drawn.astype(np.int16)
    distance = np.abs(levels - np.median(levels, axis=(0, 1)).astype(np.int16)).max(axis=-1)
    return float((distance <= BLANK_LEVELS).mean()) >= BLANK_SHARE
