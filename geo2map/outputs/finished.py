"""Tiles out of a finished output that is one file, for a run that makes it anew with some of them changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from geo2map.errors import OutputError, TileSetError
from geo2map.outputs.containers import Container, TileFile
from geo2map.outputs.excerpt import Excerpt
from geo2map.outputs.folder import load_journal
from geo2map.outputs.geotiff_store import GeotiffStore
from geo2map.pipeline.journal import Journal
from geo2map.pipeline.records import tile_digest
from geo2map.plan.storage import Storage
from geo2map.protocols import Codec, StoredTiles
from geo2map.tiles.pyramid import Pixels, children_of, make_parent
from geo2map.types import Tile


def require_tiles(path: Path, container: Container, storage: Storage) -> None:
    """Refuses an output whose tiles cannot be had back.

    Raises:
        OutputError: says why.
    """
    if storage.wants_grid:
        why = "its pixels lie on a grid of their own, and the tiles that they were made of are gone"
        raise OutputError(f"{path} can be neither updated nor mended ({why}): render it anew")
    if container.read is None and not container.is_folder:
        raise OutputError(f"{path} is {container.name}, which can be neither updated nor mended: render it anew")


def open_finished(path: Path, container: Container, storage: Storage) -> TileFile:
    """The tiles of a finished file as they were written.

    Raises:
        OutputError: they cannot be had back.
        TileSetError: the file is damaged.
    """
    require_tiles(path, container, storage)
    assert container.read is not None, "a folder is no file"
    opened = container.read(path)
    return RasterTiles(opened, storage.codec) if isinstance(opened, GeotiffStore) else opened


def require_complete(path: Path, tiles: Excerpt) -> None:
    """Refuses a set that lacks tiles which its journal lists; says nothing of one that keeps none. Looks at names.

    Raises:
        TileSetError: names the first.
    """
    if isinstance(tiles.store, GeotiffStore) or (journal := load_journal(path.resolve())) is None:
        return
    try:
        zooms = range(tiles.tileset.minzoom, tiles.tileset.maxzoom + 1)
        if (tile := first_missing(tiles.store, journal, zooms)) is not None:
            raise TileSetError(
                f"{path}: tile {tile.z}/{tile.x}/{tile.y} is recorded in {journal.path.name} but missing; "
                "repair the set (geo2map check), or remove that file to do without its records"
            )
    finally:
        journal.close()


def first_missing(store: StoredTiles, journal: Journal, zooms: Iterable[int]) -> Tile | None:
    """The first tile that a journal lists and a set has not, by name; None where it has all of them."""
    for zoom in zooms:
        there = iter(store.tiles(zoom))
        for tile, _ in journal.digests(zoom):
            while (found := next(there, None)) is not None and found < tile:
                pass
            if found != tile:
                return tile
    return None


class RasterTiles:
    """The tiles that a GeoTIFF was made of (a `geo2map.outputs.containers.TileFile`): what it shows, encoded as they
    were. Zooms below its last overview are made of that."""

    def __init__(self, raster: GeotiffStore, codec: Codec) -> None:
        self._raster, self._codec = raster, codec
        self.tileset = raster.tileset

    @property
    def zooms(self) -> tuple[int, ...]:
        return self._raster.zooms

    def get(self, tile: Tile) -> bytes | None:
        pixels = self._pixels(tile)
        return None if pixels is None else self._codec.encode(*pixels)

    def tiles(self, zoom: int) -> Iterator[Tile]:
        return self._raster.tiles(zoom)

    def _pixels(self, tile: Tile) -> Pixels | None:
        if tile.z >= self._raster.zooms[0]:
            return self._raster.pixels(tile)
        children = ((child.x % 2, child.y % 2, self._pixels(child)) for child in children_of(tile))
        there = {(dx, dy): pixels for dx, dy, pixels in children if pixels is not None}
        pixels = make_parent(there, majority=self._codec.majority)
        if not pixels[1].any():
            return None
        return self._codec.decode(self._codec.encode(*pixels))

    def close(self) -> None:
        self._raster.close()

    def __enter__(self) -> RasterTiles:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class UpdatedTiles:
    """All that an updated file will hold (a `geo2map.protocols.StoredTiles`): the tiles that its journal lists, out of
    an overlay of the changed ones over the finished file."""

    def __init__(self, overlay: StoredTiles, journal: Journal, path: Path) -> None:
        """
        Args:
            path: of the finished file, for messages.
        """
        self._overlay, self._journal, self._path = overlay, journal, path

    @property
    def zooms(self) -> tuple[int, ...]:
        return self._journal.zooms()

    def get(self, tile: Tile) -> bytes | None:
        """The tile's bytes, None where there is to be none.

        Raises:
            TileSetError: it is not what the journal says: the finished file is damaged, or another one.
        """
        if (digest := self._journal.digest(tile)) is None:
            return None
        data = self._overlay.get(tile)
        if data is None or tile_digest(data) != digest:
            raise TileSetError(
                f"{self._path}: tile {tile.z}/{tile.x}/{tile.y} differs from what was written; repair the file first "
                "(geo2map check), or render it again"
            )
        return data

    def tiles(self, zoom: int) -> Iterator[Tile]:
        return (tile for tile, _ in self._journal.digests(zoom))
