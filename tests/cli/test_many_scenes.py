"""Several scenes on one command line: files, folders, patterns, a VRT; as one map unless --each."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasters import write_raster
from snapshots import read_tiles

from geo2map import grid
from geo2map.grid import PixelWindow
from geo2map.tiles.folder import XyzFolder

ZOOM = 17
CORNER = PixelWindow(256 * 38_616, 256 * 49_271, 256 * 38_617, 256 * 49_272)
SIDE = 512
CUT = 128
Command = Callable[..., Any]


@pytest.fixture
def whole() -> np.ndarray:
    return np.random.default_rng(3).integers(1, 255, (3, SIDE, SIDE), dtype=np.uint8)


@pytest.fixture
def sheets(tmp_path: Path, whole: np.ndarray) -> Path:
    """A folder of 16 sheets on the grid of zoom 17, which together are a scene, and the scene beside it."""
    folder = tmp_path / "sheets"
    folder.mkdir()

    def write(path: Path, row: int, column: int, side: int) -> None:
        place = grid.window_transform(CORNER, ZOOM) @ Affine.translation(column, row)
        pixels = whole[:, row : row + side, column : column + side]
        write_raster(path, pixels, crs="EPSG:3857", transform=place)

    for number in range(16):
        row, column = (CUT * n for n in divmod(number, 4))
        write(folder / f"sheet{number}.tif", row, column, CUT)
    write(tmp_path / "whole.tif", 0, 0, SIDE)
    return folder


def write_vrt(path: Path, folder: Path) -> Path:
    """What gdalbuildvrt would make of the sheets."""
    place = grid.window_transform(CORNER, ZOOM)
    root = ET.Element("VRTDataset", rasterXSize=str(SIDE), rasterYSize=str(SIDE))
    ET.SubElement(root, "SRS").text = "EPSG:3857"
    ET.SubElement(root, "GeoTransform").text = ",".join(map(repr, place.to_gdal()))
    for band in range(1, 4):
        parent = ET.SubElement(root, "VRTRasterBand", dataType="Byte", band=str(band))
        ET.SubElement(parent, "ColorInterp").text = ("Red", "Green", "Blue")[band - 1]
        for number in range(16):
            row, column = (str(CUT * n) for n in divmod(number, 4))
            source = ET.SubElement(parent, "SimpleSource")
            ET.SubElement(source, "SourceFilename", relativeToVRT="0").text = str(folder / f"sheet{number}.tif")
            ET.SubElement(source, "SourceBand").text = str(band)
            ET.SubElement(source, "SrcRect", xOff="0", yOff="0", xSize=str(CUT), ySize=str(CUT))
            ET.SubElement(source, "DstRect", xOff=column, yOff=row, xSize=str(CUT), ySize=str(CUT))
    ET.ElementTree(root).write(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("how", ["folder", "pattern", "files", "vrt", "folder and scene"])
def test_sheets_make_the_map_of_the_whole(
    how: str, geo2map: Command, sheets: Path, tiny_model: Path, tmp_path: Path
) -> None:
    files = sorted(sheets.glob("*.tif"))
    asked = {
        "folder": [sheets],
        "pattern": [f"{sheets}/s*.tif"],
        "files": files,
        "vrt": [write_vrt(tmp_path / "all.vrt", sheets)],
        "folder and scene": [sheets, tmp_path / "whole.tif"],
    }[how]
    options = ("--model", tiny_model, "--match", "none")
    expected = geo2map("render", tmp_path / "whole.tif", "--out", tmp_path / "expected", *options)
    result = geo2map("render", *asked, "--out", tmp_path / "map", *options)
    assert (expected.code, result.code) == (0, 0), result.err
    assert read_tiles(tmp_path / "map") == read_tiles(tmp_path / "expected")
    assert len(read_tiles(tmp_path / "map")) > 4


def test_what_is_said_of_many(geo2map: Command, sheets: Path, tiny_model: Path, tmp_path: Path) -> None:
    result = geo2map("render", sheets, "--out", tmp_path / "map", "--model", tiny_model, "--json")
    report = json.loads(result.out)
    assert report["name"] == "sheets"
    assert "16 scenes as one, the first given on top" in report["notes"]
    assert json.loads((tmp_path / "map" / "tilejson.json").read_text())["name"] == "sheets"


def test_how_they_lie_is_part_of_the_plan(geo2map: Command, sheets: Path, tiny_model: Path, tmp_path: Path) -> None:
    plans = set()
    for options in ((), ("--order", "last"), ("--feather", 5), ("--order", "newest"), ("--order", "finest")):
        out = tmp_path / f"{len(plans)}.json"
        assert geo2map("plan", sheets, "--out", out, "--no-measure", "--model", tiny_model, *options).code == 0
        plans.add(json.loads(out.read_text())["job"]["plan"]["content"])
    assert len(plans) == 5


def test_feathered_sheets_meet_without_a_step(
    geo2map: Command, write_scene: Callable[..., Path], tiny_model: Path, tmp_path: Path
) -> None:
    dark = write_scene("dark.tif", np.full((3, 280, 300), 80, np.uint8))
    matrix = Affine(0.9, 0, 590_150, 0, -0.9, 4_510_000)
    light = write_scene("light.tif", np.full((3, 280, 300), 160, np.uint8), transform=matrix)
    command = ("tile", dark, light, "--model", tiny_model, "--match", "none", "--feather", 64)
    assert geo2map(*command, "--out", tmp_path / "tiles").code == 0
    folder = XyzFolder(tmp_path / "tiles")
    top = json.loads((tmp_path / "tiles" / "tilejson.json").read_text())["geo2map"]["window"][1]
    row = top + 140  # far from the corners, where both fade out at once
    read = [folder.read(tile) for tile in sorted(folder.tiles(ZOOM)) if tile.y == row // 256]
    levels = np.concatenate([pixels[row % 256, mask[row % 256], 0] for pixels, mask in filter(None, read)]).astype(int)
    assert (levels[20], levels[-20]) == (80, 160)
    assert np.abs(np.diff(levels)).max() <= 3


def test_a_dry_run_of_many_is_one_plan(geo2map: Command, sheets: Path, tiny_model: Path, tmp_path: Path) -> None:
    result = geo2map("render", sheets, "--out", tmp_path / "map", "--model", tiny_model, "--dry-run", "--json")
    found = json.loads(result.out)
    assert found["plan"]["name"] == "sheets"
    assert found["estimate"]["tiles"][str(ZOOM)] == 4
    each = geo2map("render", sheets, "--each", "--out", tmp_path / "map", "--model", tiny_model, "--dry-run", "--json")
    assert len(json.loads(each.out)) == 16
    assert not (tmp_path / "map").exists()


def test_a_preview_of_many(geo2map: Command, sheets: Path, tiny_model: Path, tmp_path: Path) -> None:
    result = geo2map("preview", f"{sheets}/*.tif", "--out", tmp_path / "look.png", "--span", 1, "--model", tiny_model)
    assert result.code == 0, result.err
    assert (tmp_path / "look.png").exists()


def test_each_of_a_folder(geo2map: Command, sheets: Path, tiny_model: Path, tmp_path: Path) -> None:
    for number in range(2, 16):
        (sheets / f"sheet{number}.tif").unlink()
    result = geo2map("render", sheets, "--each", "--out", tmp_path / "maps", "--model", tiny_model)
    assert result.code == 0, result.err
    assert {path.name for path in (tmp_path / "maps").iterdir()} == {"sheet0", "sheet1", "report.csv"}


def cut_short(folder: Path) -> None:
    path = folder / "sheet7.tif"
    path.write_bytes(path.read_bytes()[:10_000])


def not_a_raster(folder: Path) -> None:
    (folder / "sheet7.tif").write_text("a letter")


def without_crs(folder: Path) -> None:
    with rasterio.open(folder / "sheet7.tif", "r+") as dataset:
        dataset.crs = rasterio.crs.CRS()


@pytest.mark.parametrize("harm", [cut_short, not_a_raster, without_crs])
def test_a_broken_sheet_stops_all_by_name(
    harm: Callable[[Path], None], geo2map: Command, sheets: Path, tiny_model: Path, tmp_path: Path
) -> None:
    harm(sheets)
    before = set(tmp_path.rglob("*"))
    result = geo2map("render", sheets, "--out", tmp_path / "map", "--model", tiny_model)
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("geo2map: ")
    assert result.err.count("\n") == 1
    assert "sheet7.tif" in result.err
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("asked", "says"),
    [("nothing", "no raster in folder"), ("nothing/*.tif", "no file matches"), ("nothing.tif", "scene not found")],
)
@pytest.mark.parametrize("more", [(), ("--each",), ("--dry-run",)])
def test_nothing_found(
    asked: str, says: str, more: tuple[str, ...], geo2map: Command, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "nothing").mkdir()
    result = geo2map("render", tmp_path / asked, "--out", tmp_path / "map", "--model", tiny_model, *more)
    assert result.code == 1
    assert says in result.err + result.out
    assert {path.name for path in tmp_path.glob("map/*")} <= {"report.csv"}  # of a batch: which scenes failed


def test_an_output_in_a_sheets_place_is_refused(geo2map: Command, sheets: Path, tiny_model: Path) -> None:
    command = ("render", sheets, "--out", sheets / "sheet3.tif", "--overwrite", "--model", tiny_model)
    before = (sheets / "sheet3.tif").read_bytes()
    result = geo2map(*command)
    assert (result.code, result.err.count("the scene itself")) == (1, 1)
    assert (sheets / "sheet3.tif").read_bytes() == before
