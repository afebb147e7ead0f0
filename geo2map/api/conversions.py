"""What every conversion goes through, whether of tiles or of features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from geo2map.api.converted import Converted
from geo2map.api.requests import ConvertRequest, DrawRequest
from geo2map.files.place import check_place, require_apart, require_outside, require_writable
from geo2map.formats.containers import Container
from geo2map.formats.subset import Subset
from geo2map.ledger.checks import check_final, check_tmp, names_around, occupied
from geo2map.ledger.complete import find_converted
from geo2map.ledger.conversion import Conversion
from geo2map.ledger.finished import require_complete
from geo2map.ledger.opening import finish_publishing
from geo2map.ledger.origin import Origin
from geo2map.plan.job import Job, library_versions
from geo2map.plan.storage import Storage
from geo2map.protocols import Progress
from geo2map.tiles.tilejson import TileSet

_SOURCE = "the source of the conversion"


def begin_conversion(
    request: ConvertRequest | DrawRequest, container: Container, storage: Storage
) -> Job | Origin | None:
    """Refuse an output that cannot be written, and complete a publication that was killed halfway.

    Args:
        container: type of the output.
        storage: how its tiles are stored.

    Returns:
        The recipe of an output that was published now.

    Raises:
        OutputError: options that do not apply, or a place that cannot take the output.
    """
    source, out = Path(request.source), request.out
    container.check_storage(storage)
    check_place(out, names_around(out, container), keep=[source], kept=_SOURCE)
    require_outside(out, source, _SOURCE)
    check_tmp(out, container, request.output.tmp)
    return finish_publishing(out)


def run_conversion(
    request: ConvertRequest | DrawRequest,
    conversion: Conversion,
    layers: Mapping[str, Subset],
    tileset: TileSet,
    *,
    files: Iterable[Path],
    published: Job | Origin | None,
    progress: Progress | None,
) -> Converted:
    """Carry out a conversion, unless the same one was completed before.

    Args:
        layers: the tiles to convert, by layer; none where everything comes from features.
        tileset: describes the map that is converted.
        files: of the source, which the output must not replace.
        published: see `begin_conversion`.

    Raises:
        OutputError: the output exists with other contents, or cannot be written.
        TileSetError: a tile is damaged or missing.
    """
    source, out, options = Path(request.source), request.out, request.output
    container, further = conversion.container, tuple(layers)[1:]
    for place in occupied(out, container, further):
        require_apart(place, files, _SOURCE)
    origin = Origin.of(source, request.choices, library_versions(translating=False), further)
    if published == origin:
        return Converted.of(out, tileset, complete=True)
    if not options.overwrite and (since := find_converted(out, origin)) is not None:
        return Converted.of(out, tileset, complete=True, since=since)
    check_final(Path(out), container, options, further)
    require_writable(out)
    require_complete(source, layers)
    conversion.run(layers, source, origin, progress)
    return Converted.of(out, tileset)
