"""A check finds every planted defect and nothing else, and a repair mends it to the byte."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from snapshots import read_files

from geo2map import Engine, check, make_town, render, repair, tile
from geo2map.checking import CheckReport
from geo2map.errors import OutputError, TileSetError
from geo2map.tiles.codec import decode_tile, encode_tile
from geo2map.tiles.tilejson import FILE_NAME


@pytest.fixture(scope="module")
def finished(quick_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a scene and a set of tiles made of it; not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    make_town(folder / "a.tif", size=900, seed=3)
    render(folder / "a.tif", folder / "tiles", engine=quick_engine, block_span=2)
    return folder


@pytest.fixture
def tiles(finished: Path, tmp_path: Path) -> Path:
    """A copy to spoil; its scene is where it was."""
    shutil.copytree(finished / "tiles", tmp_path / "tiles")
    return tmp_path / "tiles"


def some(folder: Path, zoom: int = 17, number: int = 5) -> Path:
    """A tile that is valid all over."""
    found = sorted((folder / str(zoom)).rglob("*.png"))
    whole = [path for path in found if decode_tile(path.read_bytes())[1].all()]
    return (whole or found)[number % len(whole or found)]


def change(path: Path, edit: Callable[[np.ndarray], np.ndarray]) -> None:
    """Edits the pixels of a tile."""
    pixels, mask = decode_tile(path.read_bytes())
    path.write_bytes(encode_tile(np.ascontiguousarray(edit(pixels)), mask, "png"))


def topmost(folder: Path) -> Path:
    """The tile of the lowest zoom."""
    lowest = min(int(path.name) for path in folder.iterdir() if path.name.isdigit())
    return next((folder / str(lowest)).rglob("*.png"))


def edit_json(folder: Path, **fields: Any) -> None:
    path = folder / FILE_NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def one_level(pixels: np.ndarray) -> np.ndarray:
    pixels[9] ^= 1
    return pixels


def shift_block(folder: Path) -> None:
    """A whole block moved by seven pixels, as a wrong offset would."""
    path = some(folder)
    column, row = int(path.parent.name) // 2 * 2, int(path.stem) // 2 * 2
    for x in (column, column + 1):
        for y in (row, row + 1):
            if (other := folder / "17" / str(x) / f"{y}.png").exists():
                change(other, lambda pixels: np.roll(pixels, 7, axis=1))


def swap(folder: Path) -> None:
    one, two = some(folder, number=1), some(folder, number=3)
    a, b = one.read_bytes(), two.read_bytes()
    one.write_bytes(b)
    two.write_bytes(a)


def copy_stray(folder: Path) -> None:
    path = some(folder)
    shutil.copy(path, path.with_name("7.png"))


def stray_zoom(folder: Path) -> None:
    (folder / "18" / "5").mkdir(parents=True)
    shutil.copy(some(folder), folder / "18" / "5" / "6.png")


def as_jpeg(folder: Path) -> None:
    path = some(folder)
    path.write_bytes(encode_tile(*decode_tile(path.read_bytes()), "jpeg"))


def flip_bit(folder: Path) -> None:
    path = some(folder)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def append(folder: Path) -> None:
    path = some(folder)
    path.write_bytes(path.read_bytes() + b"junk")


def open_hole(folder: Path) -> None:
    path = some(folder)
    pixels, mask = decode_tile(path.read_bytes())
    mask[50:60, 50:60] = False
    path.write_bytes(encode_tile(pixels, mask, "png"))


DEFECTS: dict[str, tuple[Callable[[Path], Any], set[str]]] = {
    "a missing tile": (lambda folder: some(folder).unlink(), {"missing"}),
    "a missing overview": (lambda folder: some(folder, 16).unlink(), {"missing"}),
    "a missing topmost tile": (lambda folder: topmost(folder).unlink(), {"missing"}),
    "a missing column": (lambda folder: shutil.rmtree(some(folder).parent), {"missing"}),
    "a missing zoom": (lambda folder: shutil.rmtree(folder / "15"), {"missing"}),
    "a flipped row": (lambda folder: change(some(folder), lambda p: p[::-1]), {"changed"}),
    "one level in one pixel": (
        lambda folder: change(some(folder), lambda p: p ^ (np.arange(256) == 9)[:, None, None]),
        {"changed"},
    ),
    "a truncated PNG": (lambda folder: some(folder).write_bytes(some(folder).read_bytes()[:200]), {"broken"}),
    "an empty file": (lambda folder: some(folder).write_bytes(b""), {"broken"}),
    "a text in a tile's place": (lambda folder: some(folder).write_text("no tile"), {"broken"}),
    "a flipped bit": (flip_bit, {"broken", "changed"}),
    "junk at the end": (append, {"changed"}),
    "a tile of another format": (as_jpeg, {"changed"}),
    "a hole": (open_hole, {"changed"}),
    "two tiles swapped": (swap, {"changed"}),
    "a stale parent": (lambda folder: change(some(folder, 16), lambda p: p // 2), {"changed"}),
    "a stale topmost tile": (lambda folder: change(topmost(folder), lambda p: 255 - p), {"changed"}),
    "a shifted block": (shift_block, {"changed"}),
    "a stray tile": (copy_stray, {"stray"}),
    "a stray zoom": (stray_zoom, {"stray"}),
    "an edited name": (lambda folder: edit_json(folder, name="other"), {"metadata"}),
    "edited bounds": (lambda folder: edit_json(folder, bounds=[0, 0, 1, 1]), {"metadata"}),
    "a missing document": (lambda folder: (folder / FILE_NAME).unlink(), {"metadata"}),
    "a document cut short": (lambda folder: (folder / FILE_NAME).write_text('{"tilejson": '), {"metadata"}),
}


def kinds(report: CheckReport) -> set[str]:
    return {problem.kind for problem in report.problems}


def test_nothing_is_wrong_with_a_clean_set(tiles: Path) -> None:
    report = check(tiles)
    assert (report.ok, report.problems) == (True, [])
    assert report.tiles == len(list(tiles.rglob("*.png")))
    assert report.seam_ratio is not None
    assert "no problems" in str(report)


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_is_found_and_repaired(defect: str, tiles: Path, finished: Path, quick_engine: Engine) -> None:
    clean = read_files(tiles, hidden=False)
    plant, expected = DEFECTS[defect]
    plant(tiles)
    assert read_files(tiles, hidden=False) != clean
    report = check(tiles)
    assert not report.ok
    assert kinds(report) & expected, report.problems
    assert kinds(report) <= expected | {"stale"}, report.problems  # an overview may not follow any more
    assert json.loads(json.dumps(report.to_dict()))["problems"]
    repaired = repair(tiles, engine=quick_engine)
    assert repaired.ok, repaired.problems
    assert read_files(tiles, hidden=False) == read_files(finished / "tiles", hidden=False) == clean


def test_a_file_of_somebody_else_is_named_and_kept(tiles: Path, quick_engine: Engine) -> None:
    (tiles / "17" / "notes.txt").write_text("mine")
    assert kinds(check(tiles)) == {"unexpected"}
    assert kinds(repair(tiles, engine=quick_engine)) == {"unexpected"}
    assert (tiles / "17" / "notes.txt").read_text() == "mine"


def test_a_repair_needs_the_scene_that_it_was(
    tiles: Path, quick_engine: Engine, write_sheet: Any, finished: Path
) -> None:
    some(tiles).unlink()
    moved = (finished / "a.tif").rename(finished / "b.tif")
    try:
        with pytest.raises(Exception, match=r"a\.tif"):
            repair(tiles, engine=quick_engine)
        write_sheet("x.tif").rename(finished / "a.tif")
        with pytest.raises(OutputError, match="cannot be repaired"):
            repair(tiles, engine=quick_engine)
    finally:
        moved.rename(finished / "a.tif")
    assert "missing" in kinds(check(tiles))


def test_a_damaged_journal_is_said(tiles: Path) -> None:
    (tiles / ".geo2map.journal").write_bytes(b"nonsense")
    assert kinds(check(tiles)) == {"metadata"}


# Sets that geo2map did not make


@pytest.fixture
def foreign(tiles: Path) -> Path:
    """The same tiles without journal and document."""
    (tiles / ".geo2map.journal").unlink()
    (tiles / FILE_NAME).unlink()
    return tiles


def test_a_foreign_set_is_held_against_itself(foreign: Path) -> None:
    assert check(foreign).ok
    parent = some(foreign, 16)
    change(parent, lambda pixels: 255 - pixels)
    assert "stale" in kinds(check(foreign))
    parent.unlink()
    assert "missing" in kinds(check(foreign))
    with pytest.raises(OutputError, match="has no record"):
        repair(foreign)


def test_seams_show(foreign: Path) -> None:
    """A set whose every second column is brighter has seams where the columns meet."""
    before = check(foreign).seam_ratio
    for path in foreign.glob("17/*/*.png"):
        if int(path.parent.name) % 2:
            change(path, lambda pixels: pixels // 4)
    report = check(foreign)
    assert report.seam_ratio is not None
    assert before is not None
    assert report.seam_ratio > 1.2 * before
    assert report.seams[0].side == "east"
    assert '"seam"' in report.geojson()


# GeoTIFFs


def test_a_geotiff(quick_engine: Engine, finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "map.tif"
    render(finished / "a.tif", out, engine=quick_engine)
    assert check(out).ok
    with rasterio.open(out, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as dataset:
        block = dataset.read(window=((256, 300), (256, 300)))
        dataset.write(255 - block, window=((256, 300), (256, 300)))
    assert kinds(check(out)) >= {"changed"}


def test_a_geotiff_with_other_overviews(quick_engine: Engine, finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "map.tif"
    render(finished / "a.tif", out, engine=quick_engine)
    with rasterio.open(out, "r+", OVERVIEW_LEVEL=0, IGNORE_COG_LAYOUT_BREAK="YES") as dataset:
        dataset.write(dataset.read() // 2)
    assert kinds(check(out)) == {"changed"}


def test_a_geotiff_cut_short(quick_engine: Engine, finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "map.tif"
    render(finished / "a.tif", out, engine=quick_engine)
    data = out.read_bytes()
    (tmp_path / "short.tif").write_bytes(data[: len(data) // 2])  # its overviews come first, and are whole
    assert "broken" in kinds(check(tmp_path / "short.tif"))
    (tmp_path / "short.tif").write_bytes(data[:300])
    with pytest.raises(TileSetError, match=r"short\.tif: cannot be read"):
        check(tmp_path / "short.tif")


def test_a_geotiff_with_a_damaged_block(quick_engine: Engine, finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "map.tif"
    render(finished / "a.tif", out, engine=quick_engine)
    data = out.read_bytes()
    at = len(data) // 4
    out.write_bytes(data[:at] + b"\xff" * 5000 + data[at + 5000 :])
    assert kinds(check(out)) & {"broken", "changed", "stale"}


@pytest.mark.parametrize("name", ["nowhere", "a.txt", "empty"])
def test_what_cannot_be_checked(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("")
    (tmp_path / "empty").mkdir()
    with pytest.raises(TileSetError):
        check(tmp_path / name)


def test_cut_tiles_are_repaired_without_a_model(quick_engine: Engine, finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "cut"
    tile(finished / "a.tif", out, card=quick_engine.card)
    clean = read_files(out, hidden=False)
    some(out).unlink()
    assert repair(out).ok
    assert read_files(out, hidden=False) == clean
