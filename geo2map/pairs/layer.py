"""The sources of pairs: scenes or a folder of tiles, as pixels of one zoom."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import numpy as np
import numpy.typing as npt

from geo2map import grid
from geo2map.colour.stretch import Stretch
from geo2map.colour.transform import ColourTransform, make_rendition
from geo2map.errors import DataError, ZoomError
from geo2map.grid import PixelWindow
from geo2map.grid.block import Block
from geo2map.grid.fill import fill
from geo2map.pairs.registration import Shift
from geo2map.protocols import Source
from geo2map.scene import TileSource, View, open_scenes
from geo2map.scene.options import ReadingKeywords
from geo2map.tiles.folder import XyzFolder
from geo2map.types import Image, Mask, PathLike, Resampling


@dataclass(frozen=True)
class PairLayer:
    """Pixels of one zoom.

    Attributes:
        name: of the scene or the folder; no path.
        zoom: of the pixels.
        window: global pixels that hold all of it; may reach over the world's right edge.
        source: reads it.
        ground_resolution: metres per pixel of the source, None if that of the zoom.
        stretch: what became 0 and 255; None for 8-bit colours.
        notes: sentences a user should read.
    """

    name: str
    zoom: int
    window: PixelWindow
    source: Source
    ground_resolution: float | None = None
    stretch: Stretch | None = None
    notes: tuple[str, ...] = ()

    def read(self, window: PixelWindow) -> tuple[Image, Mask]:
        """Pixels and mask of a window, uint8 (H, W, 3) and bool (H, W).

        Where there is no data, the pixels are the nearest valid ones' and, far from those, the window's median colour.
        """
        tiles = grid.tile_range(window)
        image = self.source.read(Block(self.zoom, tiles.left, tiles.top, tiles.width, tiles.height))
        part = window.slices(image.block.window)
        mask = image.mask[part]
        if mask.all() or not mask.any():
            return image.pixels[part], mask
        red, green, blue = np.median(image.pixels[part][mask], axis=0).astype(int).tolist()
        return fill(image, (red, green, blue))[part], mask


@contextmanager
def open_layer(
    asked: PathLike | Sequence[PathLike],
    zoom: int,
    resampling: Resampling,
    stretch: str | None,
    **options: Unpack[ReadingKeywords],
) -> Iterator[PairLayer]:
    """Opens scenes or a folder of XYZ tiles.

    Args:
        asked: a folder of tiles, or scenes as for `geo2map.open_scenes`.
        resampling: kernel of the warp; tiles are used as they are.
        stretch: see `geo2map.colour.stretch.parse_stretch`, decided once for all pixels; None for colours that
            are classes, as a map's, and must be 8-bit.
        options: of `geo2map.open_scenes`.

    Raises:
        ZoomError: tiles, but none of this zoom.
        DataError: a map with more than 8 bits.
        Geo2MapError: whatever else `open_scenes` raises.
    """
    if isinstance(asked, str | Path) and Path(asked).is_dir() and (folder := XyzFolder(asked)).zooms:
        yield _tile_layer(folder, folder.require_zooms(), zoom)
        return
    with open_scenes(asked, **options) as imagery:
        sample = imagery.sample()
        if stretch is None:
            _require_colours(sample, imagery.name)
        rendition, _ = make_rendition(sample, None, "none", stretch or "none")
        with imagery.at(View(zoom, rendition, resampling)) as source:
            window, notes = imagery.window(zoom), imagery.notes
            yield PairLayer(imagery.name, zoom, window, source, imagery.ground_resolution, rendition.stretch, notes)


def _tile_layer(folder: XyzFolder, zooms: Sequence[int], zoom: int) -> PairLayer:
    if zoom not in zooms:
        raise ZoomError(
            f"{folder.path} has no tiles at zoom {zoom}; it has {'zoom' if len(zooms) == 1 else 'zooms'} "
            f"{', '.join(map(str, zooms))}",
            option="zoom",
        )
    return PairLayer(folder.path.resolve().name, zoom, folder.window(zoom), TileSource(folder, zoom, ColourTransform()))


def _require_colours(sample: npt.NDArray[np.generic], name: str) -> None:
    values = sample.astype(np.float64)
    if values.size and not (values.min() >= 0 and values.max() <= 255):
        raise DataError(
            f"map {name} is not an 8-bit image, its values range from {values.min():.6g} to {values.max():.6g}; "
            "convert it to 8-bit RGB"
        )


def common_window(a: PairLayer, b: PairLayer) -> PixelWindow:
    """The global pixels that both cover, either way around the Earth.

    Raises:
        DataError: there are none.
    """
    world = grid.world_window(a.zoom).width
    frames = [b.window.shift(turn) for turn in (0, -world, world)]
    found = next((common for frame in frames if not (common := a.window.intersection(frame)).empty), None)
    if found is not None:
        return found
    gaps = [_gap(a.window, frame) for frame in frames]
    gap = min(gaps, key=lambda gap: gap.length)
    metres = grid.ground_resolution(a.zoom, grid.window_latitude(a.window, a.zoom))
    raise DataError(
        f"{a.name} and {b.name} do not overlap: the map is "
        f"{gap.length * metres / 1000:.3g} km away ({gap.words(metres / 1000, 'km')}); give a map of the same place, "
        "and check the CRS of both"
    )


def _gap(a: PixelWindow, b: PixelWindow) -> Shift:
    """The distance in px from the nearest edge of `a` to `b`, 0 in the direction in which they overlap."""
    east = max(0, b.left - a.right) - max(0, a.left - b.right)
    south = max(0, b.top - a.bottom) - max(0, a.top - b.bottom)
    return Shift(east, south)
