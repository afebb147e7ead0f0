"""Conversion: stored tiles of a finished output written as another type of output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from geo2map.colour.palette import Palette
from geo2map.colour.quantizer import PaletteQuantizer
from geo2map.errors import OutputError
from geo2map.files.atomic import output_errors, write_whole
from geo2map.files.place import resolve_place
from geo2map.formats.containers import Container
from geo2map.formats.documents.companions import class_legend
from geo2map.formats.documents.sidecars import stored_sidecars
from geo2map.formats.geotiff.bands import choose_layout
from geo2map.formats.stored import require_tile, require_zooms
from geo2map.formats.subset import Subset
from geo2map.grid import one_tile_zoom
from geo2map.ledger.checks import OutputOptions, check_final
from geo2map.ledger.journal import Journal, read_partial
from geo2map.ledger.origin import Origin
from geo2map.ledger.overlay import OverlayStore
from geo2map.ledger.publication import Publication
from geo2map.ledger.state import Stage
from geo2map.ledger.workspace import Workspace
from geo2map.plan.job import Job
from geo2map.plan.storage import Storage
from geo2map.protocols import Codec, Progress, StoredTiles
from geo2map.tiles.classes import ClassCodec
from geo2map.tiles.codec import SUFFIXES, TileCodec
from geo2map.tiles.indexed import IndexedCodec
from geo2map.tiles.layer import MAP
from geo2map.tiles.pyramid import build_parents
from geo2map.tiles.store import FolderStore
from geo2map.tiles.tilejson import TileSet

_AT_ONCE = 1024
"""Tiles of a folder that are flushed to disk together."""


class Conversion:
    """One output converted from stored tiles.

    Attributes:
        out: path as given by the caller.
        container: type of the output.
        storage: its presentation: scheme, compression, documents.
    """

    def __init__(self, out: Path, container: Container, storage: Storage, options: OutputOptions) -> None:
        self.out, self.container, self.storage, self.options = out, container, storage, options
        self.workspace = Workspace(resolve_place(out), options.tmp)

    def run(self, layers: Mapping[str, Subset], source: Path, origin: Origin, progress: Progress | None = None) -> None:
        """Write and publish the output. An interrupted conversion restarts, unless it was being published.

        Args:
            layers: the tiles to convert, by layer.
            source: the output that they belong to.
            origin: written to the record.

        Raises:
            TileSetError: a tile is damaged or missing.
            OutputError: it cannot be written, or an output of the same name has appeared meanwhile.
        """
        workspace = self.workspace
        workspace.acquire()
        try:
            self._require_no_run()
            workspace.create()
            journal, is_kept = Journal.create(workspace.journal, origin), False
            try:
                journal.may_replace = self.options.overwrite
                self._make(Publication(workspace, self.container, journal), layers, source, progress)
            except BaseException:  # the next command finishes a partial publication
                is_kept = journal.stage is Stage.PUBLISHING and not workspace.result.exists()
                raise
            finally:
                journal.close()
                if not is_kept:
                    workspace.discard()
        finally:
            workspace.release()

    def _require_no_run(self) -> None:
        """
        Raises:
            OutputError: the hidden folder holds what an interrupted render has done.
        """
        if self.options.overwrite or (journal := read_partial(self.workspace)) is None:
            return
        journal.close()
        if isinstance(journal.recipe, Job):
            raise OutputError(f"{self.out}: has partial results of a render; complete it, or run geo2map clean")

    def _make(
        self, publication: Publication, layers: Mapping[str, Subset], source: Path, progress: Progress | None
    ) -> None:
        made: dict[str, Path] = {}
        tilesets: dict[str, TileSet] = {}
        for name, subset in layers.items():
            told = progress if name == MAP else None
            store, tilesets[name] = self._prepare(publication, name, subset, told)
            made[name] = publication.write_layer(name, store, tilesets[name], self.storage, told)
            publication.stage_companions(name, tilesets[name])
        if self.container.is_folder and not self.storage.bare:
            further = {name: tileset for name, tileset in tilesets.items() if name != MAP}
            for name, data in stored_sidecars(tilesets[MAP], source, further).items():
                write_whole(made[MAP] / name, data)
        check_final(self.out, self.container, self.options, list(layers)[1:])
        if self.container.is_folder or not self.storage.bare:
            publication.stage_record(made)
        publication.commit()

    def _prepare(
        self, publication: Publication, name: str, subset: Subset, progress: Progress | None
    ) -> tuple[StoredTiles, TileSet]:
        """The tiles of a layer in the form that the container needs, and their description."""
        tileset = replace(subset.tileset, scheme=self.storage.scheme)
        if self.container.is_folder:
            return self._copy(publication.draft(name), subset, tileset, progress), tileset
        if self.container.takes_format:
            return subset, tileset
        return self._with_overviews(name, replace(subset, recode=False), tileset, progress)

    def _copy(self, folder: Path, subset: Subset, tileset: TileSet, progress: Progress | None) -> FolderStore:
        with output_errors(self.out):
            folder.mkdir()
        made = FolderStore(folder, SUFFIXES[tileset.format], tileset.scheme)
        total = sum(1 for zoom in subset.zooms for _ in subset.tiles(zoom)) if progress else 0
        done = 0
        for zoom in require_zooms(subset, tileset):
            for tile in subset.tiles(zoom):
                made.put(tile, require_tile(subset, tile))
                done += 1
                if done % _AT_ONCE == 0:
                    made.sync()
                if progress:
                    progress("tiles", done, total)
        made.sync()
        return made

    def _with_overviews(
        self, name: str, subset: Subset, tileset: TileSet, progress: Progress | None
    ) -> tuple[StoredTiles, TileSet]:
        """The tiles of a raster with their overviews: those of geo2map if complete, else new ones."""
        lowest = one_tile_zoom(tileset.window, tileset.maxzoom)
        zooms = set(subset.store.zooms)
        needed = range(max(lowest, min(*zooms, tileset.maxzoom - 1)), tileset.maxzoom)
        if tileset.extra and zooms.issuperset(needed):
            stored = replace(tileset, minzoom=max(min(zooms), min(lowest, tileset.minzoom)))
            return replace(subset, tileset=stored), stored
        codec = codec_like(subset, tileset)
        tileset = replace(tileset, minzoom=lowest)
        folder = self.workspace.spool / f"result.{name}"
        with output_errors(self.out):
            folder.mkdir()
        base = replace(subset, tileset=replace(subset.tileset, minzoom=tileset.maxzoom))
        layered = OverlayStore(FolderStore(folder, codec.suffix), base)
        for _ in build_parents(layered, codec, base.tiles(tileset.maxzoom), lowest, progress=progress):
            pass
        return layered, tileset


def codec_like(store: StoredTiles, tileset: TileSet) -> Codec:
    """The codec for overviews of stored tiles: class codes, a palette, or any colours."""
    if legend := class_legend(tileset):
        return ClassCodec(Palette(tuple(legend)))
    table = choose_layout(store, range(tileset.maxzoom, tileset.maxzoom + 1)).table
    return TileCodec("png") if table is None else IndexedCodec(PaletteQuantizer(table))
