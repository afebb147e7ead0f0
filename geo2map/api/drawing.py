"""Features of finished maps: read out, exported, tiled, drawn."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Unpack

from geo2map.api.conversions import begin_conversion, run_conversion
from geo2map.api.converted import Converted
from geo2map.api.gridding import feature_crs
from geo2map.api.keywords import DrawKeywords
from geo2map.api.requests import ConvertRequest, DrawRequest
from geo2map.colour.palette import MAPS_PALETTE, Palette, load_palette
from geo2map.errors import DataError, OutputError, TileSetError
from geo2map.features import Style, require_layer_names
from geo2map.formats.containers import Container, find_container
from geo2map.formats.documents.companions import class_legend
from geo2map.formats.documents.sidecars import legend_of
from geo2map.formats.opened import find_layers, open_tiles
from geo2map.formats.stored import require_pictures
from geo2map.formats.subset import Subset, select
from geo2map.formats.vectors.read import FeatureFile, is_vector_file
from geo2map.ledger.derivation import ClassTiles, CoveredArea, DrawnArea
from geo2map.ledger.feature_conversion import FeatureConversion, Features
from geo2map.ledger.finished import require_complete
from geo2map.plan.storage import CLASSES, SCORES, Storage
from geo2map.protocols import Progress, StoredTiles
from geo2map.tiles.layer import MAP
from geo2map.tiles.tilejson import TileSet
from geo2map.types import LngLatBounds

POORER = "no scores of the network were kept: features are read from classes alone, which hold fewer roads"
"""Told where a finished map lacks the layer "evidence"."""


def draw(
    source: str | Path, out: str | Path, *, progress: Progress | None = None, **options: Unpack[DrawKeywords]
) -> Converted:
    """Draw the features of a GeoPackage as raster tiles, in any style, at any zoom.

    Args:
        source: a GeoPackage that geo2map wrote.
        out: any output type that holds pixels, see `geo2map.formats.CONTAINERS`.
        progress: called with each stage.
        options: see `geo2map.api.keywords.DrawKeywords`.

    Returns:
        The result; an output of the same drawing is left untouched.

    Raises:
        TileSetError: the source is not a GeoPackage written by geo2map.
        DataError: a style that does not exist, or has classes that the map lacks.
        OutputError: `out` exists with other contents, holds no pixels, or cannot be written.
    """
    return draw_request(DrawRequest.of(source, out, options), progress=progress)


def draw_request(request: DrawRequest, *, progress: Progress | None = None) -> Converted:
    """Carry out a drawing; see `draw`."""
    storage = replace(request.storage, redraw=True)
    container = find_container(request.out)
    if container.is_vector:
        raise OutputError(
            f"{request.out}: {container.name} holds no pixels; choose a folder, .tif, .mbtiles or .pmtiles", usage=True
        )
    features = FeatureFile.open(request.source)
    storage = _checked(storage, features.tileset)
    return _run_stored(request, container, storage, features, zoom=request.zoom, progress=progress)


def needs_features(request: ConvertRequest) -> bool:
    """Whether a conversion goes through features: from, or to, a vector file; to vector tiles; or redrawn."""
    return find_container(request.out).is_vector or request.storage.is_derived or is_vector_file(request.source)


def convert_features(request: ConvertRequest, *, progress: Progress | None = None) -> Converted:
    """Carry out a conversion that goes through features; see `geo2map.convert`."""
    container = find_container(request.out)
    if is_vector_file(request.source):
        if request.bounds is not None or request.zooms is not None:
            option = "bounds" if request.bounds is not None else "zoom"
            raise DataError(f"{option}: not an option of features; leave it out", option=option, usage=True)
        features = FeatureFile.open(request.source)
        storage = _checked(
            request.storage if request.storage.redraw else replace(request.storage, vector=True), features.tileset
        )
        return _run_stored(request, container, storage, features, progress=progress)
    with ExitStack() as stack:
        classes, tileset = _open_classes(stack, request)
        storage = _checked(container.adapt(request.storage), tileset)
        container.check_size(tileset.window)
        read = partial(_extracted, classes, tileset, storage.feature_style)
        made = _run(request, container, storage, read, tileset, progress=progress)
    return made if classes.evidence is not None else replace(made, notes=(POORER,))


def _run_stored(
    request: ConvertRequest | DrawRequest,
    container: Container,
    storage: Storage,
    features: FeatureFile,
    *,
    zoom: int | None = None,
    progress: Progress | None,
) -> Converted:
    """Carry out a conversion of the features of a file; a note names the layers that it lacks."""
    read = partial(_stored, features)
    made = _run(request, container, storage, read, features.tileset, zoom=zoom, progress=progress)
    if not features.lacking:
        return made
    return replace(
        made, notes=(f"{features.path} lacks these layers, which are left out: {', '.join(features.lacking)}",)
    )


def _run(
    request: ConvertRequest | DrawRequest,
    container: Container,
    storage: Storage,
    features: Features,
    tileset: TileSet,
    *,
    zoom: int | None = None,
    progress: Progress | None,
) -> Converted:
    """Carry out a conversion of the features of a map that is described."""
    published = begin_conversion(request, container, storage)
    conversion = FeatureConversion(Path(request.out), container, storage, request.output, features=features, zoom=zoom)
    files = [Path(request.source)]
    return run_conversion(request, conversion, {}, tileset, files=files, published=published, progress=progress)


def _stored(features: FeatureFile, folder: Path, progress: Progress | None) -> tuple[FeatureFile, DrawnArea]:  # noqa: ARG001
    return features, CoveredArea(features)


def _extracted(
    classes: ClassTiles, tileset: TileSet, style: Style | None, folder: Path, progress: Progress | None
) -> tuple[FeatureFile, DrawnArea]:
    return classes.extract(tileset, style, folder, progress), classes


def _open_classes(stack: ExitStack, request: ConvertRequest) -> tuple[ClassTiles, TileSet]:
    """The tiles of a finished map that features are read from, and the description of its map.

    Raises:
        DataError: classes whose features have no layer of their own.
        TileSetError: nothing tells which colour is which class.
    """
    source = Path(request.source)
    store, tileset = stack.enter_context(open_tiles(source))
    require_pictures(source, tileset.format)
    found = {MAP: (store, tileset)}
    for name, place in find_layers(source, tileset).items():
        if name in (CLASSES, SCORES):
            found[name] = stack.enter_context(open_tiles(place))
    tiles = {name: _selected(request, *each) for name, each in found.items()}
    require_complete(source, {MAP: tiles[MAP]})
    codes = tiles.get(CLASSES, tiles[MAP])
    palette = _palette_of(request, source, codes.tileset)
    require_layer_names(palette.classes)
    extra = {**codes.tileset.extra, "legend": [[name, list(colour)] for name, colour in palette.entries]}
    return ClassTiles(codes, tiles.get(SCORES), palette), replace(codes.tileset, extra=extra, scheme="xyz")


def _selected(request: ConvertRequest, store: StoredTiles, tileset: TileSet) -> Subset:
    bounds = None if request.bounds is None else LngLatBounds(*request.bounds)
    return select(store, tileset, bounds=bounds, zooms=request.zooms)


def _palette_of(request: ConvertRequest, source: Path, tileset: TileSet) -> Palette:
    """Which colour is which class: as given, by class codes, or by the model that drew the map."""
    if request.colours == "maps":
        return MAPS_PALETTE
    if request.colours is not None:
        return load_palette(Path(request.colours))
    entries = class_legend(tileset) or legend_of(tileset)
    if not entries:
        raise TileSetError(
            f"{source}: does not say which colour is which class; name a table of class, red, green, blue, or maps for "
            "the colours of the maps data set",
            option="colours",
        )
    return Palette(tuple(entries))


def _checked(storage: Storage, tileset: TileSet) -> Storage:
    """The storage for a map's features; refuses a style of other classes, and a CRS that does not reach the map."""
    if (style := storage.feature_style) is not None:
        style.require_classes(str(name) for name, _ in tileset.extra.get("legend", ()))
    if storage.crs_out is None:
        return storage
    return replace(storage, crs_out=feature_crs(storage.crs_out, tileset.window, tileset.maxzoom, tileset.name))
