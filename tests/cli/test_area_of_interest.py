"""--aoi, --bounds and --clip: only what was asked for is written, and the rest of the scene is still context."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mercantile
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from rasterio.warp import transform, transform_bounds
from shapely.geometry import mapping

from geo2map import render
from geo2map.plan import Plan
from geo2map.tiles.folder import XyzFolder
from geo2map.types import Tile

Command = Callable[..., Any]
SceneWriter = Callable[..., Path]

UTM = "EPSG:32618"
WEST, NORTH = 590_000, 4_510_000  # of the scenes


def degrees(*corners: tuple[float, float]) -> shapely.Polygon:
    """A polygon of metres east and south of a scene's north-west corner, in longitude and latitude."""
    east, south = np.array(corners).T
    return shapely.Polygon(np.column_stack(transform(UTM, "EPSG:4326", WEST + east, NORTH - south)))


TRIANGLE = degrees((150, 100), (500, 180), (260, 420))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise of 800 x 700 px, 720 x 630 m: 4 x 4 tiles of zoom 17."""
    path = tmp_path_factory.mktemp("scene") / "scene.tif"
    profile = {"driver": "GTiff", "width": 800, "height": 700, "count": 3, "dtype": "uint8", "crs": UTM}
    with rasterio.open(path, "w", **profile, transform=Affine(0.9, 0, WEST, 0, -0.9, NORTH)) as dataset:
        dataset.write(np.random.default_rng(1).integers(1, 255, (3, 700, 800), dtype=np.uint8))
    return path


@pytest.fixture
def triangle(tmp_path: Path) -> Path:
    path = tmp_path / "triangle.geojson"
    path.write_text(json.dumps(mapping(TRIANGLE)))
    return path


@pytest.fixture(scope="module")
def whole(scene: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> XyzFolder:
    out = tmp_path_factory.mktemp("whole") / "tiles"
    render(scene, out, engine=tiny_model)
    return XyzFolder(out)


def touched(polygon: shapely.Polygon, zoom: int = 17) -> set[Tile]:
    """The referee: mercantile's tiles, whose bounds share an area with a polygon in degrees."""
    near = mercantile.tiles(*polygon.bounds, zooms=zoom)
    return {Tile(*tile) for tile in near if shapely.box(*mercantile.bounds(tile)).intersection(polygon).area > 0}


def bounds(folder: XyzFolder) -> shapely.Polygon:
    """What tilejson.json says."""
    return shapely.box(*json.loads((folder.path / "tilejson.json").read_text())["bounds"])


def tile_bounds(folder: XyzFolder) -> shapely.Geometry:
    return shapely.union_all([shapely.box(*mercantile.bounds(tile)) for tile in folder.tiles(17)]).envelope


def assert_same_pixels(folder: XyzFolder, whole: XyzFolder, zoom: int = 17) -> None:
    """Wherever both have data; another shape of block may change the last bit of a convolution."""
    for tile in folder.tiles(zoom):
        (pixels, mask), (expected, valid) = folder.read(tile), whole.read(tile)
        assert (valid | ~mask).all()
        assert np.abs(pixels[mask].astype(int) - expected[mask]).max() <= 1


