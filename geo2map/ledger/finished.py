"""Tiles read back from a finished single-file output, for a run that rebuilds it with changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from geo2map.errors import OutputError, TileSetError
from geo2map.formats.containers import Container, TileFile
from geo2map.formats.geotiff.read import GeotiffStore
from geo2map.formats.subset import Subset
from geo2map.ledger.finished_record import load_journal
from geo2map.ledger.layer_records import LayerRecords
from geo2map.plan.storage import Storage
from geo2map.protocols import Codec, StoredTiles
from geo2map.tiles.pyramid import Pixels, children_of, make_parent
from geo2map.types import Tile


def require_tiles(path: Path, container: Container, storage: Storage) -> None:
    """Refuse an output whose tiles cannot be read back.

    Raises:
        OutputError: a raster on a grid of its own, or a container without a reader.
    """
    if storage.is_derived:
        raise OutputError(
            f"{path}: made from features, whose map is not in it; it cannot be updated or repaired: render it again"
        )
    if storage.has_own_grid:
        raise OutputError(f"{path}: a raster on its own grid cannot be updated or repaired; render it again")
    if container.read is None and not container.is_folder:
        raise OutputError(f"{path}: {container.name} cannot be updated or repaired; render it again")


def open_finished(path: Path, container: Container, storage: Storage, codec: Codec) -> TileFile:
    """The tiles of a finished file, as they were written.

    Args:
        codec: the one that encoded them.

    Raises:
        OutputError: they cannot be read back.
        TileSetError: the file is damaged.
    """
    require_tiles(path, container, storage)
    assert container.read is not None, "folders are read as XyzFolder"
    opened = container.read(path)
    return RasterTiles(opened, codec) if isinstance(opened, GeotiffStore) else opened


def require_complete(path: Path, layers: Mapping[str, Subset]) -> None:
    """Refuse an output that lacks tiles listed in its journal; pass one without a journal.

    Args:
        path: the output.
        layers: the tiles to convert, by layer.

    Raises:
        TileSetError: names the first missing tile.
    """
    try:
        journal = load_journal(path.resolve())
    except OutputError:  # another version of geo2map, or damaged
        return
    if journal is None:
        return
    try:
        for name, tiles in layers.items():
            zooms = range(tiles.tileset.minzoom, tiles.tileset.maxzoom + 1)
            if isinstance(tiles.store, GeotiffStore):
                continue
            if (tile := first_missing(tiles.store, journal.layer(name), zooms)) is not None:
                raise TileSetError(
                    f"{path}: tile {tile.z}/{tile.x}/{tile.y} is missing, but listed in {journal.path.name}; repair "
                    "the output (geo2map check, with repair), or remove that file to convert without it"
                )
    finally:
        journal.close()


def first_missing(store: StoredTiles, records: LayerRecords, zooms: Iterable[int]) -> Tile | None:
    """The first recorded tile that is not in a store, by name; None if it has all of them."""
    for zoom in zooms:
        there = iter(store.tiles(zoom))
        for tile, _ in records.digests(zoom):
            while (found := next(there, None)) is not None and found < tile:
                pass
            if found != tile:
                return tile
    return None


class RasterTiles:
    """The tiles of a GeoTIFF (a `geo2map.formats.containers.TileFile`): its pixels, encoded again with the same codec.
    Zooms below its last overview are computed from that."""

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
