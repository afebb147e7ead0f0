"""A finished set of tiles as another kind of output, its bytes kept; a raster of a folder of tiles is a case of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from geo2map.colour.palette import Palette
from geo2map.colour.snap import Snap
from geo2map.errors import TileSetError
from geo2map.files.atomic import output_errors, write_whole
from geo2map.files.place import check_place, require_outside, require_writable, resolve_place
from geo2map.files.plain_text import plain_text
from geo2map.grid import one_tile_zoom
from geo2map.outputs.companions import class_legend, companion_files
from geo2map.outputs.complete import bytes_on_disk, find_converted
from geo2map.outputs.containers import CONTAINERS, Container, find_container
from geo2map.outputs.content import content_digest
from geo2map.outputs.excerpt import Excerpt, take
from geo2map.outputs.finished import require_complete
from geo2map.outputs.folder import journal_path
from geo2map.outputs.ink import find_ink
from geo2map.outputs.opening import OutputOptions, check_final, check_tmp, end_publishing, names_around
from geo2map.outputs.origin import Origin
from geo2map.outputs.publish import mark_publishing, publish_marked, stage
from geo2map.outputs.sidecars import stored_sidecars
from geo2map.outputs.stored import require_tile, require_zooms
from geo2map.outputs.workspace import Workspace
from geo2map.pipeline.report import say_complete
from geo2map.plan import Storage
from geo2map.plan.job import library_versions
from geo2map.protocols import Codec, Progress, StoredTiles
from geo2map.tiles.classes import ClassCodec
from geo2map.tiles.codec import SUFFIXES, TileCodec
from geo2map.tiles.folder import XyzFolder
from geo2map.tiles.indexed import IndexedCodec
from geo2map.tiles.inventory import JOURNAL_NAME
from geo2map.tiles.place import footprint
from geo2map.tiles.pyramid import build_parents
from geo2map.tiles.store import FolderStore, LayeredStore
from geo2map.tiles.tilejson import TileSet, foreign_words
from geo2map.types import Compression, LngLatBounds, Scheme, TileFormat

_AT_ONCE = 1024
"""Tiles of a folder that are flushed to the disk together."""
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
    def storage(self) -> Storage:
        """What of it is the container's business."""
        return Storage(
            format=self.format,
            quality=self.quality,
            lossless=self.lossless,
            scheme=self.scheme,
            compress=self.compress,
        )

    def choose(self, store: StoredTiles, tileset: TileSet) -> Excerpt:
        """What of a set is asked for."""
        bounds = None if self.bounds is None else LngLatBounds(*self.bounds)
        chosen = take(store, tileset, bounds=bounds, zooms=self.zooms, format=self.format)
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
        out: any kind of output, see `geo2map.outputs.CONTAINERS`.
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
    container = find_container(out)
    container.check_storage(options.storage)
    check_place(out, names_around(out, container), keep=[source], kept=_SOURCE)
    require_outside(out, source, _SOURCE)
    check_tmp(out, container, options.tmp)
    origin = Origin.of(Path(source), options.choices, library_versions(translating=False))
    if end_publishing(out) == origin.to_json():
        return Converted(str(out), complete=True)
    if not options.overwrite and (since := find_converted(out, origin)) is not None:
        return Converted(str(out), complete=True, since=since)
    check_final(Path(out), container, OutputOptions(overwrite=options.overwrite))
    require_writable(out)
    with open_tiles(source) as (store, tileset):
        chosen = options.choose(store, tileset)
        require_complete(Path(source), chosen)
        _Conversion(Path(out), container, options, progress).run(chosen, Path(source), origin)
    return Converted(str(out))


@contextmanager
def open_tiles(path: str | Path) -> Iterator[tuple[StoredTiles, TileSet]]:
    """A finished set of tiles, and what it says of itself.

    Raises:
        TileSetError: there is none, or it is of a kind that holds no tiles.
    """
    path = Path(path)
    if path.is_dir():
        folder = XyzFolder(path)
        zooms = folder.require_zooms()
        yield folder, TileSet.load(path) or _describe(folder, zooms)
        return
    if not path.is_file():
        raise TileSetError(f"{path} is not there: check the path")
    readers = {suffix: container.read for suffix, container in CONTAINERS.items() if container.read is not None}
    if (reader := readers.get(path.suffix.lower())) is None:
        known = ", ".join(readers)
        raise TileSetError(f"{path} holds no tiles: give a folder of tiles or a file that ends in one of {known}")
    with reader(path) as store:
        yield store, store.tileset


def _codec_like(store: StoredTiles, tileset: TileSet) -> Codec:
    """What makes overviews of tiles of the largest zoom: of classes, of few colours, or of any."""
    if legend := class_legend(tileset):
        return ClassCodec(Palette(tuple(legend)))
    table = find_ink(store, range(tileset.maxzoom, tileset.maxzoom + 1)).table
    return TileCodec("png") if table is None else IndexedCodec(Snap(table))


