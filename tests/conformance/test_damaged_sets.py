"""Sets with a missing or a torn tile, containers cut short, disks that are full or closed: one sentence, no debris."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from every_container import FIRST, make_store, tiles_in, write_set

from geo2map.api import translate_tiles
from geo2map.api.converting import convert
from geo2map.checking import check
from geo2map.errors import Geo2MapError, OutputError, TileSetError
from geo2map.grid import PixelWindow
from geo2map.ledger import open_output
from geo2map.pipeline.run import run
from geo2map.plan import Plan, Storage
from geo2map.scene import View
from geo2map.testing import ArraySource, IdentityTranslator, fake_job
from geo2map.tiles.codec import TileCodec, encode_tile, is_whole
from geo2map.tiles.store import MemoryStore
from geo2map.types import TileFormat

TARGETS: dict[str, dict[str, Any]] = {
    "xyz": {},
    "tms": {"scheme": "tms"},
    "a.mbtiles": {},
    "a.pmtiles": {},
    "a.tif": {},
}
FILES = [name for name in TARGETS if "." in name]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set, and the files that it becomes."""
    folder = tmp_path_factory.mktemp("whole")
    write_set(make_store(TileCodec("png")), folder / "set")
    for name in FILES:
        convert(folder / "set", folder / name)
    return folder


def names(folder: Path) -> list[str]:
    """What a folder holds besides hidden files: locks, and records of conversions."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "text"])
@pytest.mark.parametrize("target", TARGETS)
def test_a_torn_tile_is_named(target: str, damage: str, whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole / "set", tmp_path / "set")
    path = tmp_path / "set" / "14" / str(FIRST.x) / f"{FIRST.y}.png"
    data = path.read_bytes()
    middle = len(data) // 2
    flipped = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    path.write_bytes({"cut": data[:middle], "flipped": flipped, "empty": b"", "text": b"no tile"}[damage])
    with pytest.raises(TileSetError, match=rf"14/{FIRST.x}/{FIRST.y}"):
        convert(tmp_path / "set", tmp_path / target, **TARGETS[target])
    assert names(tmp_path) == ["set"]


@pytest.mark.parametrize("format", ["png", "webp", "jpeg"])
def test_whole_tiles_are_told_from_torn_ones(format: TileFormat) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    data = encode_tile(noise, np.ones((256, 256), dtype=np.bool_), format)
    assert is_whole(data)
    assert not any(is_whole(data[:keep]) for keep in (0, 3, 9, 40, len(data) // 2, len(data) - 1))


@pytest.mark.parametrize("name", ["tiles", "map.mbtiles"])
def test_a_missing_tile_is_named_where_a_journal_lists_it(name: str, tmp_path: Path) -> None:
    _render(tmp_path / name)
    tile = max(tiles_in(tmp_path / name))
    if name == "tiles":
        (tmp_path / name / str(tile.z) / str(tile.x) / f"{tile.y}.png").unlink()
    else:
        with sqlite3.connect(tmp_path / name) as db:
            db.execute("DELETE FROM map WHERE zoom_level = ? AND tile_column = ?", (tile.z, tile.x))
        db.close()
    before = names(tmp_path)
    with pytest.raises(TileSetError, match=rf"tile {tile.z}/{tile.x}/\d+ is missing, but listed in .*journal"):
        convert(tmp_path / name, tmp_path / "out.pmtiles")
    assert names(tmp_path) == before


def _render(out: Path) -> None:
    window = PixelWindow(256 * 8, 256 * 4, 256 * 10, 256 * 6)
    pixels = np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    source = ArraySource(window, pixels, np.ones((512, 512), dtype=np.bool_))
    plan = Plan(name="noise", view=View(6), window=window, block_span=2)
    with open_output(out, fake_job(plan, Storage(minzoom=5), IdentityTranslator())) as output:
        run(source, IdentityTranslator(), output)


def complaint(command: Callable[[], None]) -> str:
    """What a command says to refuse; "" where it does not."""
    try:
        command()
    except Geo2MapError as error:
        return str(error)
    return ""


def require_ok(path: Path) -> None:
    if not (report := check(path)).ok:
        raise TileSetError(f"{report}".replace("\n", " "))


@pytest.mark.parametrize("keep", [0, 10, 150, 0.3, 0.6, 0.95, -1])
@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_short(name: str, keep: float, whole: Path, tmp_path: Path) -> None:
    """Every command says so, or works with what is still whole; none leaves anything."""
    data = (whole / name).read_bytes()
    kept = len(data) - 1 if keep == -1 else int(keep if keep >= 1 else keep * len(data))
    (tmp_path / name).write_bytes(data[:kept])
    for target in ("xyz", "b.mbtiles", "b.tif"):
        if said := complaint(lambda target=target: convert(tmp_path / name, tmp_path / target)):
            assert name in said
            assert "\n" not in said
        else:
            assert (name, keep) == ("a.tif", -1)  # its last bytes repeat what stands before
            assert tiles_in(tmp_path / target) == tiles_in(whole / name)
            shutil.rmtree(tmp_path / target) if target == "xyz" else (tmp_path / target).unlink()
    said = complaint(lambda: require_ok(tmp_path / name))
    assert name in said or (name, keep) == ("a.tif", -1)
    with pytest.raises(TileSetError, match=f"{name}: not a folder of tiles"):
        translate_tiles(tmp_path / name, tmp_path / "out")
    assert names(tmp_path) == [name]


def mounted(place: Path, *options: str) -> Iterator[Path]:
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(place)]
    if os.name == "nt" or os.geteuid() or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("needs to mount a small file system, which only root may")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    yield from mounted(tmp_path / "small", "size=300k")


@pytest.fixture
def closed_disk(tmp_path: Path) -> Iterator[Path]:
    yield from mounted(tmp_path / "closed", "ro")


@pytest.mark.parametrize("target", TARGETS)
def test_a_full_disk(target: str, tmp_path: Path, small_disk: Path) -> None:
    noise, rng = MemoryStore(), np.random.default_rng(1)
    for tile in make_store(TileCodec("png")).data:
        pixels = rng.integers(0, 256, (256, 256, 3), dtype=np.uint8)
        noise.put(tile, encode_tile(pixels, np.ones((256, 256), dtype=np.bool_), "png"))
    write_set(noise, tmp_path / "set")
    with pytest.raises(OutputError, match=r"full"):
        convert(tmp_path / "set", small_disk / target, **TARGETS[target])
    assert names(small_disk) == []


@pytest.mark.parametrize("target", TARGETS)
def test_a_folder_that_may_not_be_written(target: str, whole: Path, closed_disk: Path) -> None:
    with pytest.raises(OutputError, match=r"Read-only|is not writable"):
        convert(whole / "set", closed_disk / target, **TARGETS[target])
