"""`geo2map pairs` as a user types it: what is printed, and one plain sentence where it cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rasterio
from rasterio.shutil import copy as copy_raster
from snapshots import snapshot

from geo2map.demo import make_town

Command = Callable[..., Any]
SceneWriter = Callable[..., Path]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A small town and its map."""
    folder = tmp_path_factory.mktemp("town")
    make_town(folder / "town.tif", folder / "truth.tif", size=1000, seed=1)
    return folder / "town.tif", folder / "truth.tif"


def moved(path: Path, copy: Path, east: float, north: float) -> Path:
    """A copy of a raster that lies so many metres farther east and north."""
    copy_raster(path, copy, driver="GTiff")
    with rasterio.open(copy, "r+") as dataset:
        dataset.transform = dataset.transform.translation(east, north) @ dataset.transform
    return copy


def test_pairs_of_a_town(geo2map: Command, pair: tuple[Path, Path], tmp_path: Path) -> None:
    command = ("pairs", pair[0], "--map", pair[1], "--zoom", 17, "--size", 128, "--palette", "maps", "--split", "8,1,1")
    result = geo2map(*command, "--out", tmp_path / "pairs")
    assert (result.code, result.err) == (0, "")
    first, second, *_, test = result.out.splitlines()
    assert first.startswith("town and truth: ")
    assert first.endswith("pairs of 128 x 128 px at zoom 17, 0.905 m per pixel")
    assert second.startswith("pictures (and blocks of 1 x 1): train ")
    assert "nodata" in result.out
    assert test.startswith("test: land ")
    as_json = geo2map(*command, "--out", tmp_path / "again", "--json")
    document = json.loads(as_json.out)
    assert document == json.loads((tmp_path / "pairs" / "pairs.json").read_text(encoding="utf-8"))
    for name, count in document["split"]["pictures"].items():
        assert len(list((tmp_path / "pairs" / name).iterdir())) == count


def test_a_map_that_lies_off(geo2map: Command, pair: tuple[Path, Path], tmp_path: Path) -> None:
    """5.4 m east and 3.6 m south is 6 and 4 px of 0.9 m; the town's map itself lies within a tenth of a pixel."""
    off = moved(pair[1], tmp_path / "off.tif", 5.43, -3.62)
    command = ("pairs", pair[0], "--map", off, "--zoom", 17, "--size", 256)
    result = geo2map(*command, "--out", tmp_path / "pairs")
    assert result.code == 0
    assert result.err.startswith("warning: registration: the map is off by 7.")
    assert "west and 3." in result.err
    shift = json.loads((tmp_path / "pairs" / "pairs.json").read_text(encoding="utf-8"))["registration"]["shift"]
    assert (shift["x"], shift["y"]) == pytest.approx((6, 4), abs=0.3)
    dropped = geo2map(*command, "--out", tmp_path / "dropped", "--registration", "drop")
    assert_one_sentence(dropped, "registration)", "max_shift")


def assert_one_sentence(result: Any, *phrases: str, code: int = 1) -> None:
    assert (result.code, result.out) == (code, "")
    assert result.err.startswith("geo2map: ")
    assert result.err.count("\n") == 1, result.err
    for phrase in phrases:
        assert phrase in result.err


def no_crs(write: SceneWriter, _: Path) -> Path:
    return write("bad.tif", crs=None)


def elsewhere(write: SceneWriter, _: Path) -> Path:
    return write("bad.tif")


def missing(_: SceneWriter, folder: Path) -> Path:
    return folder / "bad.tif"


def empty_folder(_: SceneWriter, folder: Path) -> Path:
    (folder / "nothing").mkdir()
    return folder / "nothing"


def cut_in_half(write: SceneWriter, _: Path) -> Path:
    path = write("bad.tif")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(
    ("make", "phrase"),
    [
        (no_crs, "no coordinate reference system"),
        (elsewhere, "do not overlap"),
        (missing, "scene not found"),
        (empty_folder, "no raster in folder"),
        (cut_in_half, "truncated"),
    ],
)
def test_a_map_that_cannot_be(
    make: Callable[..., Path],
    phrase: str,
    geo2map: Command,
    write_scene: SceneWriter,
    pair: tuple[Path, Path],
    tmp_path: Path,
) -> None:
    bad = make(write_scene, tmp_path)
    before = snapshot(tmp_path)
    result = geo2map("pairs", pair[0], "--map", bad, "--zoom", 17, "--out", tmp_path / "new" / "pairs")
    assert_one_sentence(result, phrase)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("options", "phrases"),
    [
        (("--size", 1024), ("pictures that scene and map touch", "nodata", "lower size")),
        (("--size", 256, "--split-block", 8), ("train, val, test: they are in", "lower block or size")),
        (("--palette", "none.tsv"), ("palette not found: none.tsv",)),
        (("--stretch", "loud"), ("stretch 'loud'",)),
        (("--split", "0,1,1"), ("shares",)),
    ],
)
def test_options_that_cannot_be(
    options: tuple[object, ...], phrases: tuple[str, ...], geo2map: Command, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    result = geo2map("pairs", pair[0], "--map", pair[1], "--zoom", 17, "--out", tmp_path / "pairs", *options)
    assert_one_sentence(result, *phrases, code=2 if options[0] in ("--stretch", "--split") else 1)
    assert not snapshot(tmp_path)


@pytest.mark.parametrize("options", [("--split", "80,20"), ("--size", "8"), ("--format", "webp"), ("--min-valid", "0")])
def test_usage_errors(options: tuple[str, ...], geo2map: Command, pair: tuple[Path, Path], tmp_path: Path) -> None:
    result = geo2map("pairs", pair[0], "--map", pair[1], "--zoom", 17, "--out", tmp_path / "pairs", *options)
    assert result.code == 2
    assert options[0] in result.err.splitlines()[-1]
    assert not snapshot(tmp_path)


def test_a_file_in_the_way(geo2map: Command, pair: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "pairs").write_text("dear reader")
    command = ("pairs", pair[0], "--map", pair[1], "--zoom", 17, "--size", 256, "--overwrite")
    assert_one_sentence(geo2map(*command, "--out", tmp_path / "pairs"), "is a file, not a folder")
    assert_one_sentence(geo2map(*command, "--out", pair[0].parent), "contains the scene")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear reader")
    assert_one_sentence(geo2map(*command, "--out", tmp_path / "mine"), "not belong to a set of pairs")
