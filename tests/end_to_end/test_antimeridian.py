"""A scene across the antimeridian, from the raster to tiles, a tile set's document, a GeoTIFF and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from geo2map import grid
from geo2map.api import mosaic_tiles, tile
from geo2map.colour import ColourStatistics
from geo2map.errors import PlanError
from geo2map.grid.block import Block
from geo2map.model import ModelCard
from geo2map.plan import PlanOptions, make_plan
from geo2map.scene import ColourTransform, TileSource, View, open_scene
from geo2map.tiles.folder import XyzFolder
from geo2map.tiles.tilejson import TileSet

ZOOM = 17
LAST = 2**ZOOM - 1
PLACES = {
    "EPSG:32660": Affine(0.9, 0, 714_550, 0, -0.9, 5_550_800),
    "EPSG:4326": Affine(1.1e-5, 0, -180.0015, 0, -1.1e-5, -16.0),
}
CARD = ModelCard(
    name="none",
    architecture="unet",
    config={},
    ground_resolution=0.905,
    zoom=ZOOM,
    margin=32,
    size_multiple=32,
    colours=ColourStatistics.of(np.arange(256, dtype=np.uint8).repeat(3).reshape(-1, 3)),
)


@pytest.fixture(params=PLACES)
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Noise of 300 x 400 px around 180 degrees."""
    path = tmp_path / "fiji.tif"
    profile = {"driver": "GTiff", "width": 400, "height": 300, "count": 3, "dtype": "uint8"}
    with rasterio.open(path, "w", **profile, crs=request.param, transform=PLACES[request.param]) as dataset:
        dataset.write(np.random.default_rng(0).integers(1, 255, (3, 300, 400), dtype=np.uint8))
    return path


@pytest.fixture
def cut(scene: Path, tmp_path: Path) -> Path:
    tile(scene, tmp_path / "tiles", card=CARD, zoom=ZOOM, match="none", force=True)
    return tmp_path / "tiles"


def test_the_tiles_lie_on_both_edges_of_the_world(cut: Path) -> None:
    folder = XyzFolder(cut)
    assert {0, LAST} <= set(folder.columns(ZOOM)) <= {0, 1, LAST - 1, LAST}
    assert folder.columns(1) == [0, 1]
    for column in (0, LAST):
        found = folder.read(next(tile for tile in folder.tiles(ZOOM) if tile.x == column))
        assert found is not None
        assert found[1].any()


def test_the_document_does_not_wrap(cut: Path) -> None:
    known = TileSet.load(cut)
    assert known is not None
    assert known.window.left < grid.world_window(ZOOM).right < known.window.right
    document = known.to_dict()
    west, south, east, north = document["bounds"]
    assert (west, east) == (-180, 180)
    assert south < north
    assert abs(abs(document["center"][0]) - 180) < 0.01


