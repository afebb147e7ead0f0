"""A small picture of a finished map, read from its lowest zooms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
from rasterio.errors import RasterioError

from geo2map.errors import Geo2MapError
from geo2map.features import Style
from geo2map.files.notebook import PICTURE_SIDE
from geo2map.formats.geotiff.bands import layout_of
from geo2map.formats.geotiff.files import open_geotiff
from geo2map.formats.opened import open_tiles
from geo2map.formats.subset import rescale
from geo2map.formats.vectors.drawing import drawn_tiles
from geo2map.formats.vectors.read import FeatureFile, is_vector_file
from geo2map.grid import PixelWindow, tile_range, tile_window
from geo2map.tiles.codec import decode_tile
from geo2map.types import Image, PathLike, Tile

_MOST_TILES = 64
"""To be put together; an output whose lowest zoom has more is not shown."""
_MOST_FEATURES = 64 << 20
"""Bytes of a GeoPackage that is drawn for a picture: of these, all features are read."""
_Reader = Callable[[Iterable[Tile]], Iterator[tuple[Tile, Image]]]


def thumbnail(path: PathLike) -> Image | None:
    """A picture of a finished map.

    Args:
        path: of an output of any kind.

    Returns:
        uint8 (H, W, 3), north at the top, white where there is nothing, its longer side at least `PICTURE_SIDE` pixels
        where the map has as many; None for vector tiles, and where the output cannot be read.
    """
    path = Path(path)
    try:
        if is_vector_file(path):
            return _of_features(path)
        return _of_tiles(path)
    except (Geo2MapError, RasterioError, OSError):
        return _of_raster(path) if path.suffix.lower() == ".tif" else None


def _of_tiles(path: Path) -> Image | None:
    with open_tiles(path) as (store, tileset):
        if tileset.format == "mvt" or not store.zooms:
            return None

        def read(tiles: Iterable[Tile]) -> Iterator[tuple[Tile, Image]]:
            for tile in tiles:
                if (data := store.get(tile)) is not None:
                    pixels, mask = decode_tile(data)
                    yield tile, np.where(mask[..., None], pixels, np.uint8(255))

        return _assembled(tileset.window, tileset.maxzoom, store.zooms, read)


def _of_features(path: Path) -> Image | None:
    features = FeatureFile.open(path)
    if path.stat().st_size > _MOST_FEATURES:
        return None
    given = features.tileset.extra.get("style")
    style = features.style if given is None else Style.of(given)
    frame = features.frame
    return _assembled(
        frame.window, frame.zoom, range(frame.zoom + 1), lambda tiles: drawn_tiles(features, style, tiles)
    )


def _assembled(window: PixelWindow, maxzoom: int, zooms: Iterable[int], read: _Reader) -> Image | None:
    """Tiles of the lowest zoom that is large enough, cut to the map's window."""
    sizes = {zoom: rescale(window, maxzoom, zoom) for zoom in sorted(zooms)}
    zoom, part = next(
        (pair for pair in sizes.items() if max(pair[1].width, pair[1].height) >= PICTURE_SIDE), (maxzoom, window)
    )
    span, world = tile_range(part), 2**zoom
    if span.width * span.height > _MOST_TILES:
        return None
    # columns go on over the world's edge
    places = {Tile(x % world, y, zoom): x for x in range(span.left, span.right) for y in range(span.top, span.bottom)}
    picture = np.full((part.height, part.width, 3), 255, np.uint8)
    for tile, pixels in read(places):
        place = tile_window(tile._replace(x=places[tile]))
        shared = place.intersection(part)
        picture[shared.slices(part)] = pixels[shared.slices(place)]
    return picture


def _of_raster(path: Path) -> Image | None:
    """A GeoTIFF that is not on the tile grid."""
    with suppress(Geo2MapError, RasterioError, OSError), open_geotiff(path) as dataset:
        share = min(1.0, 2 * PICTURE_SIDE / max(dataset.width, dataset.height))
        height, width = (max(1, round(side * share)) for side in (dataset.height, dataset.width))
        pixels, mask = layout_of(dataset).pixels(dataset.read(out_shape=(dataset.count, height, width)))
        return np.where(mask[..., None], pixels, np.uint8(255))
    return None
