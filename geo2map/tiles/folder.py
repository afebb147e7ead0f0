"""A folder of tiles, ours or anyone's: `{z}/{x}/{y}` with .png, .webp, .jpg, .jpeg or .avif.

Row 0 is in the north, unless a tilejson.json beside the zooms says "tms": then files count rows from the south.
Whoever asks for a tile counts from the north in either case.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from geo2map.errors import TileSetError, ZoomError
from geo2map.grid import MAX_ZOOM, TILE_SIZE, PixelWindow
from geo2map.tiles.codec import decode_tile
from geo2map.tiles.tilejson import FILE_NAME
from geo2map.types import Image, Mask, Scheme, Tile, TileFormat

FORMAT_OF_SUFFIX: dict[str, TileFormat] = {
    ".png": "png",
    ".webp": "webp",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".avif": "avif",
}
"""Which format a tile's file name promises; the order decides where a tile is there twice."""


class XyzFolder:
    """Lists and reads the tiles of a folder. Keeps no state but the path: what is on the disk counts.

    Files and folders whose names are not plain numbers are no tiles and are passed over. Safe to use from several
    threads.

    Attributes:
        path: the folder.
        scheme: how its files count rows.
    """

    def __init__(self, path: str | Path, scheme: Scheme | None = None) -> None:
        """
        Args:
            scheme: what its tilejson.json says, where None; "xyz" where that says nothing.

        Raises:
            TileSetError: there is no such folder.
        """
        self.path = Path(path)
        if not self.path.is_dir():
            raise TileSetError(f"{self.path} was given as a tile folder, but there is no such folder: check the path")
        self.scheme: Scheme = scheme or read_scheme(self.path)

    @property
    def zooms(self) -> tuple[int, ...]:
        """Zooms with at least one tile, ascending.

        Raises:
            TileSetError: a folder cannot be listed; so do the other listing functions.
        """
        zooms = _numbered_folders(self.path, MAX_ZOOM + 1)
        return tuple(zoom for zoom in zooms if any(True for _ in self.tiles(zoom)))

    @property
    def format(self) -> TileFormat:
        """The format of the first tile of the largest zoom.

        Raises:
            TileSetError: there are no tiles.
        """
        path = self.tile_path(next(self.tiles(self.require_zooms()[-1])))
        return FORMAT_OF_SUFFIX[path.suffix] if path else "png"

    def require_zooms(self) -> tuple[int, ...]:
        """The zooms, at least one.

        Raises:
            TileSetError: there are no tiles.
        """
        if not (zooms := self.zooms):
            raise TileSetError(f"{self.path} holds no tiles named {{z}}/{{x}}/{{y}}.png, .webp or .jpg: check the path")
        return zooms

    def pick_zoom(self, asked: int | None) -> int:
        """The zoom asked for, or the largest.

        Raises:
            ZoomError: there are no tiles at the zoom asked for.
            TileSetError: there are no tiles.
        """
        zooms = self.require_zooms()
        if asked is not None and asked not in zooms:
            raise ZoomError(f"zoom {asked} asked, but {self.path} has zooms {', '.join(map(str, zooms))}: choose one")
        return zooms[-1] if asked is None else asked

    def columns(self, zoom: int) -> list[int]:
        """Columns with a folder at a zoom, ascending; some may turn out to be empty."""
        return _numbered_folders(self.path / str(zoom), 2**zoom)

    def rows(self, zoom: int, column: int) -> list[int]:
        """Rows with a tile in a column, ascending."""
        found = _numbered_tiles(self.path / str(zoom) / str(column), 2**zoom)
        return [self._row(zoom, number) for number in reversed(found)] if self.scheme == "tms" else found

    def _row(self, zoom: int, row: int) -> int:
        """The number in a file's name for a row, and the other way round."""
        return 2**zoom - 1 - row if self.scheme == "tms" else row

    def tiles(self, zoom: int) -> Iterator[Tile]:
        """The tiles of a zoom by column, then row; holds one column's rows in memory at a time."""
        for column in self.columns(zoom):
            for row in self.rows(zoom, column):
                yield Tile(column, row, zoom)

    def window(self, zoom: int) -> PixelWindow:
        """The smallest window of global pixels that holds the tiles of a zoom, of which there is at least one."""
        reach = {column: (rows[0], rows[-1]) for column in self.columns(zoom) if (rows := self.rows(zoom, column))}
        top, bottom = min(first for first, _ in reach.values()), max(last for _, last in reach.values()) + 1
        left, right = min(reach), max(reach) + 1
        return PixelWindow(left * TILE_SIZE, top * TILE_SIZE, right * TILE_SIZE, bottom * TILE_SIZE)

    def tile_path(self, tile: Tile) -> Path | None:
        """The tile's file, None where there is none."""
        column = self.path / str(tile.z) / str(tile.x)
        paths = (column / f"{self._row(tile.z, tile.y)}{suffix}" for suffix in FORMAT_OF_SUFFIX)
        return next((path for path in paths if path.is_file()), None)

    def read(self, tile: Tile) -> tuple[Image, Mask] | None:
        """Pixels, uint8 (256, 256, 3), and mask, bool (256, 256); None where there is no such tile.

        Raises:
            TileSetError: the file is broken, unreadable or not of 256 px; names it.
        """
        if (data := self.get(tile)) is None:
            return None
        try:
            return decode_tile(data)
        except TileSetError as error:
            raise TileSetError(f"{self.tile_path(tile)}: {error}") from error

    def get(self, tile: Tile) -> bytes | None:
        """The tile's bytes as they are; None where there is no such tile.

        Raises:
            TileSetError: the file cannot be read; names it.
        """
        if (path := self.tile_path(tile)) is None:
            return None
        try:
            return path.read_bytes()
        except OSError as error:
            raise TileSetError(f"{path} cannot be read ({error.strerror or error}): check the file") from error


def read_scheme(folder: Path) -> Scheme:
    """How a folder's tilejson.json says that its files count rows."""
    try:
        document = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # whoever reads the document says so
        return "xyz"
    return "tms" if isinstance(document, dict) and document.get("scheme") == "tms" else "xyz"


def parse_number(text: str, limit: int) -> int | None:
    """A number from 0 to `limit` - 1 in its plain spelling ("7", never "07"), else None."""
    if text.isascii() and text.isdigit() and str(int(text)) == text and int(text) < limit:
        return int(text)
    return None


def _numbered_folders(folder: Path, limit: int) -> list[int]:
    found = (parse_number(entry.name, limit) for entry in _entries(folder) if entry.is_dir())
    return sorted(number for number in found if number is not None)


def _numbered_tiles(folder: Path, limit: int) -> list[int]:
    names = (os.path.splitext(entry.name) for entry in _entries(folder) if entry.is_file())  # noqa: PTH122 (speed)
    found = {parse_number(stem, limit) for stem, suffix in names if suffix in FORMAT_OF_SUFFIX}
    return sorted(number for number in found if number is not None)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except FileNotFoundError:
        return
    except OSError as error:
        raise TileSetError(f"{folder} cannot be listed ({error.strerror or error}): check the folder") from error
