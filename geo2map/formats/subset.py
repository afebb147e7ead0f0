"""A selection of the tiles of a tile set, possibly re-encoded: the input of a conversion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from geo2map.errors import TileSetError, ZoomError
from geo2map.grid import PixelWindow, tile_range, world_window
from geo2map.plan.area_tiles import parent_range
from geo2map.protocols import StoredTiles
from geo2map.tiles.codec import TileCodec, decode_tile, is_whole
from geo2map.tiles.place import degrees_window, hull, tiles_window
from geo2map.tiles.sniff import format_of
from geo2map.tiles.tilejson import TileSet
from geo2map.types import LngLatBounds, Tile, TileFormat


@dataclass(frozen=True)
class Subset:
    """Some tiles of a store (a `geo2map.protocols.StoredTiles`), all in one format.

    Tiles already in that format keep their bytes.

    Attributes:
        store: all tiles.
        tileset: description of the subset: its zooms, window and format define it.
        limited: whether to restrict it to tiles that touch the window.
        recode: whether to re-encode tiles of another format.
        codec: re-encodes every tile; None re-encodes only tiles of another format.
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
            TileSetError: it is visibly damaged.
        """
        if not self.tileset.minzoom <= tile.z <= self.tileset.maxzoom or (data := self.store.get(tile)) is None:
            return None
        if not is_whole(data):
            name = f"tile {tile.z}/{tile.x}/{tile.y}"
            raise TileSetError(f"{name}: damaged ({len(data)} bytes); create it again, or delete it to go without")
        if not self.recode or (self.codec is None and format_of(data) == self.tileset.format):
            return data
        try:
            return (self.codec or TileCodec(self.tileset.format)).encode(*decode_tile(data))
        except TileSetError as error:
            raise TileSetError(f"tile {tile.z}/{tile.x}/{tile.y}: {error}") from error

    def tiles(self, zoom: int) -> Iterator[Tile]:
        """The selected tiles of a zoom."""
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
    """The smallest window at another zoom that contains a window."""
    if other >= zoom:
        return PixelWindow(*(edge << other - zoom for edge in window))
    return parent_range(window, zoom - other)


def select(
    store: StoredTiles,
    tileset: TileSet,
    *,
    bounds: LngLatBounds | None = None,
    zooms: tuple[int, int] | None = None,
    format: TileFormat | None = None,
) -> Subset:
    """Select tiles of a tile set.

    Args:
        bounds: degrees; selects all tiles that touch them. West > east crosses the antimeridian.
        zooms: lowest and largest.
        format: tile format; None keeps that of the tile set.

    Raises:
        ZoomError: there are no tiles at the largest zoom.
        TileSetError: the bounds touch no tile.
    """
    if "classes" in tileset.extra and format not in (None, "png"):
        raise TileSetError(
            f"format {format}: would mix the colours of class tiles, which are PNG; leave it out", option="format"
        )
    low, high = zooms or (tileset.minzoom, tileset.maxzoom)
    if low > high:
        raise ZoomError(
            f"zooms {low} to {high}: in the wrong order; give the lower one first", option="zoom", usage=True
        )
    known = store.zooms
    if zooms is not None and high not in known:
        raise ZoomError(f"zoom {high}: not in the tile set, which has {', '.join(map(str, known))}", option="zoom")
    window = rescale(tileset.window, tileset.maxzoom, high)
    if high != tileset.maxzoom and not tileset.extra:  # zooms of other programs may differ in extent
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
            f"bounds {west},{south},{east},{north}: not an area; give west,south,east,north in degrees",
            option="bounds",
            usage=True,
        )
    asked = degrees_window(LngLatBounds(west, south, east + 360 if east < west else east, north), zoom)
    world = world_window(zoom).width
    here, east_of, west_of = (asked.shift(columns).intersection(window) for columns in (0, world, -world))
    if not here.empty and not west_of.empty:  # a tile set on both sides of the antimeridian
        return here._replace(right=west_of.right + world)
    for part in (here, east_of, west_of):
        if not part.empty:
            return part
    raise _outside(bounds)


def _outside(bounds: LngLatBounds) -> TileSetError:
    given = ",".join(f"{degrees:g}" for degrees in bounds)
    return TileSetError(f"bounds {given}: no tiles within; give west,south,east,north", option="bounds")
