"""Maps back on the scene's own grid, and in any CRS; and folders whose rows count from the south."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.warp import transform_bounds
from snapshots import read_tiles

from geo2map import Engine, check, render, tile, update
from geo2map.errors import GeoreferenceError, OutputError, PlanError
from geo2map.scene import open_scene
from geo2map.tiles.folder import XyzFolder

cog_validate = pytest.importorskip("rio_cogeo", reason="needs rio-cogeo").cog_validate


def cut(scene: Path, out: Path, engine: Engine, **options: Any) -> None:
    """The scene's own pixels, at a zoom somewhat finer than they are."""
    tile(scene, out, card=engine.card, zoom=18, match="none", stretch="none", **options)


def test_the_scenes_own_pixels(quick_engine: Engine, write_sheet: Any, tmp_path: Path) -> None:
    """Cut to tiles and back again: the same place, hardly blurred, and the same valid pixels but for the rim."""
    scene, out = write_sheet("a.tif", side=300), tmp_path / "map.tif"
    with rasterio.open(scene, "r+") as dataset:
        dataset.write(np.zeros((3, 40, 60), np.uint8), window=((100, 140), (30, 90)))
    cut(scene, out, quick_engine, grid="scene")
    with rasterio.open(scene) as before, rasterio.open(out) as after:
        assert (after.crs, after.transform, after.shape) == (before.crs, before.transform, before.shape)
        found, wanted = after.read().astype(int), before.read().astype(int)
        inside = before.dataset_mask() > 0
    assert set(np.unique(found[3])) == {0, 255}
    assert ((found[3] > 0) == inside).mean() > 0.98
    both = inside & (found[3] > 0)
    assert np.abs(found[:3] - wanted)[:, both].mean() < 6
    shifted = np.abs(found[:3, :, 1:] - wanted[:, :, :-1])[:, both[:, 1:]].mean()
    assert shifted > 2 * np.abs(found[:3] - wanted)[:, both].mean()
    assert cog_validate(out, strict=True, quiet=True) == (True, [], [])
    assert check(out).ok
    data = out.read_bytes()
    cut(scene, out, quick_engine, grid="scene", overwrite=True)
    assert out.read_bytes() == data
    assert sorted(path.name for path in tmp_path.iterdir()) == [".map.tif.journal", "a.tif", "map.tif"]


def test_a_scene_finer_than_the_map_gets_the_maps_resolution(
    quick_engine: Engine, write_sheet: Any, tmp_path: Path
) -> None:
    scene = write_sheet("a.tif", side=400)
    tile(scene, tmp_path / "map.tif", card=quick_engine.card, zoom=15, grid="scene", force=True)  # 3.6 m
    with rasterio.open(scene) as before, rasterio.open(tmp_path / "map.tif") as after:
        assert after.transform == before.transform @ Affine.scale(4)
        assert after.shape == (100, 100)
    with rasterio.open(tmp_path / "map.tif") as after:
        assert (after.read(4) > 0).mean() > 0.97


def test_another_crs_and_resolution(quick_engine: Engine, write_sheet: Any, tmp_path: Path) -> None:
    scene = write_sheet("a.tif", side=300)
    cut(scene, tmp_path / "b.tif", quick_engine, crs_out="EPSG:4326")
    cut(scene, tmp_path / "c.tif", quick_engine, crs_out="EPSG:2263", resolution=10)
    cut(scene, tmp_path / "d.tif", quick_engine, resolution=3)
    with rasterio.open(tmp_path / "b.tif") as degrees, rasterio.open(scene) as before:
        assert degrees.crs.to_epsg() == 4326
        assert 0.3 < degrees.width * degrees.height / before.width / before.height < 3
        assert degrees.res[0] * 111_320 * np.cos(np.radians(40.7)) == pytest.approx(0.9, rel=0.3)
    with rasterio.open(tmp_path / "c.tif") as feet:
        assert (feet.crs.to_epsg(), feet.res) == (2263, (10, 10))
        assert feet.transform.c % 10 == pytest.approx(0, abs=1e-6)
    with rasterio.open(tmp_path / "d.tif") as coarse:
        assert (coarse.crs.to_epsg(), coarse.res, coarse.shape) == (32618, (3, 3), (90, 90))
    for name in "bcd":
        assert cog_validate(tmp_path / f"{name}.tif", strict=True, quiet=True) == (True, [], [])


