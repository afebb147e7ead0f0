"""A folder of tiles by any program: `{z}/{x}/{y}` with .png, .webp, .jpg, .jpeg or .avif.

Files count rows from the north, unless a document states that they count from the south ("tms"); the methods always
count from the north. Tiles on other grids than web-mercator are refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from geo2map.errors import TileSetError, ZoomError
from geo2map.grid import MAX_ZOOM, PixelWindow
from geo2map.tiles.codec import decode_tile
from geo2map.tiles.documents import read_statements
from geo2map.tiles.place import hull, number_rows, row_number, row_order, tiles_window
from geo2map.tiles.sniff import format_of, unpack
from geo2map.tiles.statement import Statement, require_mercator
from geo2map.tiles.tilejson import read_scheme, read_suffix
from geo2map.types import Image, Mask, Scheme, Tile, TileFormat

FORMAT_OF_SUFFIX: dict[str, TileFormat] = {
    ".png": "png",
    ".webp": "webp",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".avif": "avif",
    ".pbf": "mvt",
    ".mvt": "mvt",
}
"""Tile format by lower-case suffix; the first one wins if a tile exists twice."""

_ARCGIS = re.compile(r"L\d\d")
_PADDED = re.compile(r"0\d")


class XyzFolder:
    """Lists and reads the tiles of a folder. Caches only its documents and suffixes, never the listing.

    Files and folders whose names are not plain numbers are ignored. Thread-safe.

    Attributes:
        path: the folder.
    """

    def __init__(self, path: str | Path, scheme: Scheme | None = None) -> None:
        """
        Args:
            scheme: row order of the files; None follows the documents.

        Raises:
            TileSetError: the folder does not exist.
        """
        self.path = Path(path)
        if not self.path.is_dir():
            raise TileSetError(f"{self.path}: folder not found; check the path")
        self._scheme = scheme

    @cached_property
    def statements(self) -> tuple[Statement, ...]:
        """Statements of other programs' documents; empty for a tile set of geo2map."""
        return () if read_scheme(self.path) else read_statements(self.path)

    @cached_property
    def scheme(self) -> Scheme:
        """Row order of the files: by bounds that fit only one, else by documents, else "xyz".

        Bounds come first, since a document may describe the archive that the files were extracted from (mbutil).

        Raises:
            TileSetError: two documents contradict each other, and no bounds decide.
        """
        if (known := self._scheme or read_scheme(self.path)) is not None:
            return known
        if any(statement.grid for statement in self.statements):  # refused by `require_grid`
            return "xyz"
        boxes = [box for statement in self.statements for box in statement.boxes]
        zoom = max(_numbered_folders(self.path, MAX_ZOOM + 1), default=0)
        if boxes and (numbers := self._numbers(zoom)) is not None and (order := row_order(boxes, numbers, zoom)):
            return order
        stated = {statement.order: statement.document for statement in self.statements if statement.order}
        if len(stated) > 1:
            raise TileSetError(
                f"{self.path}: rows are counted from the south (tms) by {stated['tms']} and from the north (xyz) by "
                f"{stated['xyz']}; delete the incorrect document"
            )
        return next(iter(stated), "xyz")

    @cached_property
    def suffixes(self) -> tuple[str, ...]:
        """Suffixes of the tiles: that of geo2map's document if a tile confirms it, else all that occur."""
        own, known = read_suffix(self.path), list(FORMAT_OF_SUFFIX)
        if own is not None and next(self._endings(), own) == own:
            return (own,)
        return tuple(sorted({*self._endings()}, key=lambda suffix: (known.index(suffix.lower()), suffix.swapcase())))

    def _endings(self) -> Iterator[str]:
        for zoom in _numbered_folders(self.path, MAX_ZOOM + 1):
            for column in self.columns(zoom):
                for entry in _entries(self.path / str(zoom) / str(column)):
                    suffix = os.path.splitext(entry.name)[1]  # noqa: PTH122 (speed)
                    if suffix.lower() in FORMAT_OF_SUFFIX:
                        yield suffix

    def require_scheme(self) -> Scheme:
        """The `scheme`, for its errors."""
        return self.scheme

    def require_grid(self) -> None:
        """Refuse tiles on another grid than web-mercator.

        Raises:
            TileSetError: names the grid and the document.
        """
        require_mercator(self.path, *self.statements)
        if (beyond := self._beyond_the_world()) is not None:
            raise TileSetError(
                f"{self.path}: tiles of another grid ({beyond} is outside web-mercator's world, perhaps degrees), but "
                "geo2map reads web-mercator tiles named {z}/{x}/{y}; tile the scene again for that"
            )

    def _beyond_the_world(self) -> str | None:
        """A non-empty column of the largest zoom outside web-mercator; None if all are inside."""
        zoom = max(_numbered_folders(self.path, MAX_ZOOM + 1), default=0)
        for column in _numbered_folders(self.path / str(zoom), 2 ** (zoom + 2)):
            if column >= 2**zoom and _numbered_tiles(self.path / str(zoom) / str(column), 2 ** (zoom + 2)):
                return f"{zoom}/{column}"
        return None

    @property
    def zooms(self) -> tuple[int, ...]:
        """Zooms with at least one tile, ascending.

        Raises:
            TileSetError: a folder cannot be listed (also raised by the other listing methods).
        """
        zooms = _numbered_folders(self.path, MAX_ZOOM + 1)
        return tuple(zoom for zoom in zooms if any(self._rows_as_named(zoom, column) for column in self.columns(zoom)))

    @property
    def format(self) -> TileFormat:
        """The format of the first tile of the largest zoom, by its first bytes or else its name.

        Raises:
            TileSetError: there are no tiles.
        """
        tile = next(self.tiles(self.require_zooms()[-1]))
        path = self.tile_path(tile)
        return format_of(self.get(tile) or b"") or FORMAT_OF_SUFFIX[path.suffix.lower() if path else ".png"]

    def require_zooms(self) -> tuple[int, ...]:
        """The zooms, at least one.

        Raises:
            TileSetError: there are no tiles, or they are on another grid.
        """
        self.require_grid()
        if not (zooms := self.zooms):
            raise TileSetError(f"{self.path}: no tiles named {{z}}/{{x}}/{{y}}.png, .webp or .jpg; {_hint(self.path)}")
        return zooms

    def pick_zoom(self, zoom: int | None) -> int:
        """The given zoom, or the largest.

        Raises:
            ZoomError: there are no tiles at that zoom.
            TileSetError: there are no tiles.
        """
        zooms = self.require_zooms()
        if zoom is not None and zoom not in zooms:
            raise ZoomError(f"zoom {zoom}: not in {self.path}, which has {', '.join(map(str, zooms))}", option="zoom")
        return zooms[-1] if zoom is None else zoom

    def columns(self, zoom: int) -> list[int]:
        """Columns with a folder at a zoom, ascending; some may be empty."""
        return _numbered_folders(self.path / str(zoom), 2**zoom)

    def rows(self, zoom: int, column: int) -> list[int]:
        """Rows with a tile in a column, ascending."""
        found = self._rows_as_named(zoom, column)
        return [row_number(zoom, number, "tms") for number in reversed(found)] if self.scheme == "tms" else found

    def tiles(self, zoom: int) -> Iterator[Tile]:
        """The tiles of a zoom by column, then row; holds one column in memory."""
        for column in self.columns(zoom):
            for row in self.rows(zoom, column):
                yield Tile(column, row, zoom)

    def window(self, zoom: int) -> PixelWindow:
        """The smallest window of global pixels with the tiles of a non-empty zoom."""
        return tiles_window(self.extent(zoom))

    def extent(self, zoom: int) -> PixelWindow:
        """Columns and rows of the tiles of a non-empty zoom; right and bottom exclusive."""
        numbers = self._numbers(zoom)
        assert numbers is not None, "the zoom has tiles"
        return number_rows(numbers, zoom, self.scheme)

    def _numbers(self, zoom: int) -> PixelWindow | None:
        """Columns and rows of a zoom as numbered in file names; None if it is empty."""
        columns = ((column, self._rows_as_named(zoom, column)) for column in self.columns(zoom))
        ends = [(column, row) for column, rows in columns if rows for row in (rows[0], rows[-1])]
        return hull(iter(ends)) if ends else None

    def _rows_as_named(self, zoom: int, column: int) -> list[int]:
        """Rows of a column as numbered in file names, ascending."""
        return _numbered_tiles(self.path / str(zoom) / str(column), 2**zoom)

    def tile_path(self, tile: Tile) -> Path | None:
        """The tile's file, None if it does not exist."""
        column = self.path / str(tile.z) / str(tile.x)
        paths = (column / f"{row_number(tile.z, tile.y, self.scheme)}{suffix}" for suffix in self.suffixes)
        return next((path for path in paths if path.is_file()), None)

    def read(self, tile: Tile) -> tuple[Image, Mask] | None:
        """Pixels, uint8 (256, 256, 3), and mask, bool (256, 256); None if the tile does not exist.

        Raises:
            TileSetError: the file is broken, unreadable or not 256 px wide.
        """
        if (data := self.get(tile)) is None:
            return None
        try:
            return decode_tile(data)
        except TileSetError as error:
            raise TileSetError(f"{self.tile_path(tile)}: {error}") from error

    def get(self, tile: Tile) -> bytes | None:
        """The tile's bytes; None if it does not exist.

        Raises:
            TileSetError: the file cannot be read.
        """
        if (path := self.tile_path(tile)) is None:
            return None
        try:
            return unpack(path.read_bytes())
        except OSError as error:
            raise TileSetError(f"{path}: cannot be read ({error.strerror or error}); check the file") from error
        except TileSetError as error:
            raise TileSetError(f"{path}: {error}") from error


