"""Maps back on the scene's own grid, and in any CRS; and folders whose rows count from the south."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from tile_bytes import tiles_of

from geo2map import Engine, check, render, tile, update
from geo2map.errors import OutputError, PlanError
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
    with pytest.raises(OutputError, match="lies on the grid of the tiles"):
        cut(scene, tmp_path / "t", quick_engine, grid="scene")
    with pytest.raises(PlanError, match="is no CRS that PROJ knows") as caught:
        render(scene, tmp_path / "a2.tif", engine=quick_engine, crs_out="EPSG:0")
    assert caught.value.option == "crs_out"
    cut(scene, tmp_path / "tiles", quick_engine)
    with pytest.raises(PlanError, match="no other grid"):
        render(tmp_path / "tiles", tmp_path / "a2.tif", engine=quick_engine, grid="scene", force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "tiles"]


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
    assert set(tiles_of(tmp_path / "xyz")) != set(tiles_of(tmp_path / "tms"))