def test_a_geotiff_is_one_piece(scene: Path, cut: Path, tmp_path: Path) -> None:
    mosaic_tiles(cut, tmp_path / "one.tif")
    with rasterio.open(tmp_path / "one.tif") as dataset:
        assert dataset.width <= 4 * 256
        assert dataset.bounds.left < grid.HALF_WORLD < dataset.bounds.right
        bands = dataset.read()
        left = round((dataset.bounds.left + grid.HALF_WORLD) / grid.mercator_resolution(ZOOM)) // 256
        top = round((grid.HALF_WORLD - dataset.bounds.top) / grid.mercator_resolution(ZOOM)) // 256
    with open_scene(scene) as opened, opened.at(View(ZOOM)) as source:
        image = source.read(Block(ZOOM, left, top, bands.shape[2] // 256, bands.shape[1] // 256))
    np.testing.assert_array_equal(bands[3] > 0, image.mask)
    np.testing.assert_array_equal(np.moveaxis(bands[:3], 0, -1)[image.mask], image.pixels[image.mask])
    with open_scene(tmp_path / "one.tif") as again, open_scene(scene) as opened:
        assert again.bounds.left <= opened.bounds.left < opened.bounds.right <= again.bounds.right
        with again.at(View(ZOOM, ColourTransform(), "nearest")) as source:
            copy = source.read(image.block)
    np.testing.assert_array_equal(copy.mask, image.mask)
    np.testing.assert_array_equal(copy.pixels[image.mask], image.pixels[image.mask])


@pytest.mark.parametrize("turn", [-(LAST + 1), 0, LAST + 1])
def test_columns_are_counted_modulo_the_world(turn: int, scene: Path, cut: Path) -> None:
    """A scene and its tiles give the same, with a margin that reaches over the edge, from either side."""
    tiles = TileSource(XyzFolder(cut), ZOOM, ColourTransform())
    with open_scene(scene) as opened, opened.at(View(ZOOM)) as source:
        top = opened.window(ZOOM).top // 256
        for column in (LAST - 1, LAST, LAST + 1):
            if column + turn >= 0:
                expected = source.read(Block(ZOOM, column, top, 1, 2, 64))
                for read in (source.read, tiles.read):
                    image = read(Block(ZOOM, column + turn, top, 1, 2, 64))
                    np.testing.assert_array_equal(image.mask, expected.mask)
                    np.testing.assert_array_equal(image.pixels[image.mask], expected.pixels[image.mask])


def test_every_tile_is_in_one_block_under_its_own_name(scene: Path) -> None:
    with open_scene(scene) as opened:
        plan = make_plan(opened, CARD, PlanOptions(zoom=ZOOM, force=True, block_span=1))
    named = [tile for block in plan.blocks() for tile in block.tiles]
    assert len(named) == len(set(named)) == plan.tiles.width * plan.tiles.height
    assert all(0 <= tile.x <= LAST for tile in named)


@pytest.mark.parametrize("west", [-180.0, 0.0, -180.7, 13.3])
def test_the_whole_world_has_every_tile_once(west: float, tmp_path: Path) -> None:
    """Whichever meridian it begins with; it ends at the 85th parallel, and says so."""
    path = tmp_path / "world.tif"
    columns, rows = np.meshgrid((np.arange(720) * 0.5 + west + 180.25) % 360, 90.25 - np.arange(360) * 0.5)
    bands = np.stack((columns * 0.7, rows + 90, np.full_like(rows, 9))).astype(np.uint8)
    profile = {"driver": "GTiff", "width": 720, "height": 360, "count": 3, "dtype": "uint8", "crs": "EPSG:4326"}
    with rasterio.open(path, "w", **profile, transform=Affine(0.5, 0, west, 0, -0.5, 90)) as dataset:
        dataset.write(bands)
    report = tile(path, tmp_path / "tiles", card=CARD, zoom=2, match="none", force=True, resampling="bilinear")
    assert report.tiles == 16
    assert any("clipped" in note for note in report.notes)
    mosaic_tiles(tmp_path / "tiles", tmp_path / "world_3857.tif")
    with rasterio.open(tmp_path / "world_3857.tif") as dataset:
        assert dataset.shape == (1024, 1024)
        red, _, _, alpha = dataset.read()
    assert alpha.min() == 255
    longitudes = (np.arange(1024) + 0.5) / 1024 * 360
    seam = np.abs((longitudes - west - 180 + 180) % 360 - 180) < 2  # a kernel does not reach around the world
    assert np.abs(red[512] - longitudes * 0.7)[~seam & (longitudes > 1) & (longitudes < 359)].max() < 1.6


@pytest.mark.parametrize("options", [{"grid": "scene"}, {"crs_out": "EPSG:3832"}, {"crs_out": "EPSG:4326"}])
def test_another_grid_is_one_piece(options: dict[str, str], scene: Path, tmp_path: Path) -> None:
    """Neither half is lost, and the scene's own grid is the scene's."""
    tile(scene, tmp_path / "own.tif", card=CARD, zoom=ZOOM, match="none", stretch="none", force=True, **options)
    with rasterio.open(tmp_path / "own.tif") as made, rasterio.open(scene) as before:
        bands, wanted = made.read().astype(int), before.read().astype(int)
        assert made.width < 600
        assert (bands[3] > 0).mean() > 0.6  # of a scene that may lie askew
        for side in (bands[3, :, :100], bands[3, :, -100:]):
            assert (side > 0).any()
        if "grid" in options:
            assert (made.crs, made.transform, made.shape) == (before.crs, before.transform, before.shape)
            assert (bands[3] > 0).mean() > 0.99
            for half in (np.s_[:, 20:-20, 20:190], np.s_[:, 20:-20, 210:-20]):
                assert np.corrcoef(bands[:3][half].ravel(), wanted[half].ravel())[0, 1] > 0.7


def test_a_crs_that_begins_anew_there_is_refused(scene: Path, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="EPSG:3395 is cut at the antimeridian, which fiji lies across: choose another"):
        tile(scene, tmp_path / "own.tif", card=CARD, zoom=ZOOM, match="none", force=True, crs_out="EPSG:3395")
    assert [path.name for path in tmp_path.iterdir()] == ["fiji.tif"]
