"""A finished set of tiles as another kind of output, its bytes kept; a raster of a folder of tiles is a case of it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from geo2map.files.place import check_place, require_outside, require_writable
from geo2map.formats.containers import find_container
from geo2map.formats.opened import find_layers, open_tiles
from geo2map.formats.subset import Subset, select
from geo2map.ledger.checks import OutputOptions, check_final, check_tmp, names_around
from geo2map.ledger.complete import find_converted
from geo2map.ledger.conversion import Conversion
from geo2map.ledger.finished import require_complete
from geo2map.ledger.opening import end_publishing
from geo2map.ledger.origin import Origin
from geo2map.pipeline.report import say_complete
from geo2map.plan import Storage
from geo2map.plan.job import library_versions
from geo2map.protocols import Progress, StoredTiles
from geo2map.tiles.codec import TileCodec
from geo2map.tiles.layer import MAP
from geo2map.tiles.tilejson import TileSet
from geo2map.types import Compression, LngLatBounds, Scheme, TileFormat

_SOURCE = "the set that is converted"


@dataclass(frozen=True, kw_only=True)
class ConvertOptions:
    """What is taken of a set, and how it is written.

    Attributes:
        bounds: west, south, east, north in degrees: tiles that touch them are taken whole; None takes all.
        zooms: lowest and largest; None takes all.
        format: of the tiles; None keeps what they have.
        quality, lossless: how they are encoded, which encodes them all anew; see `geo2map.plan.Storage`.
        scheme: how a folder's files count rows.
        compress: of a GeoTIFF; see `geo2map.plan.Storage`.
        overwrite: replaces an existing output.
        tmp: a folder to make an output in that is one file; None is beside it.
        bare: leaves out the files that make a folder open by itself; see `geo2map.plan.Storage`. A set that geo2map did
            not make gets none.
    """

    bounds: tuple[float, float, float, float] | None = None
    zooms: tuple[int, int] | None = None
    format: TileFormat | None = None
    quality: int | None = None
    lossless: bool = False
    scheme: Scheme = "xyz"
    compress: Compression | None = None
    overwrite: bool = False
    tmp: str | Path | None = None
    bare: bool = False

    @property
    def choices(self) -> dict[str, Any]:
        """What of it decides the output."""
        return {name: value for name, value in asdict(self).items() if name not in ("overwrite", "tmp")}

    @property
    def for_layers(self) -> ConvertOptions:
        """The same for layers other than the map, which keep their encoding."""
        return replace(self, format=None, quality=None, lossless=False)

    @property
    def storage(self) -> Storage:
        """What of it is the container's business."""
        return Storage(
            format=self.format,
            quality=self.quality,
            lossless=self.lossless,
            scheme=self.scheme,
            compress=self.compress,
            bare=self.bare,
        )

    def choose(self, store: StoredTiles, tileset: TileSet) -> Subset:
        """What of a set is asked for."""
        bounds = None if self.bounds is None else LngLatBounds(*self.bounds)
        chosen = select(store, tileset, bounds=bounds, zooms=self.zooms, format=self.format)
        if self.quality is None and not self.lossless:
            return chosen
        return replace(chosen, codec=TileCodec(chosen.tileset.format, self.quality, self.lossless))


@dataclass(frozen=True)
class Converted:
    """What became of a conversion.

    Attributes:
        out: the output, as it was asked for.
        complete: it had been made before, of the same tiles in the same way, and was left as it is.
        since: libraries that have other versions than they had then, in words.
    """

    out: str
    complete: bool = False
    since: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-able values."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.out}: {say_complete(self.since)}" if self.complete else self.out


def convert(source: str | Path, out: str | Path, *, progress: Progress | None = None, **arguments: Any) -> Converted:
    """Writes a set of tiles as another kind of output; no tile is encoded anew where its bytes can be kept.

    A GeoTIFF's overviews are the set's own lower zooms; of a set that geo2map did not make, or that lacks them, they
    are made from the largest zoom.

    Args:
        source: a folder of tiles, an .mbtiles, a .pmtiles or a .tif on the tile grid.
        out: any kind of output, see `geo2map.formats.CONTAINERS`.
        progress: told about the stages.
        arguments: the fields of `ConvertOptions`.

    Returns:
        What became of it: an output that the same conversion made before is left as it is.

    Raises:
        TileSetError: no such set, a tile is damaged, or the bounds touch none.
        ZoomError: no tiles at the largest zoom asked for.
        OutputError: `out` exists and is not what this conversion made, is of no known kind, or cannot be written.
    """
    options = ConvertOptions(**arguments)
    source = Path(source)
    container = find_container(out)
    container.check_storage(options.storage)
    check_place(out, names_around(out, container), keep=[source], kept=_SOURCE)
    require_outside(out, source, _SOURCE)
    check_tmp(out, container, options.tmp)
    finished = end_publishing(out)
    with ExitStack() as stack:
        layers = _open_layers(stack, source, options)
        origin = Origin.of(source, options.choices, library_versions(translating=False), tuple(layers)[1:])
        if finished == origin:
            return Converted(str(out), complete=True)
        if not options.overwrite and (since := find_converted(out, origin)) is not None:
            return Converted(str(out), complete=True, since=since)
        output = OutputOptions(overwrite=options.overwrite, tmp=options.tmp)
        check_final(Path(out), container, output, tuple(layers)[1:])
        require_writable(out)
        require_complete(source, layers)
        Conversion(Path(out), container, options.storage, output).run(layers, source, origin, progress)
    return Converted(str(out))


def _open_layers(stack: ExitStack, source: Path, options: ConvertOptions) -> dict[str, Subset]:
    """What is taken of each layer of a set; formats are chosen for the map alone."""
    store, tileset = stack.enter_context(open_tiles(source))
    places = find_layers(source, tileset)
    if tileset.layers:
        tileset = replace(tileset, extra={**tileset.extra, "layers": list(places)[1:]})
    found = {MAP: options.choose(store, tileset)}
    for name, place in list(places.items())[1:]:
        found[name] = options.for_layers.choose(*stack.enter_context(open_tiles(place)))
    return found
