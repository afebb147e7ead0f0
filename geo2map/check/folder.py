"""A folder of tiles, against its journal where it has one, else against itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from geo2map.check.findings import CheckReport, Problem
from geo2map.check.stated import false_order, false_statements
from geo2map.check.tiles import TilesCheck
from geo2map.errors import Geo2MapError
from geo2map.ledger.folder import load_journal
from geo2map.tiles.documents import read_statements
from geo2map.tiles.folder import FORMAT_OF_SUFFIX, XyzFolder
from geo2map.tiles.inventory import JOURNAL_NAME, SOURCE_FOLDER, all_unexpected
from geo2map.tiles.place import Reach
from geo2map.tiles.pyramid import Pixels
from geo2map.tiles.sniff import format_of
from geo2map.tiles.tilejson import FILE_NAME, TileSet, read_scheme
from geo2map.types import Tile, TileFormat


@dataclass
class FolderCheck(TilesCheck):
    """One folder being checked: its tiles, its document, and what else lies in it."""

    store: XyzFolder
    misnamed: Counter[tuple[TileFormat, TileFormat | None]] = field(default_factory=Counter)

    def check_documents(self) -> None:
        for path in all_unexpected(self.store.path):
            self.report.problems.append(Problem("unexpected", path.relative_to(self.store.path).as_posix()))
        path = self.store.path / FILE_NAME
        try:
            found = path.read_bytes() if path.exists() else None
            TileSet.load(self.store.path)
        except (OSError, Geo2MapError) as error:
            self.report.problems.append(Problem("metadata", FILE_NAME, str(error)))
            return
        if self.journal is not None and found != self.journal.job.tileset.to_bytes():
            self.report.problems.append(Problem("metadata", FILE_NAME, "not as it was written"))

    def check_statements(self) -> Iterator[Problem]:
        own, reach = read_scheme(self.store.path) is not None, Reach(self.store)
        for statement in read_statements(self.store.path)[:1] if own else self.store.statements:
            yield from false_statements(statement, reach, self.formats, exact=not own)
            yield from false_order(statement, self.store.scheme)
        for (promised, format), count in self.misnamed.items():
            yield Problem("metadata", "names of tiles", f"{count} tiles are named as {promised}, but are {format}")

    def _check_tile(self, tile: Tile, data: bytes, digest: bytes | None) -> Pixels | None:
        if self.journal is None and (path := self.store.tile_path(tile)) is not None:
            promised, format = FORMAT_OF_SUFFIX[path.suffix.lower()], format_of(data)
            if format not in (None, promised):
                self.misnamed[promised, format] += 1
        return super()._check_tile(tile, data, digest)


def check_folder(path: Path) -> CheckReport:
    """Checks a folder of tiles; see `geo2map.check`."""
    folder = XyzFolder(path)
    report = CheckReport(path.resolve().name)
    try:
        journal = load_journal(path)
    except Geo2MapError as error:
        report.problems.append(Problem("metadata", "journal", str(error)))
        journal = None
    try:
        if journal is None:
            folder.require_zooms()
        FolderCheck(folder, journal, report).run()
        if journal is not None and journal.job.storage.with_source:
            _check_source(path / SOURCE_FOLDER, report)
    finally:
        if journal is not None:
            journal.close()
    return report


def _check_source(path: Path, report: CheckReport) -> None:
    """Checks the imagery's own tiles; their seams are the imagery's business."""
    if not (path / JOURNAL_NAME).is_file():
        report.problems.append(Problem("metadata", SOURCE_FOLDER, "the set of the imagery's tiles is gone"))
        return
    found = check_folder(path)
    report.tiles += found.tiles
    for problem in found.problems:
        if problem.kind not in ("unexpected", "open"):  # which were said of the map
            what = f"{SOURCE_FOLDER}/{problem.what}"
            report.problems.append(replace(problem, what=what, of_source=True))
