"""Checks a folder of tiles against its journal, or else for internal consistency."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from geo2map.checking.findings import CheckReport, Problem
from geo2map.checking.stated import row_order_problems, statement_problems
from geo2map.checking.tiles import TilesCheck, add_missing
from geo2map.errors import Geo2MapError, OtherVersionError
from geo2map.formats.opened import find_layers
from geo2map.ledger.finished_record import load_journal
from geo2map.ledger.journal import Journal
from geo2map.tiles.documents import read_statements
from geo2map.tiles.folder import FORMAT_OF_SUFFIX, XyzFolder
from geo2map.tiles.inventory import all_unexpected
from geo2map.tiles.layer import MAP, layer_path
from geo2map.tiles.place import CachedExtent
from geo2map.tiles.pyramid import Pixels
from geo2map.tiles.sniff import format_of
from geo2map.tiles.tilejson import FILE_NAME, TileSet, read_scheme
from geo2map.types import Tile, TileFormat


@dataclass
class FolderCheck(TilesCheck):
    """Checks one folder: its tiles, documents and unexpected files."""

    store: XyzFolder
    misnamed: Counter[tuple[TileFormat, TileFormat | None]] = field(default_factory=Counter)

    def found_format(self) -> TileFormat | None:
        return self.store.format

    def stated_layers(self) -> Iterable[Mapping[str, Any]]:
        with suppress(Geo2MapError):  # a damaged document is reported by `check_documents`
            if (tileset := TileSet.load(self.store.path)) is not None:
                return tileset.vector_layers
        return next((statement.vector_layers for statement in self.store.statements if statement.vector_layers), ())

    def check_documents(self) -> None:
        for path in all_unexpected(self.store.path) if self.layer == MAP else ():
            self.report.problems.append(Problem("unexpected", path.relative_to(self.store.path).as_posix()))
        path = self.store.path / FILE_NAME
        try:
            found = path.read_bytes() if path.exists() else None
            TileSet.load(self.store.path)
        except (OSError, Geo2MapError) as error:
            self.report.problems.append(Problem("metadata", FILE_NAME, str(error)))
            return
        if self.journal is not None and found != self.journal.job.tileset_of(self.described).to_bytes():
            self.report.problems.append(Problem("metadata", FILE_NAME, "differs from what was written"))

    def check_statements(self) -> Iterator[Problem]:
        own, reach = read_scheme(self.store.path) is not None, CachedExtent(self.store)
        for statement in read_statements(self.store.path)[:1] if own else self.store.statements:
            yield from statement_problems(statement, reach, self.formats, exact=not own)
            yield from row_order_problems(statement, self.store.scheme)
        for (promised, format), count in self.misnamed.items():
            yield Problem("metadata", "names of tiles", f"{count} tiles are named {promised}, but are {format}")

    def _check_tile(self, tile: Tile, data: bytes, digest: bytes | None) -> Pixels | None:
        if self.journal is None and (path := self.store.tile_path(tile)) is not None:
            promised, format = FORMAT_OF_SUFFIX[path.suffix.lower()], format_of(data)
            if format not in (None, promised):
                self.misnamed[promised, format] += 1
        return super()._check_tile(tile, data, digest)


def check_folder(path: Path) -> CheckReport:
    """Check a folder of tiles; see `geo2map.check`."""
    report = CheckReport(path.resolve().name)
    try:
        journal = load_journal(path)
    except OtherVersionError:  # it is checked for consistency
        journal = None
    except Geo2MapError as error:
        report.problems.append(Problem("metadata", "journal", str(error)))
        journal = None
    try:
        if journal is None:
            XyzFolder(path).require_zooms()
        for name in layer_names(path, journal):
            report.absorb(_check_layer(layer_path(path, name, is_folder=True), journal, name), name)
    finally:
        if journal is not None:
            journal.close()
    return report


def _check_layer(folder: Path, journal: Journal | None, name: str) -> CheckReport:
    found = CheckReport(folder.name)
    if folder.is_dir():
        FolderCheck(XyzFolder(folder), journal, found, name).run()
    elif journal is not None:
        add_missing(journal.layer(name), found)
    return found


def layer_names(path: Path, journal: Journal | None) -> tuple[str, ...]:
    """The layers of a folder of tiles, by its journal or its TileJSON."""
    if journal is not None:
        return tuple(journal.job.layers)
    with suppress(Geo2MapError):  # a damaged document is reported by the check of the map
        if (tileset := TileSet.load(path)) is not None:
            return tuple(find_layers(path, tileset))
    return (MAP,)
