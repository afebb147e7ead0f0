"""Parts read where they lie, and PMTiles' directories as arrays."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np
import pytest
from pmtiles.tile import Entry, serialize_directory

from geo2map.cluster import PartFolder, merge_parts
from geo2map.formats.pmtiles.write import pack_directory
from geo2map.ledger.parts_store import PartsStore
from geo2map.plan import Shard
from geo2map.types import Tile

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import merge as cheap_merge


@pytest.mark.parametrize("count", [1, 2, 5_000])
def test_directories_are_those_of_the_reference(count: int) -> None:
    """Numbers of one to eight bytes, contents that follow one another and that do not."""
    rng = np.random.default_rng(count)
    lengths = rng.integers(1, 2**30, count, dtype=np.int64) >> rng.integers(0, 29, count)
    offsets = np.where(rng.random(count) < 0.6, lengths.cumsum() - lengths, rng.integers(0, 2**50, count))
    ids, runs = rng.integers(1, 2**20, count).cumsum(), rng.integers(0, 300, count)
    rows = zip(ids.tolist(), offsets.tolist(), lengths.tolist(), runs.tolist(), strict=True)
    expected = serialize_directory([Entry(*row) for row in rows])  # whose gzip header is this Python's
    assert gzip.decompress(pack_directory(ids, offsets, lengths, runs)) == gzip.decompress(expected)


@pytest.mark.parametrize("name", ["m.pmtiles", "m.mbtiles", "tiles"])
def test_many_parts_are_one_set(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More parts than may be open, the last row of them not full: the bytes of a container written at once."""
    monkeypatch.setattr("geo2map.ledger.parts_store.OPEN_PARTS", 2)
    cheap = cheap_merge.CheapParts(5, 9)
    cheap.write(PartFolder(tmp_path / "parts"))
    merge_parts(tmp_path / "parts", tmp_path / name)
    whole = tmp_path / f"whole-{name}"
    cheap_merge.write_at_once(cheap, whole)
    assert cheap_merge.digest_of(tmp_path / name) == cheap_merge.digest_of(whole)


def test_a_run_that_was_begun_under_the_name_is_no_part_of_it(tmp_path: Path) -> None:
    """Blocks that an earlier run left open say nothing of the parts."""
    from geo2map.ledger import OutputOptions, open_output

    cheap = cheap_merge.CheapParts(2, 16)
    cheap.write(PartFolder(tmp_path / "parts"))
    with open_output(tmp_path / "m.pmtiles", cheap.order.job, OutputOptions()) as output:
        output.journal.db.execute("INSERT INTO blocks VALUES (1, 1, '', 0, 'unreadable')")
        output.store.put(Tile(0, 0, 17), b"stray")
        output.journal.db.execute("COMMIT")
        output.resumed = True
    merge_parts(tmp_path / "parts", tmp_path / "m.pmtiles")
    cheap_merge.write_at_once(cheap, tmp_path / "w.pmtiles")
    assert (tmp_path / "m.pmtiles").read_bytes() == (tmp_path / "w.pmtiles").read_bytes()
    assert not (tmp_path / ".m.pmtiles.partial").exists()


def test_two_shards_of_one_place_are_both_read(tmp_path: Path) -> None:
    """Beyond the antimeridian the first and the last column of shards may be one."""
    cheap = cheap_merge.CheapParts(2, 16)
    folder = PartFolder(tmp_path / "parts")
    cheap.write(folder)
    first, second = cheap.order.shards()
    moved = Shard(first.z, first.y, first.x + 2**first.z)
    folder.part(second).rename(folder.part(moved))
    with PartsStore(folder.part, [first, moved], range(15, 18), "map") as joined:
        listed = list(joined.tiles(17))
        assert listed == sorted({*cheap.below(first, 17), *cheap.below(second, 17)})
        assert joined.get(listed[0]) == cheap.get(listed[0])
        assert joined.zooms == (15, 16, 17)
        assert joined.get(Tile(0, 0, 3)) is None
        assert not list(joined.tiles(20))
