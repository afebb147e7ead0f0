"""A folder of XYZ tiles as imagery, so that cut tiles can be translated with their neighbours."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, lru_cache
from pathlib import Path
from types import TracebackType

import numpy as np

from geo2map import grid
from geo2map.colour.transform import ColourTransform
from geo2map.errors import TileSetError
from geo2map.files.address import is_file_path, is_folder, plain_path
from geo2map.grid.block import Block, BlockImage
from geo2map.grid.window import PixelWindow, tile_range, tile_window
from geo2map.scene.identity import SceneIdentity
from geo2map.scene.view import View
from geo2map.tiles.folder import XyzFolder
from geo2map.tiles.tilejson import TileSet
from geo2map.types import Favours, Image, Mask, OnError, Tile

CACHED_TILES = 512  # 130 MB at most; a row of blocks shares its margin with the next
SAMPLED_TILES = 64


def is_tile_folder(asked: str | Path | Sequence[str | Path]) -> Path | None:
    """The folder of tiles, or None for anything else.

    Raises:
        TileSetError: its tiles are on another grid or vector tiles, or its documents contradict each other.
    """
    paths = [plain_path(path) for path in ([asked] if isinstance(asked, str | Path) else asked)]
    if len(paths) != 1 or not is_file_path(paths[0]) or not is_folder(paths[0]):
        return None
    folder = XyzFolder(paths[0])
    try:
        if not folder.zooms:
            return None
    except TileSetError:  # a folder that cannot be listed: reported when scenes are searched in it
        return None
    folder.require_grid()
    folder.require_scheme()
    if folder.format == "mvt":
        raise TileSetError(f"{folder.path}: vector tiles (pbf), which have no pixels; give raster tiles")
    return folder.path


class TileFolder:
    """A folder of XYZ tiles by any program (a `geo2map.scene.Imagery`).

    A set cut by geo2map keeps its scene's name, window and colours.

    Attributes:
        folder: the tiles.
        zooms: those with tiles, ascending.
        name: of the scene that was cut, else of the folder.
        ground_resolution: metres on the ground per pixel, at the largest zoom.
        latitude: degrees, of the middle.
        bits: None: tiles have 8.
        colours_for: name of the model whose colours the tiles were cut for, else "".
        favours: of the plan by which they were cut, else ().
    """

    bits: int | None = None

    def __init__(self, path: str | Path, on_error: OnError = "fail") -> None:
        """
        Args:
            on_error: "skip" leaves broken tiles out of the sample.

        Raises:
            TileSetError: no such folder, no tiles in it, or a tilejson.json that cannot be read.
        """
        self.on_error = on_error
        self.folder = XyzFolder(path)
        self.zooms: tuple[int, ...] | None = self.folder.require_zooms()
        self._tileset = TileSet.load(self.folder.path)
        self.name = self._tileset.name if self._tileset else self.folder.path.resolve().name
        self.colours_for = str(self._tileset.extra.get("colours_for", "")) if self._tileset else ""
        self.favours = _favours(self._tileset)
        largest = self.zooms[-1]
        self.latitude = grid.window_latitude(self.window(largest), largest)
        self.ground_resolution = grid.ground_resolution(largest, self.latitude)

    def __enter__(self) -> TileFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Does nothing: no file is open."""

    @property
    def files(self) -> tuple[str, ...]:
        """The folder."""
        return (str(self.folder.path),)

    @property
    def identities(self) -> tuple[SceneIdentity, ...]:
        """The folder: names, sizes and times of its tiles at the largest zoom."""
        digest, size, newest = hashlib.sha256(), 0, 0
        for tile in self.folder.tiles(self.folder.require_zooms()[-1]):
            if (path := self.folder.tile_path(tile)) is not None:
                status = path.stat()
                digest.update(f"{tile} {status.st_size}".encode())
                size, newest = size + status.st_size, max(newest, status.st_mtime_ns)
        return (SceneIdentity(str(self.folder.path.resolve()), size, str(newest), digest.hexdigest()[:16]),)

    @property
    def layout_digest(self) -> str:
        """Empty: tile positions are given by their names."""
        return ""

    def window(self, zoom: int) -> PixelWindow:
        """The smallest window of global pixels that holds the tiles of a zoom, or the scene that was cut at it.

        Raises:
            ZoomError: there are no tiles at this zoom.
        """
        self.folder.pick_zoom(zoom)
        known = self._tileset
        return known.window if known and known.maxzoom == zoom else self.folder.window(zoom)

    def sample(self) -> Image:
        """Valid pixels of evenly spread tiles, every fourth row and column, uint8 (pixels, 3).

        Raises:
            TileSetError: one of them is broken; where broken ones are left out, all of them are.
        """
        return self._sample[0]

    @property
    def notes(self) -> tuple[str, ...]:
        """A note on broken tiles in the sample."""
        broken = 0 if self.on_error == "fail" else self._sample[1]
        said = f"warning: {broken} of the sampled tiles cannot be read; the others decide the colours"
        return (said,) if broken else ()

    @cached_property
    def _sample(self) -> tuple[Image, int]:
        """Pixels, and how many tiles were left out."""
        tiles = list(self.folder.tiles(self.folder.require_zooms()[-1]))
        found, errors = [], []
        for tile in tiles[:: max(1, len(tiles) // SAMPLED_TILES)]:
            try:
                read = self.folder.read(tile)
            except TileSetError as error:
                errors.append(error)
                if self.on_error == "fail":
                    raise
            else:
                found += [] if read is None else [read[0][::4, ::4][read[1][::4, ::4]]]
        if errors and not found:
            raise errors[0]
        return np.concatenate(found), len(errors)

    def coverage(self, zoom: int, cell: int) -> Mask:
        """Where there are tiles: one bool per `cell` x `cell` global pixels of `window(zoom)`, (rows, columns)."""
        window = self.window(zoom)
        covered = np.zeros((-(-window.height // cell), -(-window.width // cell)), dtype=np.bool_)
        world = grid.world_window(zoom).width
        for tile in self.folder.tiles(zoom):
            for turn in (0, world):
                part = tile_window(tile).shift(turn).intersection(window)
                if not part.empty:
                    rows, columns = part.slices(window)
                    covered[
                        rows.start // cell : -(-rows.stop // cell), columns.start // cell : -(-columns.stop // cell)
                    ] = True
        return covered

    @contextmanager
    def at(self, view: View) -> Iterator[TileSource]:
        """The tiles of one zoom as a source of pixels."""
        self.folder.pick_zoom(view.zoom)
        yield TileSource(self.folder, view.zoom, view.rendition)


class TileSource:
    """The tiles of one zoom (a `geo2map.protocols.Source`); missing tiles are invalid pixels."""

    def __init__(self, folder: XyzFolder, zoom: int, rendition: ColourTransform) -> None:
        self.zoom, self.rendition = zoom, rendition
        self._tile = lru_cache(maxsize=CACHED_TILES)(folder.read)
        self._folder = folder

    def close(self) -> None:
        """Does nothing: no file is open."""

    def another(self) -> TileSource:
        """Itself: any thread may read."""
        return self

    def is_empty(self, window: PixelWindow) -> bool:
        """Whether a window of global pixels touches no existing tile."""
        touched, side = tile_range(window), 2**self.zoom
        return not any(
            0 <= y < side and self._folder.tile_path(Tile(x % side, y, self.zoom)) is not None
            for y in range(touched.top, touched.bottom)
            for x in range(touched.left, touched.right)
        )

    def read(self, block: Block) -> BlockImage:
        """Reads a block from the tiles it touches.

        Raises:
            TileSetError: a tile is broken or not 256 px.
        """
        wanted = block.window
        pixels = np.zeros((wanted.height, wanted.width, 3), dtype=np.uint8)
        mask = np.zeros((wanted.height, wanted.width), dtype=np.bool_)
        columns_rows = tile_range(wanted)
        for y in range(columns_rows.top, columns_rows.bottom):
            for x in range(columns_rows.left, columns_rows.right):
                self._paste(Tile(x, y, self.zoom), block, pixels, mask)
        return BlockImage(block, self.rendition(pixels), mask)

    def _paste(self, tile: Tile, block: Block, pixels: Image, mask: Mask) -> None:
        """Pastes one tile; rows end at the poles, columns begin anew beyond the antimeridian."""
        side = 2**self.zoom
        if not 0 <= tile.y < side or (found := self._tile(tile._replace(x=tile.x % side))) is None:
            return
        frame = tile_window(tile)
        part = frame.intersection(block.window)
        into, out_of = part.slices(block.window), part.slices(frame)
        pixels[into], mask[into] = found[0][out_of], found[1][out_of]


def _favours(tileset: TileSet | None) -> Favours:
    """What the cut of a set of tiles has recorded; () where that is no table of numbers."""
    found = tileset.extra.get("favours") if tileset else None
    if not isinstance(found, dict):
        return ()
    return tuple(sorted((str(name), float(more)) for name, more in found.items() if isinstance(more, int | float)))
