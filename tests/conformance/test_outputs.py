"""Others read what geo2map writes, and geo2map reads what others write.

The others are GDAL (through rasterio), mercantile, Pillow, and gdalinfo where installed.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import mercantile
import numpy as np
import PIL.Image
import pytest
import rasterio
from rasterio.io import DatasetReader
from rasterio.windows import Window

from geo2map.api import mosaic_tiles
from geo2map.errors import OutputError, TileSetError, ZoomError
from geo2map.grid import PixelWindow
from geo2map.grid.block import Block, BlockImage
from geo2map.ledger import open_output
from geo2map.pipeline.run import run
from geo2map.plan import Plan, Storage
from geo2map.scene import View
from geo2map.testing import ArraySource, fake_job
from geo2map.tiles.codec import encode_tile
from geo2map.tiles.folder import XyzFolder
from geo2map.tiles.pyramid import make_parent
from geo2map.tiles.tilejson import ATTRIBUTION
from geo2map.types import Tile

BLOCK = Block(z=14, x=13055, y=8467, columns=5, rows=3)  # Jakarta: odd column and row, so that overviews straddle
HOLE = (slice(256, 512), slice(512, 768))  # one tile of the middle row is missing
WINDOW = PixelWindow(BLOCK.core.left + 37, BLOCK.core.top + 21, BLOCK.core.right, BLOCK.core.bottom - 3)
PLAN = Plan(name="jakarta", view=View(14), window=WINDOW, block_span=2, model="town 1")


@pytest.fixture(scope="module")
def image() -> BlockImage:
    rng = np.random.default_rng(11)
    shape = (BLOCK.core.height, BLOCK.core.width)
    mask = np.zeros(shape, dtype=np.bool_)
    mask[WINDOW.slices(BLOCK.core)] = True
    mask[HOLE] = False
    return BlockImage(BLOCK, rng.integers(0, 256, (*shape, 3), dtype=np.uint8), mask)


@pytest.fixture(scope="module")
def outputs(image: BlockImage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outputs")
    for name in ("tiles", "map.tif"):
        with open_output(folder / name, fake_job(PLAN, Storage(minzoom=12))) as output:
            run(ArraySource(BLOCK.core, image.pixels, image.mask), None, output)
    return folder


def _rgba(image: BlockImage) -> np.ndarray:
    """uint8 (4, H, W), zero where invalid."""
    return np.moveaxis(
        np.dstack([image.pixels, np.full_like(image.mask, 255, np.uint8)]) * image.mask[..., None], -1, 0
    )


def _corners() -> tuple[float, float, float, float]:
    first = mercantile.xy_bounds(BLOCK.x, BLOCK.y, BLOCK.z)
    last = mercantile.xy_bounds(BLOCK.x + BLOCK.columns - 1, BLOCK.y + BLOCK.rows - 1, BLOCK.z)
    return first.left, last.bottom, last.right, first.top


def test_geotiff_lies_where_mercantile_says(outputs: Path) -> None:
    with rasterio.open(outputs / "map.tif") as raster:
        assert raster.crs.to_epsg() == 3857
        assert tuple(raster.bounds) == pytest.approx(_corners(), abs=1e-6)
        tile = mercantile.xy_bounds(13057, 8468, 14)
        assert raster.index(tile.left + 0.01, tile.top - 0.01) == (256, 512)


def test_geotiff_pixels_are_the_images(outputs: Path, image: BlockImage) -> None:
    with rasterio.open(outputs / "map.tif") as raster:
        assert np.array_equal(raster.read(), _rgba(image))
        assert np.array_equal(raster.dataset_mask() > 0, image.mask)


def test_geotiff_is_what_gis_programs_like(outputs: Path) -> None:
    with rasterio.open(outputs / "map.tif") as raster:
        assert [band.name for band in raster.colorinterp] == ["red", "green", "blue", "alpha"]
        assert raster.block_shapes == [(256, 256)] * 4
        assert (raster.profile["compress"], raster.profile["interleave"]) == ("deflate", "pixel")
        assert raster.tags(ns="IMAGE_STRUCTURE")["PREDICTOR"] == "2"
        assert raster.overviews(1) == [2, 4]
        tags = raster.tags()
        assert tags["TIFFTAG_SOFTWARE"] == "geo2map"
        assert tags["TIFFTAG_IMAGEDESCRIPTION"] == ATTRIBUTION
        facts = json.loads(tags["GEO2MAP"])
        assert re.fullmatch("[0-9a-f]{16}", facts.pop("pixels"))
        assert facts == {"window": list(WINDOW), "model": "town 1", "plan": PLAN.fingerprint}
        assert not any("DATETIME" in name for name in tags)


def test_geotiff_is_transparent_where_a_tile_is_missing(outputs: Path) -> None:
    with rasterio.open(outputs / "map.tif") as raster:
        seen = {
            (x, y): bool(raster.read(4, window=Window(x * 256, y * 256, 256, 256)).any())
            for x in range(5)
            for y in range(3)
        }
    assert [place for place, any_valid in seen.items() if not any_valid] == [(2, 1)]


def test_geotiff_read_by_pillow_is_the_one_rasterio_reads(outputs: Path) -> None:
    """Readers other than GDAL do not know sparse files: a missing tile must be a block like any other."""
    with PIL.Image.open(outputs / "map.tif") as picture, rasterio.open(outputs / "map.tif") as dataset:
        np.testing.assert_array_equal(np.asarray(picture), np.moveaxis(dataset.read(), 0, -1))


def test_geotiff_overviews_are_box_averages_of_valid_pixels(outputs: Path, image: BlockImage) -> None:
    """And so the tiles of the lower zooms, pixel for pixel, wherever their corners are."""
    tiles = {(tile.x - BLOCK.x, tile.y - BLOCK.y): (pixels, mask) for tile, pixels, mask in image.tiles()}
    folder = XyzFolder(outputs / "tiles")
    for level, zoom in ((0, 13), (1, 12)):
        with rasterio.open(outputs / "map.tif", OVERVIEW_LEVEL=level) as overview:
            step = 2 ** (level + 1)
            assert (overview.width, overview.height) == (-(-1280 // step), -(-768 // step))
            assert overview.block_shapes[0] == (256, 256)
            found = overview.read()
        left, top = BLOCK.core.left // step, BLOCK.core.top // step
        expected = np.zeros_like(found)
        for tile in folder.tiles(zoom):
            pixels, mask = folder.read(tile) or (None, None)
            rgba = np.concatenate([np.moveaxis(pixels, -1, 0), mask[None] * np.uint8(255)])
            row, column = tile.y * 256 - top, tile.x * 256 - left
            into = np.s_[:, max(0, row) : row + 256, max(0, column) : column + 256]
            shape = expected[into].shape
            expected[into] = rgba[:, max(0, -row) :, max(0, -column) :][:, : shape[1], : shape[2]]
        assert np.array_equal(found, expected)
    pixels, mask = make_parent({(dx, dy): tiles[dx + 1, dy + 1] for dx, dy in ((0, 0), (0, 1), (1, 1))})
    with rasterio.open(outputs / "map.tif", OVERVIEW_LEVEL=0) as overview:  # the hole is the fourth
        found = overview.read(window=Window(128, 128, 256, 256))
    assert np.array_equal(found[3] > 0, mask)
    assert np.array_equal(np.moveaxis(found[:3], 0, -1), pixels)


def test_tiles_read_by_pillow_are_the_images(outputs: Path, image: BlockImage) -> None:
    whole = np.zeros((4, BLOCK.core.height, BLOCK.core.width), dtype=np.uint8)
    for tile in BLOCK.tiles:
        path = outputs / "tiles" / f"{tile.z}" / f"{tile.x}" / f"{tile.y}.png"
        if path.exists():
            row, column = (tile.y - BLOCK.y) * 256, (tile.x - BLOCK.x) * 256
            whole[:, row : row + 256, column : column + 256] = np.moveaxis(
                np.array(PIL.Image.open(path).convert("RGBA")), -1, 0
            )
    assert np.array_equal(whole, _rgba(image))


def test_parents_are_mercantiles(outputs: Path) -> None:
    def stored(zoom: int) -> set[mercantile.Tile]:
        paths = (outputs / "tiles" / str(zoom)).rglob("*.png")
        return {mercantile.Tile(int(path.parent.name), int(path.stem), zoom) for path in paths}

    assert len(stored(14)) == 14
    assert stored(13) == {mercantile.parent(tile) for tile in stored(14)}
    assert stored(12) == {mercantile.parent(tile) for tile in stored(13)}


def _gdal_xyz(folder: Path, level: int) -> str:
    """A GDAL WMS description of an XYZ folder, as QGIS and gdal_translate open it."""
    half = 20037508.342789244
    return f"""<GDAL_WMS><Service name="TMS">
        <ServerUrl>{folder.resolve().as_uri()}/${{z}}/${{x}}/${{y}}.png</ServerUrl></Service>
        <DataWindow><UpperLeftX>{-half}</UpperLeftX><UpperLeftY>{half}</UpperLeftY>
        <LowerRightX>{half}</LowerRightX><LowerRightY>{-half}</LowerRightY>
        <TileLevel>{level}</TileLevel><TileCountX>1</TileCountX><TileCountY>1</TileCountY>
        <YOrigin>top</YOrigin></DataWindow><Projection>EPSG:3857</Projection>
        <BlockSizeX>256</BlockSizeX><BlockSizeY>256</BlockSizeY><BandsCount>4</BandsCount>
        <ZeroBlockHttpCodes>204,404</ZeroBlockHttpCodes>
        <ZeroBlockOnServerException>true</ZeroBlockOnServerException></GDAL_WMS>"""


def _read_bounds(raster: DatasetReader, bounds: tuple[float, float, float, float]) -> np.ndarray:
    window = raster.window(*bounds).round_offsets().round_lengths()
    return raster.read(window=window)


def test_gdal_reads_the_folder_at_the_same_place(outputs: Path, image: BlockImage) -> None:
    with rasterio.open(_gdal_xyz(outputs / "tiles", 14)) as world:
        assert np.array_equal(_read_bounds(world, _corners()), _rgba(image))


def test_gdal_reads_the_overviews_at_the_same_place(outputs: Path, image: BlockImage) -> None:
    tiles = {(tile.x - BLOCK.x, tile.y - BLOCK.y): (pixels, mask) for tile, pixels, mask in image.tiles()}
    children = {(dx, dy): tiles[dx + 1, dy + 1] for dx in (0, 1) for dy in (0, 1) if (dx + 1, dy + 1) in tiles}
    pixels, mask = make_parent(children)
    parent = mercantile.parent(BLOCK.x + 1, BLOCK.y + 1, 14)
    assert (parent.x * 2, parent.y * 2) == (BLOCK.x + 1, BLOCK.y + 1)
    with rasterio.open(_gdal_xyz(outputs / "tiles", 13)) as world:
        found = _read_bounds(world, tuple(mercantile.xy_bounds(parent)))
    assert np.array_equal(np.moveaxis(found[:3], 0, -1), pixels)
    assert np.array_equal(found[3] > 0, mask)


def test_tilejson_bounds_are_those_of_the_scenes_pixels(outputs: Path) -> None:
    document = json.loads((outputs / "tiles" / "tilejson.json").read_text(encoding="utf-8"))
    west, south, east, north = document["bounds"]
    left, top = mercantile.xy(west, north)
    right, bottom = mercantile.xy(east, south)
    with rasterio.open(outputs / "map.tif") as raster:
        corners = [*(~raster.transform @ (left, top)), *(~raster.transform @ (right, bottom))]
    assert corners == pytest.approx([37, 21, 1280, 765], abs=1e-3)
    assert str(outputs) not in json.dumps(document)


@pytest.mark.skipif(shutil.which("gdalinfo") is None, reason="gdalinfo (Debian's gdal-bin) is not installed")
def test_gdalinfo_agrees(outputs: Path) -> None:
    told = subprocess.run(
        ["gdalinfo", "-json", "-checksum", str(outputs / "map.tif")], check=True, capture_output=True, text=True
    )
    report = json.loads(told.stdout)
    assert report["size"] == [1280, 768]
    assert [band["colorInterpretation"] for band in report["bands"]] == ["Red", "Green", "Blue", "Alpha"]
    assert report["cornerCoordinates"]["upperLeft"] == pytest.approx([_corners()[0], _corners()[3]], abs=1e-3)
    assert '"EPSG",3857]' in report["coordinateSystem"]["wkt"]


# Mosaics of anyone's tiles


def _foreign(folder: Path, *names: str) -> Path:
    """Tiles of noise by name, formats by suffix, and some things that are no tiles."""
    formats = {".png": "png", ".webp": "webp", ".jpg": "jpeg", ".jpeg": "jpeg"}
    mask = np.ones((256, 256), dtype=np.bool_)
    for number, name in enumerate(names):
        pixels = np.random.default_rng(number).integers(0, 256, (256, 256, 3), dtype=np.uint8)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(encode_tile(pixels, mask, formats[Path(name).suffix]))
    for name in ("README.md", "3/notes.txt", "3/07/1.png", "3/1/x.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    return folder


def test_a_mosaic_of_mixed_formats_takes_the_largest_zoom_or_the_one_asked(tmp_path: Path) -> None:
    tiles = _foreign(tmp_path / "t", "3/1/1.png", "3/2/1.jpg", "3/4/2.webp", "3/2/2.jpeg", "2/0/0.png")
    mosaic_tiles(tiles, tmp_path / "new" / "3.tif")
    mosaic_tiles(tiles, tmp_path / "2.tif", zoom=2)
    with rasterio.open(tmp_path / "new" / "3.tif") as three, rasterio.open(tmp_path / "2.tif") as two:
        assert (three.width, three.height, two.width, two.height) == (4 * 256, 2 * 256, 256, 256)
        assert three.read(4)[::256, ::256].tolist() == [[255, 255, 0, 0], [0, 255, 0, 255]]
        assert "GEO2MAP" not in three.tags()
    folder = XyzFolder(tiles)
    assert (folder.zooms, folder.format) == ((2, 3), "png")
    assert list(folder.tiles(3)) == [Tile(1, 1, 3), Tile(2, 1, 3), Tile(2, 2, 3), Tile(4, 2, 3)]


@pytest.mark.parametrize(
    ("names", "zoom", "said"),
    [
        ((), None, "no tiles"),
        (("3/1/1.png",), 4, "which has 3"),
        (("18/0/0.png", "18/200000/200000.png"), None, "scattered"),
    ],
)
def test_folders_a_mosaic_cannot_use(tmp_path: Path, names: tuple[str, ...], zoom: int | None, said: str) -> None:
    with pytest.raises((TileSetError, ZoomError), match=said):
        mosaic_tiles(_foreign(tmp_path / "t", *names), tmp_path / "out.tif", zoom=zoom)
    assert not (tmp_path / "out.tif").exists()


def test_a_mosaic_names_a_broken_tile_and_leaves_nothing(tmp_path: Path) -> None:
    tiles = _foreign(tmp_path / "t", "3/1/1.png", "3/2/1.png")
    (tiles / "3" / "2" / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(TileSetError, match=r"tile 3/2/1: damaged"):
        mosaic_tiles(tiles, tmp_path / "out.tif")
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


def test_a_mosaic_of_nothing_but_transparency_is_refused(tmp_path: Path) -> None:
    tiles = _foreign(tmp_path / "t", "3/1/1.png")
    blank = encode_tile(np.zeros((256, 256, 3), np.uint8), np.zeros((256, 256), np.bool_), "png")
    (tiles / "3" / "1" / "1.png").write_bytes(blank)
    with pytest.raises(TileSetError, match="no valid pixel"):
        mosaic_tiles(tiles, tmp_path / "out.tif")
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


@pytest.mark.parametrize("name", ["out.png", "out"])
def test_a_mosaic_is_a_geotiff(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"\.tif"):
        mosaic_tiles(_foreign(tmp_path / "t", "3/1/1.png"), tmp_path / name)


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(TileSetError, match="folder not found"):
        mosaic_tiles(tmp_path / "nowhere", tmp_path / "out.tif")


def test_overwriting_a_geotiff_drops_what_is_no_longer_true(tmp_path: Path) -> None:
    tiles = _foreign(tmp_path / "t", "3/1/1.png")
    for name in ("out.tif", "out.tif.aux.xml", "out.tif.ovr"):
        (tmp_path / name).write_text("old")
    mosaic_tiles(tiles, tmp_path / "out.tif", overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".out.tif.journal", "out.tif", "t"]
