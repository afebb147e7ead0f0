"""A folder of tiles, against its journal where it has one, else against itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from geo2map.errors import Geo2MapError, TileSetError
from geo2map.outputs.check.findings import CheckReport, Problem
from geo2map.outputs.check.seams import SeamScan
from geo2map.outputs.folder import load_journal
from geo2map.pipeline.journal import Journal
from geo2map.pipeline.records import tile_digest
from geo2map.tiles.codec import decode_tile
from geo2map.tiles.folder import XyzFolder
from geo2map.tiles.inventory import JOURNAL_NAME, SOURCE_FOLDER, all_unexpected
from geo2map.tiles.pyramid import Pixels, children_of, make_parent, parent_of
from geo2map.tiles.tilejson import FILE_NAME, TileSet
from geo2map.types import Tile

FOREIGN_TOLERANCE = 24.0
"""Levels by which an overview of somebody else's may differ from the mean of the tiles below it: kernels differ."""


@dataclass
class FolderCheck:
    """One folder being checked.

    Attributes:
        folder: the tiles.
        journal: what was written; None where nobody kept it.
        report: what is found.
    """

    folder: XyzFolder
    journal: Journal | None
    report: CheckReport

    def run(self) -> None:
        """Looks at everything."""
        zooms = self.folder.zooms
        self._check_documents(zooms)
        for path in all_unexpected(self.folder.path):
            self.report.problems.append(Problem("unexpected", path.relative_to(self.folder.path).as_posix()))
        if self.journal is not None:
            for key, record in self.journal.blocks().items():
                if record.open is not None:
                    self.report.problems.append(Problem("open", f"block {key[0]}/{key[1]}", record.open))
        scan = SeamScan(self.journal.job.plan.block_span if self.journal else None)
        levels = range(max(zooms, default=0), min(zooms, default=1) - 1, -1)
        for zoom in levels if self.journal is None else self._promised_zooms(zooms):
            self._check_zoom(zoom, scan if zoom == max(zooms, default=0) else None)
        self.report.seam_ratio, self.report.block_seam_ratio = scan.tiles.ratio, scan.blocks.ratio
        self.report.seams = scan.worst

    def _promised_zooms(self, zooms: tuple[int, ...]) -> list[int]:
        assert self.journal is not None
        tileset = self.journal.job.tileset
        return sorted({*zooms, *range(tileset.minzoom, tileset.maxzoom + 1)}, reverse=True)

    def _check_documents(self, zooms: tuple[int, ...]) -> None:
        path = self.folder.path / FILE_NAME
        try:
            found = path.read_bytes() if path.exists() else None
            tileset = TileSet.load(self.folder.path)
        except (OSError, Geo2MapError) as error:
            self.report.problems.append(Problem("metadata", FILE_NAME, str(error)))
            return
        if self.journal is not None:
            if found != self.journal.job.tileset.to_bytes():
                self.report.problems.append(Problem("metadata", FILE_NAME, "not as it was written"))
        elif tileset is not None and zooms and (tileset.minzoom, tileset.maxzoom) != (zooms[0], zooms[-1]):
            said = f"says zooms {tileset.minzoom} to {tileset.maxzoom}, there are {zooms[0]} to {zooms[-1]}"
            self.report.problems.append(Problem("metadata", FILE_NAME, said))

    def _check_zoom(self, zoom: int, scan: SeamScan | None) -> None:
        """Tiles of a zoom, those promised and those there, side by side."""
        parents: set[Tile] = set()
        for tile, digest in self._expected(zoom):
            data = self._read(tile)
            if data is None:
                if digest is not None:
                    self.report.problems.append(Problem.of("missing", tile))
                continue
            self.report.tiles += 1
            if self.journal is not None and digest is None:
                self.report.problems.append(Problem.of("stray", tile))
                continue
            pixels = self._check_tile(tile, data, digest)
            if pixels is not None and scan is not None:
                scan.add(tile, pixels)
            if pixels is not None and zoom < self._maxzoom:
                self._check_parent(tile, pixels)
            parents.add(parent_of(tile)) if zoom > self._minzoom else None
        if self.journal is None:
            self._check_complete(parents)

    @property
    def _maxzoom(self) -> int:
        return self.journal.job.plan.maxzoom if self.journal else self.folder.zooms[-1]

    @property
    def _minzoom(self) -> int:
        return self.journal.job.tileset.minzoom if self.journal else self.folder.zooms[0]

    def _expected(self, zoom: int) -> Iterator[tuple[Tile, bytes | None]]:
        """Tiles that are there or should be, by column, then row, with the digest of those that should."""
        there = self.folder.tiles(zoom)
        promised = self.journal.digests(zoom) if self.journal else iter(())
        one, other = next(there, None), next(promised, None)
        while one is not None or other is not None:
            if other is None or (one is not None and one < other[0]):
                assert one is not None
                yield one, None
                one = next(there, None)
            else:
                if one == other[0]:
                    one = next(there, None)
                yield other
                other = next(promised, None)

    def _read(self, tile: Tile) -> bytes | None:
        try:
            return self.folder.get(tile)
        except TileSetError:
            return b""

    def _check_tile(self, tile: Tile, data: bytes, digest: bytes | None) -> Pixels | None:
        try:
            pixels = decode_tile(data)
        except TileSetError as error:
            self.report.problems.append(Problem.of("broken", tile, str(error)))
            return None
        if digest is not None and tile_digest(data) != digest:
            self.report.problems.append(Problem.of("changed", tile))
        return pixels

    def _check_parent(self, tile: Tile, pixels: Pixels) -> None:
        """Compares an overview with what follows from the tiles below it."""
        children: dict[tuple[int, int], Pixels] = {}
        for child in children_of(tile):
            if data := self._read(child):
                try:
                    children[child.x % 2, child.y % 2] = decode_tile(data)
                except TileSetError:  # said where the child itself is looked at
                    return
        majority = self.journal is not None and self.journal.job.storage.codec.majority
        expected, mask = make_parent(children, majority=majority)
        if self.journal is not None:
            codec = self.journal.job.storage.codec
            same = mask.any() and codec.encode(expected, mask) == codec.encode(*pixels) if codec.lossless else True
        else:
            both = mask & pixels[1]
            difference = np.abs(expected[both].astype(np.int16) - pixels[0][both]).mean() if both.any() else 0.0
            same = bool(both.any() or not mask.any()) and difference <= FOREIGN_TOLERANCE
        if not same:
            self.report.problems.append(Problem.of("stale", tile))

    def _check_complete(self, parents: set[Tile]) -> None:
        """In a set without a journal: every tile has its parent."""
        for parent in sorted(parents):
            if self.folder.tile_path(parent) is None:
                self.report.problems.append(Problem.of("missing", parent, "its children are there"))


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