def _describe(folder: XyzFolder, zooms: tuple[int, ...]) -> TileSet:
    """What can be said of a folder of somebody else's: its documents, as far as its tiles bear them out."""
    stated = folder.statements
    name = next((statement.name for statement in stated if statement.name), plain_text(folder.path.resolve().name))
    window = footprint(folder, [box for statement in stated for box in statement.boxes])
    words = {key: text for statement in reversed(stated) for key, text in statement.words.items()}
    words = foreign_words(words, {})
    return TileSet(name, folder.format, zooms[0], zooms[-1], window, scheme=folder.scheme, words=words)


class _Conversion:
    """One output being made of stored tiles."""

    def __init__(self, out: Path, container: Container, options: ConvertOptions, progress: Progress | None) -> None:
        self.out, self.container, self.options, self.progress = out, container, options, progress
        self.workspace = Workspace(resolve_place(out), options.tmp)

    def run(self, chosen: Excerpt, source: Path, origin: Origin) -> None:
        """Makes it beside its name and gives it that; a run that was killed meanwhile is ended by the next."""
        tileset, workspace = replace(chosen.tileset, scheme=self.options.scheme), self.workspace
        workspace.acquire()
        try:
            workspace.create()
            store, tileset = self._prepare(chosen, tileset)
            made = workspace.result if self.container.is_folder else workspace.making
            self.container.writer(self.options.storage)(store, tileset, made, self.progress)
            workspace.take_result()
            if self.container.is_folder and not self.options.bare:
                for name, data in stored_sidecars(tileset, source).items():
                    write_whole(workspace.result / name, data)
            check_final(self.out, self.container, OutputOptions(overwrite=self.options.overwrite))
            if self.container.is_raster:
                stage(workspace, companion_files(workspace.final, tileset))
            self._record(origin)
            mark_publishing(workspace, origin.to_json(), overwrite=self.options.overwrite)
            publish_marked(workspace, is_folder=self.container.is_folder)
        finally:
            if not workspace.marker.exists() or workspace.result.exists():
                workspace.discard()
            workspace.release()

    def _record(self, origin: Origin) -> None:
        """Says in the output, or beside it, what it was made of."""
        result, kept = self.workspace.result, journal_path(self.workspace.final).name
        made = replace(origin, size=bytes_on_disk(result), content=content_digest(result))
        if self.container.is_folder:
            made.write(result / JOURNAL_NAME)
        elif not self.options.bare:
            made.write(self.workspace.beside(kept))

    def _prepare(self, chosen: Excerpt, tileset: TileSet) -> tuple[StoredTiles, TileSet]:
        if self.container.is_folder:
            return self._copy(chosen, tileset), tileset
        if self.container.takes_format:
            return chosen, tileset
        return self._with_overviews(replace(chosen, recode=False), tileset)

    def _copy(self, chosen: Excerpt, tileset: TileSet) -> FolderStore:
        made = FolderStore(self._folder(), SUFFIXES[tileset.format], tileset.scheme)
        total = sum(1 for zoom in chosen.zooms for _ in chosen.tiles(zoom)) if self.progress else 0
        done = 0
        for zoom in require_zooms(chosen, tileset):
            for tile in chosen.tiles(zoom):
                made.put(tile, require_tile(chosen, tile))
                done += 1
                if done % _AT_ONCE == 0:
                    made.sync()
                if self.progress:
                    self.progress("tiles", done, total)
        made.sync()
        return made

    def _with_overviews(self, chosen: Excerpt, tileset: TileSet) -> tuple[StoredTiles, TileSet]:
        """The tiles of a raster: the set's own overviews where it is ours and has them, else new ones."""
        lowest = one_tile_zoom(tileset.window, tileset.maxzoom)
        zooms = set(chosen.store.zooms)
        needed = range(max(lowest, min(*zooms, tileset.maxzoom - 1)), tileset.maxzoom)
        if tileset.extra and zooms.issuperset(needed):
            own = replace(tileset, minzoom=max(min(zooms), min(lowest, tileset.minzoom)))
            return replace(chosen, tileset=own), own
        codec = _codec_like(chosen, tileset)
        tileset = replace(tileset, minzoom=lowest)
        layered = LayeredStore(FolderStore(self._folder(), codec.suffix), chosen, tileset.maxzoom)
        for _ in build_parents(layered, codec, chosen.tiles(tileset.maxzoom), lowest, progress=self.progress):
            pass
        return layered, tileset

    def _folder(self) -> Path:
        """The result where that is a folder, else a folder beside it for what is made on the way."""
        folder = self.workspace.result if self.container.is_folder else self.workspace.spool / "result"
        with output_errors(self.out):
            folder.mkdir()
        return folder
