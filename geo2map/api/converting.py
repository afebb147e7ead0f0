"""Converting a finished tile set to another output type, without re-encoding; also used by `mosaic`."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from geo2map.api.conversions import begin_conversion, run_conversion
from geo2map.api.converted import Converted
from geo2map.api.drawing import convert_features, needs_features
from geo2map.api.keywords import ConvertKeywords
from geo2map.api.requests import ConvertRequest
from geo2map.errors import OutputError
from geo2map.formats.containers import find_container
from geo2map.formats.opened import find_layers, open_tiles
from geo2map.formats.stored import require_pictures
from geo2map.formats.subset import Subset, select
from geo2map.ledger.conversion import Conversion
from geo2map.protocols import Progress, StoredTiles
from geo2map.tiles.codec import TileCodec
from geo2map.tiles.layer import MAP
from geo2map.tiles.tilejson import TileSet
from geo2map.types import LngLatBounds


def convert(
    source: str | Path, out: str | Path, *, progress: Progress | None = None, **options: Unpack[ConvertKeywords]
) -> Converted:
    """Convert a tile set to another output type; tiles keep their bytes if possible.

    Overviews of a GeoTIFF are the lower zooms of a tile set of geo2map; otherwise they are computed from the largest
    zoom.

    Args:
        source: a folder of tiles, an .mbtiles, a .pmtiles or a .tif on the tile grid.
        out: any output type, see `geo2map.formats.CONTAINERS`.
        progress: called with each stage.
        options: see `geo2map.api.keywords.ConvertKeywords`.

    Returns:
        The result; an output of the same conversion is left untouched.

    Raises:
        TileSetError: the source does not exist, a tile is damaged, or the bounds touch none.
        ZoomError: there are no tiles at the largest zoom.
        OutputError: `out` exists with other contents, is not a supported type, or cannot be written.
    """
    return convert_request(ConvertRequest.of(source, out, options), progress=progress)


def convert_request(request: ConvertRequest, *, progress: Progress | None = None) -> Converted:
    """Run a conversion; see `convert`."""
    if needs_features(request):
        return convert_features(request, progress=progress)
    for option, value in (("crs_out", request.storage.crs_out), ("colours", request.colours)):
        if value is not None:
            raise OutputError(f"{option}: only for features; leave it out", option=option, usage=True)
    source, container = Path(request.source), find_container(request.out)
    published = begin_conversion(request, container, request.storage)
    with ExitStack() as stack:
        layers = _open_layers(stack, source, request)
        tileset = layers[MAP].tileset
        return run_conversion(
            request,
            Conversion(Path(request.out), container, request.storage, request.output),
            layers,
            tileset,
            files=list(find_layers(source, tileset).values()),
            published=published,
            progress=progress,
        )


def _open_layers(stack: ExitStack, source: Path, request: ConvertRequest) -> dict[str, Subset]:
    """The selected tiles of each layer; only the map is re-encoded."""
    store, tileset = stack.enter_context(open_tiles(source))
    places = find_layers(source, tileset)
    if tileset.layers:
        tileset = replace(tileset, extra={**tileset.extra, "layers": list(places)[1:]})
    wanted = request.storage
    if wanted.format or wanted.quality or wanted.lossless or find_container(request.out).is_raster:
        require_pictures(source, tileset.format)
    found = {MAP: _select(request, store, tileset)}
    kept = replace(request, storage=replace(request.storage, format=None, quality=None, lossless=False))
    for name, place in list(places.items())[1:]:
        found[name] = _select(kept, *stack.enter_context(open_tiles(place)))
    return found


def _select(request: ConvertRequest, store: StoredTiles, tileset: TileSet) -> Subset:
    """The selected tiles of a layer."""
    bounds = None if request.bounds is None else LngLatBounds(*request.bounds)
    storage = request.storage
    chosen = select(store, tileset, bounds=bounds, zooms=request.zooms, format=storage.format)
    if storage.quality is None and not storage.lossless:
        return chosen
    return replace(chosen, codec=TileCodec(chosen.tileset.format, storage.quality, storage.lossless))