def parse_number(text: str, limit: int) -> int | None:
    """A number below `limit` in its plain spelling ("7", not "07"), else None."""
    if text.isascii() and text.isdigit() and str(int(text)) == text and int(text) < limit:
        return int(text)
    return None


def _numbered_folders(folder: Path, limit: int) -> list[int]:
    found = (parse_number(entry.name, limit) for entry in _entries(folder) if entry.is_dir())
    return sorted(number for number in found if number is not None)


def _numbered_tiles(folder: Path, limit: int) -> list[int]:
    names = (os.path.splitext(entry.name) for entry in _entries(folder) if entry.is_file())  # noqa: PTH122 (speed)
    found = {parse_number(stem, limit) for stem, suffix in names if suffix.lower() in FORMAT_OF_SUFFIX}
    return sorted(number for number in found if number is not None)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except FileNotFoundError:
        return
    except OSError as error:
        raise TileSetError(f"{folder}: cannot be listed ({error.strerror or error}); check the folder") from error


def _hint(folder: Path) -> str:
    """Advice for a folder without tiles, by its contents."""
    names = {entry.name for entry in _entries(folder)}
    if "conf.xml" in names or "_alllayers" in names or any(_ARCGIS.fullmatch(name) for name in names):
        return "it is an ArcGIS cache; export it as {z}/{x}/{y} tiles or as an MBTiles file first"
    if any(_PADDED.fullmatch(name) for name in names):
        return "its zooms are padded with zeros, as TileCache has them; export it as {z}/{x}/{y} tiles first"
    return "check the path"
