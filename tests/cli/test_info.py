"""`geo2map info`: what it says is so, by other readers; and what render would do is what render does."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mercantile
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from rasterio.warp import transform, transform_geom

from geo2map.grid import one_tile_zoom
from geo2map.plan import Plan

Command = Callable[..., Any]
SceneWriter = Callable[..., Path]


def pixels(bands: int = 3, dtype: str = "uint8", top: int = 255) -> np.ndarray:
    """Noise of 280 x 300 px without a 0."""
    return np.random.default_rng(0).integers(1, top, (bands, 280, 300)).astype(dtype)


@pytest.fixture
def info(geo2map: Command, tiny_model: Path) -> Callable[..., dict[str, Any]]:
    """What `geo2map info --json` says of a scene."""

    def run(*arguments: object) -> dict[str, Any]:
        result = geo2map("info", *arguments, "--model", tiny_model, "--json")
        assert result.code == 0, result
        return json.loads(result.out)

    return run


def test_the_facts_of_a_scene(info: Callable[..., dict[str, Any]], small_scene: Path) -> None:
    found = info(small_scene)
    with rasterio.open(small_scene) as raster:
        corners = [raster.transform @ corner for corner in ((0, 0), (300, 0), (300, 280), (0, 280))]
        xs, ys = transform(raster.crs, "EPSG:4326", *np.array(corners).T)
    assert (found["name"], found["driver"], found["width"], found["height"]) == ("small", "GTiff", 300, 280)
    assert (found["crs"], found["dtypes"], found["indexes"]) == ("EPSG:32618", ["uint8"] * 3, [1, 2, 3])
    assert found["ground_resolution"] == pytest.approx(0.9, rel=2e-3)  # UTM's own scale is 0.9996 to 1.001
    assert (found["native_zoom"], found["overviews"]) == (17, [])
    assert (found["nodata"], found["alpha"], found["nodata_share"]) == (None, None, 0.0)
    assert (found["stretch"], found["matched"], found["refused"]) == (None, False, None)
    assert found["colour_distance"] < 2
    assert found["bounds"] == pytest.approx((min(xs), min(ys), max(xs), max(ys)), abs=2e-7)
    footprint = shapely.geometry.shape(found["footprint"])
    truth = shapely.Polygon(np.column_stack((xs, ys)))
    assert footprint.symmetric_difference(truth).area < 0.002 * truth.area


def test_what_render_would_do_is_what_it_does(
    info: Callable[..., dict[str, Any]], geo2map: Command, small_scene: Path, tiny_model: Path, tmp_path: Path
) -> None:
    promised = info(small_scene)["plan"]
    assert geo2map("render", small_scene, "--out", tmp_path / "tiles", "--model", tiny_model).code == 0
    done = json.loads((tmp_path / "tiles" / "tilejson.json").read_text())
    plan = Plan.from_json(json.dumps(promised))
    assert (plan.maxzoom, one_tile_zoom(plan.window, plan.maxzoom)) == (done["maxzoom"], done["minzoom"])
    assert plan.fingerprint == done["geo2map"]["plan"]


@pytest.mark.parametrize(("model", "matched"), [("sat2map", True), ("map2sat", False)])
def test_the_match_told_is_the_plans(geo2map: Command, small_scene: Path, model: str, matched: bool) -> None:
    """Noise is far from imagery and from maps, but the colours of a map are not for matching."""
    found = json.loads(geo2map("info", small_scene, "--model", model, "--json").out)
    assert (found["matched"], found["plan"]["view"]["rendition"]["curves"] is not None) == (matched, matched)


def test_a_turned_scene_has_a_turned_footprint(info: Callable[..., dict[str, Any]], write_scene: SceneWriter) -> None:
    matrix = Affine.translation(590_000, 4_510_000) @ Affine.rotation(30) @ Affine.scale(0.9, -0.9)
    scene = write_scene("turned.tif", transform=matrix)
    ring = [matrix @ corner for corner in ((0, 0), (300, 0), (300, 280), (0, 280), (0, 0))]
    truth = shapely.geometry.shape(
        transform_geom("EPSG:32618", "EPSG:4326", {"type": "Polygon", "coordinates": [ring]})
    )
    found = info(scene)
    footprint = shapely.geometry.shape(found["footprint"])
    assert footprint.symmetric_difference(truth).area < 0.002 * truth.area
    assert footprint.area < 0.8 * shapely.box(*found["bounds"]).area


def test_a_footprint_across_the_antimeridian(info: Callable[..., dict[str, Any]], write_scene: SceneWriter) -> None:
    scene = write_scene("fiji.tif", crs="EPSG:4326", transform=Affine(1e-5, 0, 179.9985, 0, -1e-5, -17))
    found = info(scene)
    assert found["bounds"] == pytest.approx((179.9985, -17.0028, 180.0015, -17), abs=1e-6)
    assert found["footprint"]["type"] == "MultiPolygon"
    footprint = shapely.geometry.shape(found["footprint"])
    assert footprint.bounds[::2] == pytest.approx((-180, 180))
    assert footprint.area == pytest.approx(0.003 * 0.0028, rel=0.01)


def test_sixteen_bits_nodata_and_an_infrared_band(
    info: Callable[..., dict[str, Any]], geo2map: Command, write_scene: SceneWriter, tiny_model: Path
) -> None:
    values = pixels(4, "uint16", 4000)
    values[:, :70] = 0
    scene = write_scene("wide.tif", values, nodata=0)
    found = info(scene, "--indexes", "4,3,2")
    assert (found["nodata"], found["indexes"]) == ([0.0] * 3, [4, 3, 2])
    assert found["nodata_share"] == pytest.approx(0.25)
    for band, (low, high) in zip((3, 2, 1), found["stretch"], strict=True):
        assert (low, high) == pytest.approx(np.percentile(values[band, 70:], (2, 98)), rel=0.01)
    text = geo2map("info", scene, "--indexes", "4,3,2", "--model", tiny_model).out
    assert "25.0% of the pixels (nodata 0)" in text
    assert "2 undefined uint16 used as blue, 3 undefined uint16 used as green" in text
    assert "to black and white" in text


def test_few_bits_are_stretched(info: Callable[..., dict[str, Any]], write_scene: SceneWriter) -> None:
    found = info(write_scene("four.tif", pixels(top=16), nbits=4))
    assert found["stretch"] == [[0, 15]] * 3


def test_zero_as_white_is_told(info: Callable[..., dict[str, Any]], write_scene: SceneWriter) -> None:
    found = info(write_scene("scan.tif", pixels(1), photometric="MINISWHITE", nodata=7))
    assert found["nodata"] == [7]
    assert [note for note in found["notes"] if "0 is white in this file (MINISWHITE)" in note]


def test_a_place_that_is_said_twice_is_told(info: Callable[..., dict[str, Any]], write_scene: SceneWriter) -> None:
    scene = write_scene("twice.tif")
    scene.with_suffix(".tfw").write_text("0.9\n0\n0\n-0.9\n600000\n4510000\n")
    (note,) = info(scene)["notes"]
    assert "not by the geotransform of its world file, which would put it 9,990 m away" in note


def test_a_datum_without_a_way_is_told(info: Callable[..., dict[str, Any]], write_scene: SceneWriter) -> None:
    scene = write_scene("beijing.tif", crs="EPSG:4214", transform=Affine(1.05e-5, 0, 116.4, 0, -8e-6, 39.9))
    (note,) = info(scene)["notes"]
    assert "no transformation from the datum Beijing 1954 to WGS 84" in note


def test_an_alpha_band(info: Callable[..., dict[str, Any]], write_scene: SceneWriter) -> None:
    values = np.concatenate((pixels(), np.full((1, 280, 300), 255, np.uint8)))
    values[3, :, :30] = 0
    scene = write_scene("alpha.tif", values, photometric="RGB", alpha="YES")
    found = info(scene)
    assert found["roles"] == ["red", "green", "blue", "alpha"]
    assert (found["alpha"], found["indexes"]) == ("4", [1, 2, 3])
    assert found["nodata_share"] == pytest.approx(0.1)


def test_a_scene_that_the_model_refuses(info: Callable[..., dict[str, Any]], write_scene: SceneWriter) -> None:
    found = info(write_scene("coarse.tif", transform=Affine(10, 0, 590_000, 0, -10, 4_510_000)))
    assert found["plan"] is None
    assert "10 m on the ground is too coarse" in found["refused"]
    assert (found["native_zoom"], found["refused"].count("\n")) == (14, 0)


def test_a_void_scene(info: Callable[..., dict[str, Any]], write_scene: SceneWriter) -> None:
    found = info(write_scene("void.tif", np.zeros((3, 280, 300), np.uint8), nodata=0))
    assert found["nodata_share"] == 1.0
    assert found["plan"] is not None


def test_nodata_of_nan_is_still_json(info: Callable[..., dict[str, Any]], write_scene: SceneWriter) -> None:
    values = pixels(dtype="float32")
    values[:, :140] = np.nan
    found = info(write_scene("floats.tif", values, nodata=np.nan))
    assert found["nodata"] == ["nan"] * 3
    assert found["nodata_share"] == pytest.approx(0.5)


def test_a_person_reads_a_few_lines(geo2map: Command, small_scene: Path, tiny_model: Path) -> None:
    result = geo2map("info", small_scene, "--model", tiny_model)
    lines = result.out.splitlines()
    assert lines[0] == "small: 300 x 280 px, EPSG:32618 (WGS 84 / UTM zone 18N)"
    assert re.search(r"resolution  0\.9\d* m per pixel on the ground, native zoom 17\n", result.out)
    assert any("grey levels from the imagery of tiny: unchanged" in line for line in lines)
    assert "tiny at zoom 17, overviews down to" in lines[-1]
    assert max(map(len, lines[2:])) <= 120
    assert result.err == ""


def test_several_scenes_and_one_that_is_none(
    geo2map: Command, write_scene: SceneWriter, tiny_model: Path, tmp_path: Path
) -> None:
    write_scene("a.tif")
    write_scene("c.tif")
    (tmp_path / "b.tif").write_text("no raster")
    result = geo2map("info", tmp_path, "--model", tiny_model, "--json")
    assert result.code == 1
    assert [scene["name"] for scene in json.loads(result.out)] == ["a", "c"]
    assert "b.tif" in result.err
    assert "1 of 3 scenes failed" in result.err


def test_one_scene_that_is_none(geo2map: Command, tmp_path: Path) -> None:
    result = geo2map("info", tmp_path / "missing.tif", "--json")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("geo2map: scene ")
    assert result.err.count("\n") == 1


def test_no_torch_for_a_look(small_scene: Path) -> None:
    code = (
        "import sys; from geo2map_cli.main import cli;"
        f"cli.main(['info', {str(small_scene)!r}], standalone_mode=False);"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_bounds_go_straight_into_the_option_bounds(
    info: Callable[..., dict[str, Any]], geo2map: Command, small_scene: Path, tiny_model: Path, tmp_path: Path
) -> None:
    west, south, east, north = info(small_scene)["bounds"]
    area = ("--bounds", f"{west},{south},{east},{north}", "--clip")
    assert geo2map("render", small_scene, "--out", tmp_path / "all", *area, "--model", tiny_model).code == 0
    tiles = {(tile.x, tile.y) for tile in mercantile.tiles(west, south, east, north, zooms=17)}
    assert {(int(p.parent.name), int(p.stem)) for p in (tmp_path / "all" / "17").rglob("*.png")} == tiles