def test_a_table_of_colours_stays_one(quick_engine: Engine, write_sheet: Any, tmp_path: Path) -> None:
    palette = [(10, 20, 30), (120, 130, 140), (250, 250, 250)]
    render(write_sheet("a.tif"), tmp_path / "map.tif", engine=quick_engine, grid="scene", palette=palette)
    with rasterio.open(tmp_path / "map.tif") as dataset:
        assert dataset.count == 1
        assert set(np.unique(dataset.read())) <= {0, 1, 2, 255}
        assert (dataset.read() != 255).mean() > 0.9
    assert check(tmp_path / "map.tif").ok


def test_what_has_no_other_grid(quick_engine: Engine, write_sheet: Any, tmp_path: Path) -> None:
    scene = write_sheet("a.tif", side=300)
    with pytest.raises(OutputError, match="is on the web-mercator grid"):
        cut(scene, tmp_path / "t", quick_engine, grid="scene")
    with pytest.raises(PlanError, match="is not a CRS that PROJ knows") as caught:
        render(scene, tmp_path / "a2.tif", engine=quick_engine, crs_out="EPSG:0")
    assert caught.value.option == "crs_out"
    cut(scene, tmp_path / "tiles", quick_engine)
    with pytest.raises(PlanError, match=r"has only the tiles. grid"):
        render(tmp_path / "tiles", tmp_path / "a2.tif", engine=quick_engine, grid="scene", force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "tiles"]


ROTATED = "+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=39.25 +lon_0=18 +datum=WGS84 +no_defs"
SITE = (
    'DERIVEDPROJCRS["site",BASEPROJCRS["UTM 18N",BASEGEOGCRS["WGS 84",DATUM["World Geodetic System 1984",'
    'ELLIPSOID["WGS 84",6378137,298.257223563,LENGTHUNIT["metre",1]]]],CONVERSION["UTM zone 18N",'
    'METHOD["Transverse Mercator"],PARAMETER["Latitude of natural origin",0,ANGLEUNIT["degree",0.0174532925199433]],'
    'PARAMETER["Longitude of natural origin",-75,ANGLEUNIT["degree",0.0174532925199433]],'
    'PARAMETER["Scale factor at natural origin",0.9996,SCALEUNIT["unity",1]],'
    'PARAMETER["False easting",500000,LENGTHUNIT["metre",1]],PARAMETER["False northing",0,LENGTHUNIT["metre",1]]]],'
    'DERIVINGCONVERSION["shift",METHOD["Affine parametric transformation",ID["EPSG",9624]],'
    'PARAMETER["A0",-589000,LENGTHUNIT["metre",1]],PARAMETER["A1",1,SCALEUNIT["coefficient",1]],'
    'PARAMETER["A2",0,SCALEUNIT["coefficient",1]],PARAMETER["B0",-4509000,LENGTHUNIT["metre",1]],'
    'PARAMETER["B1",0,SCALEUNIT["coefficient",1]],PARAMETER["B2",1,SCALEUNIT["coefficient",1]]],'
    'CS[Cartesian,2],AXIS["easting",east],AXIS["northing",north],LENGTHUNIT["metre",1]]'
)


