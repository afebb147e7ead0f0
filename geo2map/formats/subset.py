"""A part of a set of tiles, or the same tiles encoded otherwise: what a conversion takes of its source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from geo2map.errors import TileSetError, ZoomError
from geo2map.grid import PixelWindow, tile_range, world_window
from geo2map.protocols import StoredTiles
from geo2map.tiles.codec import TileCodec, decode_tile, is_whole
from geo2map.tiles.place import degrees_window, hull, tiles_window
from geo2map.tiles.sniff import format_of
from geo2map.tiles.tilejson import TileSet
from geo2map.types import LngLatBounds, Tile, TileFormat


@dataclass(frozen=True)
class Subset:
    """Some of the tiles of a store (a `geo2map.protocols.StoredTiles`), all in one format.

    A tile that has the format already keeps its bytes.

    Attributes:
        store: the tiles.
        tileset: of the subset: its zooms, window and format are what is taken.
        limited: whether only tiles that touch the window are taken.
        recode: whether tiles of another format are encoded anew; otherwise all are left as they are.
        codec: encodes all tiles anew, whatever they are; None is that of the format for those of another.
    """

    store: StoredTiles
    tileset: TileSet
    limited: bool = False
    recode: bool = True
    codec: TileCodec | None = None

    @property
    def zooms(self) -> tuple[int, ...]:
        wanted = range(self.tileset.minzoom, self.tileset.maxzoom + 1)
        return tuple(zoom for zoom in self.store.zooms if zoom in wanted and any(True for _ in self.tiles(zoom)))

    def get(self, tile: Tile) -> bytes | None:
        """The tile's bytes.

        Raises:
            TileSetError: it is damaged, as far as that shows.
        """
        if not self.tileset.minzoom <= tile.z <= self.tileset.maxzoom or (data := self.store.get(tile)) is None:
            return None
        if not is_whole(data):
            name = f"tile {tile.z}/{tile.x}/{tile.y}"
            raise TileSetError(f"{name} is damaged ({len(data)} bytes): make it again, or remove it to go without")
        if not self.recode or (self.codec is None and format_of(data) == self.tileset.format):
            return data
        try:
            return (self.codec or TileCodec(self.tileset.format)).encode(*decode_tile(data))
        except TileSetError as error:
            raise TileSetError(f"tile {tile.z}/{tile.x}/{tile.y}: {error}") from error

    def tiles(self, zoom: int) -> Iterator[Tile]:
        """Those that are taken, of any zoom of the store."""
        if not self.limited:
            yield from self.store.tiles(zoom)
            return
        inside, side = self._range(zoom), 2**zoom
        for tile in self.store.tiles(zoom):
            across = any(inside.left <= column < inside.right for column in (tile.x, tile.x + side))
            if across and inside.top <= tile.y < inside.bottom:
                yield tile

    def _range(self, zoom: int) -> PixelWindow:
        return tile_range(rescale(self.tileset.window, self.tileset.maxzoom, zoom))


def rescale(window: PixelWindow, zoom: int, other: int) -> PixelWindow:
    """The smallest window of pixels of another zoom that holds a window."""
    if other >= zoom:
        return PixelWindow(*(edge << other - zoom for edge in window))
    down = zoom - other
    return PixelWindow(window.left >> down, window.top >> down, -(-window.right >> down), -(-window.bottom >> down))


def select(
    store: StoredTiles,
    tileset: TileSet,
    *,
    bounds: LngLatBounds | None = None,
    zooms: tuple[int, int] | None = None,
    format: TileFormat | None = None,
) -> Subset:
    """What of a set is asked for.

    Args:
        bounds: degrees; tiles that touch them are taken whole. West may lie east of east: across the antimeridian.
        zooms: lowest and largest.
        format: of the tiles; None is that of the set.

    Raises:
        ZoomError: there are no tiles at the largest zoom asked for.
        TileSetError: the bounds touch no tile.
    """
    if "classes" in tileset.extra and format not in (None, "png"):
        raise TileSetError(
            f"class tiles are PNG, since {format} would mix their colours: leave it out", option="format"
        )
    low, high = zooms or (tileset.minzoom, tileset.maxzoom)
    if low > high:
        raise ZoomError(
            f"zooms {low} to {high} are in the wrong order: give the lower one first", option="zoom", usage=True
        )
    known = store.zooms
    if zooms is not None and high not in known:
        raise ZoomError(f"zoom {high}: not in the set, which has {', '.join(map(str, known))}", option="zoom")
    window = rescale(tileset.window, tileset.maxzoom, high)
    if high != tileset.maxzoom and not tileset.extra:  # others' zooms may cover different places
        window = tiles_window(hull((tile.x, tile.y) for tile in store.tiles(high)))
    if bounds is not None:
        window = _cut(window, bounds, high)
    lowest = max(low, min([zoom for zoom in known if zoom >= low], default=low))
    asked = replace(tileset, minzoom=lowest, maxzoom=high, window=window, format=format or tileset.format)
    subset = Subset(store, asked, limited=bounds is not None)
    if bounds is not None and not subset.zooms:
        raise _outside(bounds)
    return subset


def _cut(window: PixelWindow, bounds: LngLatBounds, zoom: int) -> PixelWindow:
    west, south, east, north = bounds
    if not (-90 <= south < north <= 90 and -180 <= west <= 180 and -180 <= east <= 360 and west != east):
        raise TileSetError(
            f"{west},{south},{east},{north} is not an area: give west,south,east,north in degrees",
            option="bounds",
            usage=True,
        )
    asked = degrees_window(LngLatBounds(west, south, east + 360 if east < west else east, north), zoom)
    world = world_window(zoom).width
    here, east_of, west_of = (asked.shift(columns).intersection(window) for columns in (0, world, -world))
    if not here.empty and not west_of.empty:  # a set that ends at the antimeridian and begins again there
        return here._replace(right=west_of.right + world)
    for part in (here, east_of, west_of):
        if not part.empty:
            return part
    raise _outside(bounds)


def _outside(bounds: LngLatBounds) -> TileSetError:
    given = ",".join(f"{degrees:g}" for degrees in bounds)
    return TileSetError(f"{given}: no tiles within; the order is west,south,east,north", option="bounds")
