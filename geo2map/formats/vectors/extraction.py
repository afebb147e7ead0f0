"""Features of stored classes, extracted core by core into a GeoPackage."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

from geo2map.errors import OutputError
from geo2map.features import Box, ClassMap, CoreParts, Style, cores, extract_core, stitch
from geo2map.formats.vectors.classes import StoredClasses
from geo2map.formats.vectors.read import FeatureFile
from geo2map.formats.vectors.write import FeatureWriter
from geo2map.grid import PixelWindow, tile_range
from geo2map.protocols import Progress
from geo2map.threads import Budget
from geo2map.tiles.tilejson import TileSet
from geo2map.types import Tile

_MOST_CORES = 4
"""Cores worked on at once: each takes some 150 MB."""
STAGE = "features"


def extract_features(
    source: StoredClasses, path: Path, tileset: TileSet, style: Style, *, budget: Budget, progress: Progress | None
) -> FeatureFile:
    """Write the features of a map to a GeoPackage.

    Args:
        source: the map's classes.
        path: of the file; one that is there is replaced.
        tileset: describes the map.
        style: the one that QGIS shows.
        budget: processors to use.
        progress: called with `STAGE` and the number of cores done.

    Returns:
        The file, open for reading.

    Raises:
        OutputError: it cannot be written.
        TileSetError: a stored tile is damaged.
    """
    path.unlink(missing_ok=True)
    classes, writer = source.map(), FeatureWriter(path, tileset, source.palette.classes)
    try:
        for feature in stitch(classes, _cores(classes, source, budget, progress)):
            writer.add(feature)
        writer.complete(style)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return FeatureFile.open(path)


def _cores(classes: ClassMap, source: StoredClasses, budget: Budget, progress: Progress | None) -> Iterator[CoreParts]:
    """What each core holds, in order, some of them under way at once."""
    todo = [core for core in cores(classes.bounds) if _holds_tiles(core.clipped(classes.bounds), source)]
    if not todo:
        raise OutputError("no map to read features from; check the scene and the area of interest")
    with budget.pool(_MOST_CORES, "features") as pool:
        waiting: deque[Future[CoreParts]] = deque()
        left = iter(todo)
        for done in range(1, len(todo) + 1):
            while len(waiting) < budget.share(_MOST_CORES) and (core := next(left, None)) is not None:
                waiting.append(pool.submit(extract_core, classes, core))
            yield waiting.popleft().result()
            if progress is not None:
                progress(STAGE, done, len(todo))


def _holds_tiles(core: Box, source: StoredClasses) -> bool:
    """Whether any tile under a core exists; none means that nothing is known there."""
    span, zoom = tile_range(PixelWindow(*core)), source.frame.zoom
    places = ((x, y) for y in range(span.top, span.bottom) for x in range(span.left, span.right))
    return any(source.tiles.get(Tile(x % 2**zoom, y, zoom)) is not None for x, y in places)