@pytest.mark.parametrize("crs", [SITE, ROTATED])
def test_a_crs_that_a_geotiff_cannot_hold_lies_beside_it(
    crs: str, quick_engine: Engine, write_sheet: Any, tmp_path: Path
) -> None:
    scene, out = write_sheet("a.tif", side=300), tmp_path / "map.tif"
    cut(scene, out, quick_engine, crs_out=crs)
    with rasterio.open(scene) as before, rasterio.open(out) as after:
        bounds = transform_bounds(after.crs, before.crs, *after.bounds)
        assert bounds == pytest.approx(before.bounds, abs=15 if crs == SITE else 400)  # of a grid that lies askew
    with rasterio.open(out, GEOREF_SOURCES="INTERNAL") as alone:
        assert alone.crs is None or alone.crs != rasterio.crs.CRS.from_user_input(crs)
    assert check(out).ok
    if crs == ROTATED:
        with pytest.raises(GeoreferenceError, match="its CRS is a rotated pole"):
            open_scene(out)
    else:
        with open_scene(out) as again:
            assert again.latitude == pytest.approx(40.72, abs=0.02)
    cut(scene, out, quick_engine, crs_out="EPSG:2263", overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".map.tif.journal", "a.tif", "map.tif"]


@pytest.mark.parametrize(
    ("crs", "fault"),
    [
        ("EPSG:5703", "holds heights only"),
        ("EPSG:4978", "is geocentric"),
        ("EPSG:4979", "has a third axis for heights"),
        ('LOCAL_CS["x",UNIT["metre",1]]', "is a local CRS without a place on Earth"),
        ('TIMECRS["t",TDATUM["t"],CS[TemporalDateTime,1],AXIS["Time",future]]', "holds times only"),
        ("+proj=geos +h=35785831 +lon_0=9.5", "does not reach all of a: choose another CRS"),
        ("EPSG:nonsense", "is not a CRS that PROJ knows"),
    ],
)
def test_a_crs_that_shows_no_map_of_the_scene(
    crs: str, fault: str, quick_engine: Engine, write_sheet: Any, tmp_path: Path
) -> None:
    scene = write_sheet("a.tif", side=300)
    with pytest.raises(PlanError, match=fault) as caught:
        cut(scene, tmp_path / "map.tif", quick_engine, crs_out=crs)
    assert caught.value.option == "crs_out"
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_a_scene_by_control_points_has_no_grid_though_a_world_file_lies_beside_it(
    quick_engine: Engine, write_sheet: Any, tmp_path: Path
) -> None:
    with rasterio.open(write_sheet("a.tif", side=300)) as sheet:
        pixels, matrix = sheet.read(), sheet.transform
    corners = [(0, 0), (0, 300), (300, 0), (300, 300)]
    points = [GroundControlPoint(row, column, *(matrix @ (column, row))) for row, column in corners]
    profile = {"driver": "GTiff", "count": 3, "width": 300, "height": 300, "dtype": "uint8"}
    with rasterio.open(tmp_path / "b.tif", "w", **profile, gcps=points, crs="EPSG:32618") as dataset:
        dataset.write(pixels)
    (tmp_path / "b.tfw").write_text("0.9\n0\n0\n-0.9\n0\n0\n")
    with pytest.raises(PlanError, match="b is georeferenced by control points and has no pixel grid on the Earth"):
        cut(tmp_path / "b.tif", tmp_path / "map.tif", quick_engine, grid="scene")


def test_a_tms_folder_is_rendered_updated_and_checked(quick_engine: Engine, write_sheet: Any, tmp_path: Path) -> None:
    a, b = write_sheet("a.tif", side=300), write_sheet("b.tif", side=300, east=900, seed=4)
    for name, scheme in (("xyz", "xyz"), ("tms", "tms")):
        render(a, tmp_path / name, engine=quick_engine, scheme=scheme)
        update(b, tmp_path / name, engine=quick_engine)
        assert check(tmp_path / name).ok
    one, other = XyzFolder(tmp_path / "xyz"), XyzFolder(tmp_path / "tms")
    assert one.zooms == other.zooms
    for zoom in one.zooms:
        assert {t: one.get(t) for t in one.tiles(zoom)} == {t: other.get(t) for t in other.tiles(zoom)}
    assert set(read_tiles(tmp_path / "xyz")) != set(read_tiles(tmp_path / "tms"))