@pytest.mark.slow
def test_an_aoi_is_cut_to_whole_tiles(
    geo2map: Command, scene: Path, triangle: Path, tiny_model: Path, whole: XyzFolder, tmp_path: Path
) -> None:
    command = ("render", scene, "--out", tmp_path / "part", "--aoi", triangle, "--model", tiny_model, "--json")
    report = json.loads(geo2map(*command).out)
    part = XyzFolder(tmp_path / "part")
    assert set(part.tiles(17)) == touched(TRIANGLE) < set(whole.tiles(17))
    assert report["tiles"] == len(touched(TRIANGLE))
    for tile in part.tiles(17):
        np.testing.assert_array_equal(part.read(tile)[1], whole.read(tile)[1])
    assert_same_pixels(part, whole)
    assert tile_bounds(part).intersection(bounds(whole)).bounds == pytest.approx(bounds(part).bounds, abs=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("out", ["part", "part.tif"])
def test_clip_leaves_the_rest_transparent(
    out: str, geo2map: Command, scene: Path, triangle: Path, tiny_model: Path, whole: XyzFolder, tmp_path: Path
) -> None:
    assert (
        geo2map("render", scene, "--out", tmp_path / out, "--aoi", triangle, "--clip", "--model", tiny_model).code == 0
    )
    if out == "part":
        assert_same_pixels(XyzFolder(tmp_path / out), whole)
        assert geo2map("mosaic", tmp_path / out, "--out", tmp_path / "part.tif").code == 0
    with rasterio.open(tmp_path / "part.tif") as raster:
        alpha = raster.read(4)
        columns, rows = np.meshgrid(np.arange(raster.width) + 0.5, np.arange(raster.height) + 0.5)
        x, y = raster.transform @ np.array([columns.ravel(), rows.ravel()])
    lng, lat = transform("EPSG:3857", "EPSG:4326", x, y)
    inside = shapely.contains_xy(TRIANGLE, np.array(lng), np.array(lat)).reshape(alpha.shape)
    assert set(np.unique(alpha)) == {0, 255}
    assert ((alpha == 255) != inside).sum() <= 3


@pytest.mark.slow
def test_bounds_are_degrees(geo2map: Command, scene: Path, tiny_model: Path, whole: XyzFolder, tmp_path: Path) -> None:
    """The four bounds of a tile, as mercantile prints them, are that tile."""
    tile = sorted(whole.tiles(17))[5]
    degrees = ",".join(map(str, mercantile.bounds(*tile)))
    assert degrees.startswith("-")
    for clip in ((), ("--clip",)):
        command = ("render", scene, "--out", tmp_path / "part", "--bounds", degrees, *clip, "--overwrite")
        assert geo2map(*command, "--model", tiny_model).code == 0
        assert set(XyzFolder(tmp_path / "part").tiles(17)) == {tile}
        assert_same_pixels(XyzFolder(tmp_path / "part"), whole)


def test_a_dry_run_knows_the_area(
    geo2map: Command, scene: Path, triangle: Path, tiny_model: Path, tmp_path: Path
) -> None:
    command = ("render", scene, "--out", tmp_path / "part", "--aoi", triangle, "--clip", "--block-span", 1)
    command = (*command, "--model", tiny_model, "--json")
    promised = json.loads(geo2map(*command, "--dry-run").out)
    done = json.loads(geo2map(*command).out)
    plan = Plan.from_json(json.dumps(promised["plan"]))
    assert plan.clip
    assert plan.aoi is not None
    assert promised["estimate"]["blocks"] == done["translated"] == len(touched(TRIANGLE))
    assert promised["estimate"]["tiles"]["17"] == done["tiles"]


@pytest.mark.slow
def test_cut_translate_and_look(
    geo2map: Command, scene: Path, triangle: Path, tiny_model: Path, whole: XyzFolder, tmp_path: Path
) -> None:
    area = ("--aoi", triangle, "--model", tiny_model)
    assert geo2map("tile", scene, "--out", tmp_path / "tiles", *area).code == 0
    assert set(XyzFolder(tmp_path / "tiles").tiles(17)) == touched(TRIANGLE)

    assert geo2map("tile", scene, "--out", tmp_path / "all", "--model", tiny_model).code == 0
    assert geo2map("translate", tmp_path / "all", "--out", tmp_path / "part", *area).code == 0
    assert set(XyzFolder(tmp_path / "part").tiles(17)) == touched(TRIANGLE)
    assert_same_pixels(XyzFolder(tmp_path / "part"), whole)

    assert geo2map("preview", scene, "--out", tmp_path / "look.png", "--span", 1, "--clip", *area).code == 0
    assert (tmp_path / "look.png").exists()


def test_each_scene_gets_its_share(
    geo2map: Command, write_scene: SceneWriter, tiny_model: Path, triangle: Path, tmp_path: Path
) -> None:
    near, far = write_scene("near.tif"), write_scene("far.tif", transform=Affine(0.9, 0, WEST + 9000, 0, -0.9, NORTH))
    command = ("render", near, far, "--each", "--out", tmp_path / "maps", "--aoi", triangle, "--model", tiny_model)
    result = geo2map(*command, "--json")
    reports = [json.loads(line) for line in result.out.splitlines()]
    assert result.code == 1
    assert [report["error"] is None for report in reports] == [True, False]
    assert "km west of far" in reports[1]["error"]
    assert [path.name for path in (tmp_path / "maps").iterdir() if path.is_dir()] == ["near"]


# What goes wrong


def test_an_area_elsewhere(geo2map: Command, scene: Path, tiny_model: Path, tmp_path: Path) -> None:
    with rasterio.open(scene) as raster:
        west, south, east, north = transform_bounds(raster.crs, "EPSG:4326", *raster.bounds)
    before = sorted(tmp_path.rglob("*"))
    beyond = f"{east + 0.1},{south},{east + 0.2},{north}"
    result = geo2map("render", scene, "--out", tmp_path / "part", "--bounds", beyond, "--model", tiny_model)
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("geo2map: the area of interest lies 8.4 km east of scene, which covers ")
    assert result.err.count("\n") == 1
    found = [float(value) for value in result.err.split("covers ")[1].split(" (west")[0].split(",")]
    assert found == pytest.approx((west, south, east, north), abs=2e-5)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_area_without_data(geo2map: Command, write_scene: SceneWriter, tiny_model: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(1, 255, (3, 700, 800), dtype=np.uint8)
    pixels[:, :, :600] = 0
    scene = write_scene("empty-west.tif", pixels, nodata=0)
    (tmp_path / "west.geojson").write_text(json.dumps(mapping(degrees((20, 20), (120, 20), (20, 120)))))
    command = ("render", scene, "--aoi", tmp_path / "west.geojson", "--model", tiny_model, "--block-span", 1)
    result = geo2map(*command, "--out", tmp_path / "part")
    assert result.code == 1
    assert "would be empty; no valid pixel there; check the scene and the area" in result.err.splitlines()[-1]
    assert not (tmp_path / "part").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--bounds", "1,2,3"), 2, "'1,2,3' is not west,south,east,north"),
        (("--bounds", "a,b,c,d"), 2, "four numbers in degrees"),
        (("--bounds", "1,2,3,4,5"), 2, "four numbers in degrees"),
        (("--clip",), 2, "--clip given, but nothing to clip to"),
        (("--bounds", "0,0,1,1", "--aoi", "x.geojson"), 2, "--aoi and --bounds given"),
        (("--bounds", "-74,41,-73,40"), 1, "enclose nothing"),
        (("--bounds", "500000,4500000,501000,4501000"), 1, "exceed 180 and 90"),
        (("--aoi", "missing.gpkg"), 1, "area of interest not found: missing.gpkg"),
        (("--aoi", __file__), 1, "not recognized as being in a supported file format"),
    ],
)
def test_what_no_area_is(
    arguments: tuple[str, ...], code: int, said: str, geo2map: Command, scene: Path, tmp_path: Path
) -> None:
    result = geo2map("render", scene, "--out", tmp_path / "part", *arguments)
    assert (result.code, result.out) == (code, "")
    assert said in " ".join(result.err.split())
    assert not (tmp_path / "part").exists()
