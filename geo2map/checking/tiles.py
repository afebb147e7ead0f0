"""Checks stored tiles against the journal of their run, or else for internal consistency."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from geo2map.checking.findings import CheckReport, Problem
from geo2map.checking.kernels import join_children, may_follow
from geo2map.checking.seams import SeamScan
from geo2map.checking.vector_tile import require_features
from geo2map.errors import TileSetError
from geo2map.formats.stored import DescribedTiles
from geo2map.grid import TILE_SIZE
from geo2map.ledger.journal import Journal
from geo2map.ledger.layer_records import LayerRecords
from geo2map.pipeline.records import tile_digest
from geo2map.tiles.codec import decode_tile
from geo2map.tiles.layer import MAP, Layer
from geo2map.tiles.pyramid import Pixels, children_of, make_parent, parent_of
from geo2map.tiles.sniff import format_of, size_of
from geo2map.types import Tile, TileFormat


@dataclass
class TilesCheck:
    """Checks one tile set in any container.

    Attributes:
        store: the tiles.
        journal: the record of what was written, None without one.
        report: receives the results.
        layer: name of the layer.
        formats: number of tiles by format, from their bytes.
        is_vector: whether they hold features instead of pixels; such tiles have neither seams nor parents.
        feature_layers: names of the layers that vector tiles may have; any if empty.
    """

    store: DescribedTiles
    journal: Journal | None
    report: CheckReport
    layer: str = MAP
    formats: Counter[TileFormat] = field(default_factory=Counter)
    is_vector: bool = False
    feature_layers: tuple[str, ...] = ()

    def run(self) -> None:
        """Check everything.

        Raises:
            TileSetError: the tiles are not 256 px wide.
        """
        zooms = self.store.zooms
        if self.journal is None and zooms:
            self._require_size(zooms[-1])
        self._describe()
        self.check_documents()
        if self.journal is not None and self.layer == MAP:
            add_pending_blocks(self.journal, self.report)
        scan = SeamScan(self.journal.job.plan.block_span if self.journal else None)
        levels = range(max(zooms, default=0), min(zooms, default=1) - 1, -1)
        for zoom in levels if self.journal is None else self._expected_zooms(zooms):
            self._check_zoom(zoom, scan if zoom == max(zooms, default=0) else None)
        if self.layer == MAP:
            scan.write_to(self.report)
        if self.journal is None and zooms:
            self.report.problems.extend(self.check_statements())

    @property
    def described(self) -> Layer:
        """The layer by the job of the journal."""
        assert self.journal is not None, "only with a journal"
        return self.journal.job.layers[self.layer]

    def found_format(self) -> TileFormat | None:
        """Format of the stored tiles; for subclasses."""
        return None

    def stated_layers(self) -> Iterable[Mapping[str, Any]]:
        """Layers of vector tiles that a document lists, as in TileJSON; for subclasses."""
        return ()

    def _describe(self) -> None:
        """Decide what kind of tiles is expected: by the job, or else by what is there."""
        if self.journal is not None:
            self.is_vector = self.described.codec.format == "mvt"
            self.feature_layers = tuple(self.journal.job.tileset.feature_layers)
        elif self.store.zooms:
            self.is_vector = self.found_format() == "mvt"
            self.feature_layers = tuple(str(layer["id"]) for layer in self.stated_layers())

    def check_documents(self) -> None:
        """Check everything other than tiles; for subclasses."""

    def check_statements(self) -> Iterator[Problem]:
        """Incorrect statements about a tile set without a journal, after all tiles were read; for subclasses."""
        return iter(())

    def _require_size(self, zoom: int) -> None:
        """Refuse a tile set whose first tile has another size."""
        first = next(self.store.tiles(zoom), None)
        size = None if first is None else size_of(self._read(first) or b"")
        if size is not None and size != (TILE_SIZE, TILE_SIZE):
            raise TileSetError(
                f"{self.report.name}: tiles of {size[0]} x {size[1]} px, but geo2map checks tiles of {TILE_SIZE} x "
                f"{TILE_SIZE} px; render them again"
            )

    def _expected_zooms(self, zooms: tuple[int, ...]) -> list[int]:
        assert self.journal is not None
        tileset = self.journal.job.tileset
        return sorted({*zooms, *range(tileset.minzoom, tileset.maxzoom + 1)}, reverse=True)

    def _check_zoom(self, zoom: int, scan: SeamScan | None) -> None:
        """Check the expected and the existing tiles of a zoom."""
        parents: set[Tile] = set()
        for tile, digest in self._expected(zoom):
            data = self._read(tile)
            if data is None:
                if self.journal is not None:  # without a journal: a file with another suffix
                    self.report.problems.append(Problem.of("stray" if digest is None else "missing", tile))
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
        if self.journal is None and not self.is_vector:
            self._check_complete(parents)

    @property
    def _maxzoom(self) -> int:
        return self.journal.job.plan.maxzoom if self.journal else self.store.zooms[-1]

    @property
    def _minzoom(self) -> int:
        return self.journal.job.tileset.minzoom if self.journal else self.store.zooms[0]

    def _expected(self, zoom: int) -> Iterator[tuple[Tile, bytes | None]]:
        """Existing or expected tiles, by column, then row, with the digest of the expected ones."""
        there = self.store.tiles(zoom)
        recorded = self.journal.layer(self.layer).digests(zoom) if self.journal else iter(())
        one, other = next(there, None), next(recorded, None)
        while one is not None or other is not None:
            if other is None or (one is not None and one < other[0]):
                assert one is not None
                yield one, None
                one = next(there, None)
            else:
                if one == other[0]:
                    one = next(there, None)
                yield other
                other = next(recorded, None)

    def _read(self, tile: Tile) -> bytes | None:
        try:
            return self.store.get(tile)
        except TileSetError:
            return b""

    def _check_tile(self, tile: Tile, data: bytes, digest: bytes | None) -> Pixels | None:
        if (format := format_of(data)) is not None:
            self.formats[format] += 1
        pixels = None
        try:
            if self.is_vector:
                require_features(data, self.feature_layers)
            else:
                pixels = decode_tile(data)
        except TileSetError as error:
            self.report.problems.append(Problem.of("broken", tile, str(error)))
            return None
        if digest is not None and tile_digest(data) != digest:
            self.report.problems.append(Problem.of("changed", tile))
        return pixels

    def _check_parent(self, tile: Tile, pixels: Pixels) -> None:
        """Compare an overview with the one derived from the tiles below it."""
        children: dict[tuple[int, int], Pixels] = {}
        for child in children_of(tile):
            if data := self._read(child):
                try:
                    children[child.x % 2, child.y % 2] = decode_tile(data)
                except TileSetError:  # reported when the child itself is checked
                    return
        codec = None if self.journal is None else self.described.codec
        expected, mask = make_parent(children, majority=codec is not None and codec.majority)
        if codec is not None:
            same = mask.any() and codec.encode(expected, mask) == codec.encode(*pixels) if codec.lossless else True
        else:
            same = may_follow(pixels, (expected, mask), join_children(children))
        if not same:
            self.report.problems.append(Problem.of("stale", tile))

    def _check_complete(self, parents: set[Tile]) -> None:
        """Without a journal: check that every tile has its parent."""
        for parent in sorted(parents):
            if self._read(parent) is None:
                self.report.problems.append(Problem.of("missing", parent, "its children exist"))


def add_missing(records: LayerRecords, report: CheckReport) -> None:
    """Report every tile of a missing layer."""
    for zoom in records.zooms:
        report.problems += [Problem.of("missing", tile) for tile in records.tiles(zoom)]


def add_pending_blocks(journal: Journal, report: CheckReport) -> None:
    """Report pending blocks."""
    for key, record in journal.blocks().items():
        if record.pending_reason is not None:
            report.problems.append(Problem("open", f"block {key[0]}/{key[1]}", record.pending_reason))
