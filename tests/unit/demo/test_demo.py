"""The synthetic town: reproducible, well referenced, and true to its own map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import rasterio.warp
import shapely

from geo2map.colour.palette import MAPS_PALETTE
from geo2map.demo import make_town
from geo2map.demo.aerial import paint_aerial
from geo2map.demo.scatter import build_town
from geo2map.errors import OutputError, PlanError

pytestmark = pytest.mark.slow

SIZE = 512


def _read(path: Path) -> npt.NDArray[np.uint8]:
    with rasterio.open(path) as file:
        return np.moveaxis(file.read(), 0, -1)


def _town(folder: Path, seed: int = 0, size: int = SIZE) -> tuple[Path, Path]:
    scene, truth = folder / f"scene{seed}.tif", folder / f"truth{seed}.tif"
    make_town(scene, truth, size=size, seed=seed)
    return scene, truth


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return _town(tmp_path_factory.mktemp("town"))


def test_same_seed_same_pixels(town: tuple[Path, Path], tmp_path: Path) -> None:
    for first, second in zip(town, _town(tmp_path), strict=True):
        np.testing.assert_array_equal(_read(first), _read(second))


def test_seeds_differ(town: tuple[Path, Path], tmp_path: Path) -> None:
    for first, second in zip(town, _town(tmp_path, seed=1), strict=True):
        assert (_read(first) != _read(second)).mean() > 0.1


def test_truth_does_not_change_the_scene(town: tuple[Path, Path], tmp_path: Path) -> None:
    make_town(str(tmp_path / "alone.tif"), size=SIZE)
    np.testing.assert_array_equal(_read(tmp_path / "alone.tif"), _read(town[0]))
    assert [path.name for path in tmp_path.iterdir()] == ["alone.tif"]


def test_scene_and_truth_are_referenced_alike(town: tuple[Path, Path]) -> None:
    with rasterio.open(town[0]) as scene, rasterio.open(town[1]) as truth:
        for file in (scene, truth):
            assert (file.width, file.height, file.count) == (SIZE, SIZE, 3)
            assert set(file.dtypes) == {"uint8"}
            assert file.crs.to_epsg() == 32618
            assert file.res == pytest.approx((0.9, 0.9))
            assert file.nodata == 0
            assert file.profile["tiled"]
            assert file.compression.value == "DEFLATE"
        assert scene.transform == truth.transform
        west, north = rasterio.warp.transform(scene.crs, "EPSG:4326", [scene.bounds.left], [scene.bounds.top])
        assert (west[0], north[0]) == (pytest.approx(-73.98, abs=0.05), pytest.approx(40.73, abs=0.05))


def test_validity_is_shared_and_unambiguous(town: tuple[Path, Path]) -> None:
    scene, truth = (_read(path) for path in town)
    valid = np.asarray(scene.all(axis=-1))
    np.testing.assert_array_equal(valid, scene.any(axis=-1))
    np.testing.assert_array_equal(valid, truth.all(axis=-1))
    np.testing.assert_array_equal(valid, truth.any(axis=-1))
    assert not valid[0, 0]
    assert 0.01 < 1 - valid.mean() < 0.05


@pytest.mark.parametrize("seed", range(4))
def test_truth_has_all_colours_of_the_palette_and_no_other(tmp_path: Path, seed: int) -> None:
    truth = _read(_town(tmp_path, seed)[1])
    colours = {tuple(colour) for colour in np.unique(truth.reshape(-1, 3), axis=0).tolist()}
    assert colours == {colour for _, colour in MAPS_PALETTE.entries} | {(0, 0, 0)}


def test_classes_look_as_in_the_imagery(town: tuple[Path, Path]) -> None:
    scene, truth = (_read(path) for path in town)
    kind = MAPS_PALETTE.classify(truth)
    valid = truth.any(axis=-1)
    level = {name: scene[valid & (kind == k)].mean() for k, name in enumerate(MAPS_PALETTE.classes)}
    assert 40 < scene[valid].mean() < 80
    assert level["water"] < level["park"] < level["road"] < level["building"]


@pytest.mark.parametrize("seed", range(3))
def test_streets_pass_below_the_highway(seed: int) -> None:
    layout, look = np.random.default_rng(seed).spawn(2)
    town = build_town(2 * SIZE, 0.9, layout)
    picture = paint_aerial(town, 2 * SIZE, 0.9, look).mean(axis=-1)
    crossed = [road.line.intersection(town.plan.highway) for road in town.plan.roads if road.kind in ("street", "main")]
    crossings = shapely.get_coordinates(crossed)
    elsewhere = shapely.get_coordinates(shapely.line_interpolate_point(town.plan.highway, np.arange(0, 900, 7.0)))

    def median_strip(places: npt.NDArray[np.float64]) -> float:
        column, row = (places / 0.9).astype(int).T
        inside = (np.minimum(row, column) >= 0) & (np.maximum(row, column) < 2 * SIZE)
        return float(np.median(picture[row[inside], column[inside]]))

    assert len(crossings) > 3
    assert median_strip(crossings) == pytest.approx(median_strip(elsewhere), abs=12)
    cars = town.cars.corners[shapely.intersects(town.plan.deck, shapely.polygons(town.cars.corners))]
    along = shapely.line_locate_point(town.plan.highway, shapely.points(cars[:, :2]))
    assert len(cars) > 20
    along = along[(along > 0).all(axis=1) & (along < town.plan.highway.length).all(axis=1)]
    assert (np.abs(np.diff(along, axis=1)) > 4.2).all()  # cars of 4.6 m, all of them on the highway
    in_sight = town.plan.deck.buffer(-1).intersection(shapely.box(1, 1, town.plan.side - 1, town.plan.side - 1))
    assert not shapely.contains_xy(in_sight, town.trees[:, :2]).any()


def test_resolution_is_kept(tmp_path: Path) -> None:
    make_town(tmp_path / "coarse.tif", size=400, metres_per_pixel=1.2)
    with rasterio.open(tmp_path / "coarse.tif") as file:
        assert file.res == pytest.approx((1.2, 1.2))


def test_too_small_a_town_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="300 m"):
        make_town(tmp_path / "dot.tif", size=64)
    assert not list(tmp_path.iterdir())


def test_failed_write_leaves_no_scene(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        make_town(tmp_path / "missing" / "town.tif", size=SIZE)
    assert not list(tmp_path.iterdir())


def test_a_name_that_is_taken_by_a_folder_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "town.tif" / "inside").mkdir(parents=True)
    with pytest.raises(OutputError, match="cannot be written") as found:
        make_town(tmp_path / "town.tif", size=SIZE)
    assert found.type is OutputError
    assert [path.name for path in tmp_path.iterdir()] == ["town.tif"]
