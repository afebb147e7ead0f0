"""A folder of tiles, against its journal where it has one, else against itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from geo2map.errors import Geo2MapError
from geo2map.outputs.check.findings import CheckReport, Problem
from geo2map.outputs.check.tiles import TilesCheck, said_zooms
from geo2map.outputs.folder import load_journal
from geo2map.tiles.folder import XyzFolder
from geo2map.tiles.inventory import JOURNAL_NAME, SOURCE_FOLDER, all_unexpected
from geo2map.tiles.tilejson import FILE_NAME, TileSet


@dataclass
class FolderCheck(TilesCheck):
    """One folder being checked: its tiles, its document, and what else lies in it."""

    store: XyzFolder

    def check_documents(self, zooms: tuple[int, ...]) -> None:
        for path in all_unexpected(self.store.path):
            self.report.problems.append(Problem("unexpected", path.relative_to(self.store.path).as_posix()))
        path = self.store.path / FILE_NAME
        try:
            found = path.read_bytes() if path.exists() else None
            tileset = TileSet.load(self.store.path)
        except (OSError, Geo2MapError) as error:
            self.report.problems.append(Problem("metadata", FILE_NAME, str(error)))
            return
        if self.journal is not None:
            if found != self.journal.job.tileset.to_bytes():
                self.report.problems.append(Problem("metadata", FILE_NAME, "not as it was written"))
        elif tileset is not None:
            said = (tileset.minzoom, tileset.maxzoom)
            self.report.problems.extend(said_zooms(said, zooms, FILE_NAME))


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
