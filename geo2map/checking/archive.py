"""Checks a single-file output against the journal beside it, or else for internal consistency."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geo2map.checking.findings import CheckReport, Problem
from geo2map.checking.geotiff import check_geotiff
from geo2map.checking.stated import row_order_problems, statement_problems
from geo2map.checking.tiles import TilesCheck, add_missing, add_pending_blocks
from geo2map.errors import Geo2MapError, OtherVersionError, TileSetError
from geo2map.formats.containers import CONTAINERS
from geo2map.formats.mbtiles import MbtilesStore
from geo2map.formats.pmtiles.read import PmtilesStore
from geo2map.ledger.content import content_digest
from geo2map.ledger.finished import open_finished
from geo2map.ledger.finished_record import load_record
from geo2map.ledger.journal import Journal
from geo2map.pipeline.records import tile_digest
from geo2map.plan import Job
from geo2map.tiles.layer import MAP, layer_path
from geo2map.tiles.place import CachedExtent
from geo2map.tiles.tilejson import TileSet
from geo2map.types import TileFormat

Archive = MbtilesStore | PmtilesStore
ARCHIVES: dict[str, type[Archive]] = {".mbtiles": MbtilesStore, ".pmtiles": PmtilesStore}


@dataclass
class ArchiveCheck(TilesCheck):
    """Checks one archive of tiles."""

    store: Archive

    def found_format(self) -> TileFormat | None:
        return self.store.tileset.format

    def stated_layers(self) -> Iterable[Mapping[str, Any]]:
        return self.store.tileset.vector_layers

    def check_documents(self) -> None:
        if self.journal is not None and not self.store.agrees(self.journal.job.tileset_of(self.described)):
            self.report.problems.append(Problem("metadata", self.report.name, "differs from what was written"))

    def check_statements(self) -> Iterator[Problem]:
        exact = not self.store.tileset.extra
        yield from statement_problems(self.store.statement, CachedExtent(self.store), self.formats, exact=exact)
        if isinstance(self.store, MbtilesStore):
            yield from _mbtiles_problems(self.store)


def _mbtiles_problems(store: MbtilesStore) -> Iterator[Problem]:
    """What the tables of MBTiles allow, but not the specification."""
    yield from row_order_problems(store.statement, store.scheme, "unless bounds show otherwise, MBTiles counts them")
    if store.scheme == "xyz":
        yield Problem(
            "metadata",
            "tile_row",
            "rows are counted from the north, as the bounds show; MBTiles counts them from the south",
        )


def check_archive(path: Path) -> CheckReport:
    """Check an MBTiles or PMTiles file; see `geo2map.check`.

    Raises:
        TileSetError: it cannot be read.
    """
    return _check_layers(path, _check_tiles_of_archive)


def check_raster(path: Path) -> CheckReport:
    """Check a GeoTIFF, tile by tile if it has a journal.

    Raises:
        TileSetError: it cannot be read.
    """
    return _check_layers(path, _check_pixels)


def _check_layers(path: Path, check: Callable[[Path, Journal | None, str], CheckReport]) -> CheckReport:
    """Check a file, and the files of further layers listed in its record."""
    report, record = CheckReport(path.name), None
    try:
        record = load_record(path.resolve())
    except OtherVersionError:  # it is checked for consistency
        pass
    except Geo2MapError as error:
        report.problems.append(Problem("metadata", "journal", str(error)))
    try:
        journal = record if record is not None and isinstance(record.recipe, Job) else None
        for name in (MAP, *(record.recipe.storage_layers if record is not None else ())):
            place = layer_path(path, name, is_folder=False)
            found = _check_layer(place, journal, name, check)
            if record is not None:
                _check_bytes(place, record, name, found)
            report.absorb(found, name)
    finally:
        if record is not None:
            record.close()
    return report


def _check_layer(
    place: Path, journal: Journal | None, name: str, check: Callable[[Path, Journal | None, str], CheckReport]
) -> CheckReport:
    """A further layer that is missing or unreadable lacks all its tiles; without a map there is no output."""
    try:
        return check(place, journal, name)
    except TileSetError as error:
        if name == MAP:
            raise
        found = CheckReport(place.name)
        if journal is None:
            found.problems.append(Problem("broken", place.name, str(error)))
        else:
            add_missing(journal.layer(name), found)
        return found


def _check_tiles_of_archive(path: Path, journal: Journal | None, name: str) -> CheckReport:
    report = CheckReport(path.name)
    with ARCHIVES[path.suffix.lower()](path) as store:
        ArchiveCheck(store, journal, report, name).run()
    return report


def _check_pixels(path: Path, journal: Journal | None, name: str) -> CheckReport:
    report = check_geotiff(path)
    if journal is not None:
        if name == MAP:
            add_pending_blocks(journal, report)
        if not journal.job.storage.has_own_grid:
            _check_tiles(path, journal, name, report)
    return report


def _check_tiles(path: Path, journal: Journal, name: str, report: CheckReport) -> None:
    """Find the damaged tiles of a raster with problems. An intact one is only compared with its job: its digest covers
    all pixels."""
    layer, records = journal.job.layers[name], journal.layer(name)
    with open_finished(path, CONTAINERS[path.suffix.lower()], journal.job.storage, layer.codec) as store:
        if not _is_alike(store.tileset, journal.job.tileset_of(layer)):
            report.problems.append(Problem("metadata", path.name, "differs from the raster that was written"))
        if report.ok:
            return
        found: list[Problem] = []
        for zoom in reversed([zoom for zoom in records.zooms if zoom in store.zooms]):
            for tile, digest in records.digests(zoom):
                try:
                    data = store.get(tile)
                except TileSetError as error:
                    found.append(Problem.of("broken", tile, str(error)))
                    continue
                if data is None or tile_digest(data) != digest:
                    found.append(Problem.of("missing" if data is None else "changed", tile))
        if found:
            vague = ("broken", "changed", "stale")
            report.problems = [p for p in report.problems if p.kind not in vague] + found


def _check_bytes(path: Path, journal: Journal, name: str, report: CheckReport) -> None:
    """Report a file whose bytes differ although nothing else does."""
    if report.ok and (seal := journal.seal(name)) is not None and seal.content != content_digest(path.resolve()):
        report.problems.append(Problem("metadata", path.name, "its tiles are as written, but its bytes differ"))


def _is_alike(found: TileSet, expected: TileSet) -> bool:
    """Whether a raster belongs to the same job, by its metadata."""
    facts = [(tileset.name, tileset.maxzoom, tileset.window, dict(tileset.extra)) for tileset in (found, expected)]
    return facts[0] == facts[1]
