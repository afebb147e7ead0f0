"""Pairs: divided by neighbourhoods, checked for shifts, and every pixel where it belongs."""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window
from scipy import ndimage
from snapshots import snapshot

from geo2map import grid
from geo2map.colour.palette import MAPS_PALETTE
from geo2map.demo import make_town
from geo2map.errors import DataError, OutputError, SceneError, ZoomError
from geo2map.grid import PixelWindow
from geo2map.pairs import PairSet, make_pairs
from geo2map.pairs.cut import cell_window, cells, is_blank
from geo2map.pairs.layer import PairLayer, common_window
from geo2map.pairs.registration import Shift, correlation, find_shift
from geo2map.pairs.split import Cell, assign_blocks, block_side, draw_number
from geo2map.testing import ArraySource
from geo2map.tiles.codec import encode_tile
from geo2map.tiles.store import FolderStore
from geo2map.train.pictures import list_splits, load_pair, read_facts
from geo2map.types import SPLITS, Image, Tile

ZOOM = 17
CORNER = (9_880_600, 12_612_700)
"""A global pixel near New York that is on no grid of pictures."""
LAND, BUILDING, ROAD, WATER, PARK = (colour for _, colour in MAPS_PALETTE.entries[:5])


def draw_city(height: int, width: int, seed: int = 0) -> tuple[Image, Image]:
    """A noisy photograph of crooked blocks, and its map; uint8 (height, width, 3) each."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    blocks = np.sin(columns / 31 + rows / 190) * np.sin(rows / 23 - columns / 230)
    drawn = np.where((np.abs(blocks) < 0.25)[..., None], ROAD, LAND).astype(np.uint8)
    aerial = np.where(np.abs(blocks) < 0.25, 90.0, 60.0)
    for _ in range(height * width // 900):
        top, left = rng.integers(0, height), rng.integers(0, width)
        part = (slice(top, top + rng.integers(6, 22)), slice(left, left + rng.integers(6, 22)))
        drawn[part], aerial[part] = BUILDING, rng.uniform(30, 200)
    noise = ndimage.gaussian_filter(rng.normal(0, 25, (height, width)), 1.0) + rng.normal(0, 6, (height, width))
    levels = np.clip(aerial + noise, 2, 255)
    return np.stack([levels, levels, levels * 0.9], axis=-1).astype(np.uint8), drawn


def write_aligned(path: Path, pixels: Image, offset: tuple[float, float] = (0, 0), **profile: Any) -> Path:
    """A GeoTIFF in web-mercator on the pixel grid of `ZOOM`, its corner `offset` (x, y) px off `CORNER`."""
    height, width = pixels.shape[:2]
    left, top = CORNER
    transform = grid.window_transform(PixelWindow(left, top, left + width, top + height), ZOOM)
    transform = transform @ transform.translation(*offset)
    profile = {"driver": "GTiff", "width": width, "height": height, "count": 3, "dtype": pixels.dtype} | profile
    with rasterio.open(path, "w", crs="EPSG:3857", transform=transform, **profile) as dataset:
        dataset.write(np.moveaxis(pixels, -1, 0))
    return path


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Scene and map of 1300 x 1000 px on the grid."""
    folder = tmp_path_factory.mktemp("city")
    aerial, drawn = draw_city(1000, 1300)
    return write_aligned(folder / "aerial.tif", aerial), write_aligned(folder / "drawn.tif", drawn)


cut = partial(make_pairs, zoom=ZOOM, registration="off")
"""For tests that are not about registration, which takes most of the time."""


def pictures_of(folder: Path) -> dict[str, Path]:
    return {path.name: path for path in sorted(folder.glob("*/*.*"))}


def cell_of(path: Path) -> Cell:
    zoom, column, row = (int(part) for part in path.stem.split("_"))
    assert zoom == ZOOM
    return Cell(column, row)


# The split

BLOCKS = st.dictionaries(
    st.builds(Cell, st.integers(0, 10**6), st.integers(0, 10**6)), st.integers(1, 16), min_size=3, max_size=60
)
SHARES = st.tuples(st.floats(1, 100), st.floats(0, 100), st.floats(0, 100))


@given(BLOCKS, SHARES, st.integers())
def test_every_block_has_one_split_and_none_gets_more_than_its_share_and_a_block(
    blocks: dict[Cell, int], shares: tuple[float, float, float], seed: int
) -> None:
    assigned = assign_blocks(blocks, shares, seed)
    assert assigned.keys() == blocks.keys()
    wanted = {name: share for name, share in zip(SPLITS, shares, strict=True) if share > 0}
    assert set(assigned.values()) == set(wanted)
    for name, share in wanted.items():
        count = sum(blocks[cell] for cell, split in assigned.items() if split == name)
        assert count <= share / sum(wanted.values()) * sum(blocks.values()) + max(blocks.values()) + 1e-6


@given(BLOCKS, SHARES, st.integers(), st.randoms())
def test_the_split_does_not_depend_on_the_order_of_the_blocks(
    blocks: dict[Cell, int], shares: tuple[float, float, float], seed: int, random: Any
) -> None:
    shuffled = list(blocks.items())
    random.shuffle(shuffled)
    assert assign_blocks(dict(shuffled), shares, seed) == assign_blocks(blocks, shares, seed)


def test_another_seed_is_another_split() -> None:
    blocks = {Cell(column, row): 4 for column in range(8) for row in range(8)}
    splits = {tuple(sorted(assign_blocks(blocks, (80, 10, 10), seed).items())) for seed in range(5)}
    assert len(splits) == 5
    counts = Counter(name for _, name in splits.pop())
    assert all(abs(counts[name] - wanted) < 2 for name, wanted in (("train", 51.2), ("val", 6.4), ("test", 6.4)))


def test_fewer_blocks_than_splits_are_refused() -> None:
    with pytest.raises(DataError, match=r"train, val, test: they are in 2 blocks.*lower block or size"):
        assign_blocks({Cell(0, 0): 3, Cell(1, 0): 3}, (80, 10, 10), 0)
    assert assign_blocks({Cell(0, 0): 3}, (100, 0, 0), 0) == {Cell(0, 0): "train"}


def test_blocks_are_smaller_where_the_scene_is_small() -> None:
    assert [block_side(n, n) for n in (1, 8, 9, 14, 18, 500)] == [1, 1, 2, 3, 4, 4]


@given(st.integers(), st.integers(0, 2**30), st.integers(0, 2**30))
def test_a_draw_is_in_its_range_and_repeats(seed: int, column: int, row: int) -> None:
    assert 0 <= draw_number(seed, Cell(column, row)) < 1
    assert draw_number(seed, Cell(column, row)) == draw_number(seed, Cell(column, row))


# Registration


def measured(scene: Image, drawn: Image) -> Shift | None:
    return find_shift(correlation(scene, drawn, np.ones(scene.shape[:2], dtype=np.bool_)))


@pytest.mark.parametrize(("x", "y"), [(0, 0), (5, -3), (-17, 8), (40, 33), (0.5, -0.25), (-3.4, 6.7)])
def test_a_known_shift_is_found_to_a_fraction_of_a_pixel(x: float, y: float) -> None:
    aerial, drawn = draw_city(600, 600)
    moved = ndimage.shift(drawn.astype(float), (y, x, 0), order=1, mode="nearest").round().astype(np.uint8)
    found = measured(aerial[44:556, 44:556], moved[44:556, 44:556])
    assert found is not None
    assert (found.x, found.y) == pytest.approx((x, y), abs=0.3)


def test_what_cannot_be_told_is_not_guessed() -> None:
    aerial, drawn = draw_city(512, 512)
    blank = np.full_like(drawn, 230)
    stripes = np.broadcast_to(np.sin(np.arange(512) / 7)[:, None, None] > 0.9, drawn.shape).astype(np.uint8) * 90
    other_place, _ = draw_city(512, 512, seed=9)
    assert measured(aerial, blank) is None
    assert measured(blank, blank) is None
    assert measured(stripes, stripes) is None  # it may have slid along them
    assert measured(np.rot90(other_place).copy(), drawn) is None


def test_pictures_that_say_little_alone_say_it_together() -> None:
    total, clear = np.zeros((65, 65)), 0
    for seed in range(12):
        aerial, drawn = draw_city(152, 152, seed)
        noisy = np.clip(aerial + np.random.default_rng(seed).normal(0, 140, aerial.shape), 0, 255).astype(np.uint8)
        surface = correlation(noisy[12:140, 12:140], drawn[7:135, 20:148], np.ones((128, 128), dtype=np.bool_))
        clear += find_shift(surface) is not None
        total += surface
    found = find_shift(total)
    assert clear < 12
    assert found is not None
    assert (found.x, found.y) == pytest.approx((-8, 5), abs=0.3)


def test_the_rim_of_missing_data_is_no_edge() -> None:
    """Both sides are empty in one place, which would say: no shift."""
    aerial, drawn = draw_city(600, 600)
    mask = np.ones((512, 512), dtype=np.bool_)
    mask[:, :200] = False
    scene, moved = aerial[44:556, 44:556].copy(), drawn[44:556, 52:564].copy()
    scene[~mask], moved[~mask] = 0, 0
    found = find_shift(correlation(scene, moved, mask))
    assert found is not None
    assert (found.x, found.y) == pytest.approx((-8, 0), abs=0.3)


def test_shifts_in_words() -> None:
    assert Shift(1.21, -0.44).words() == "1.2 px east and 0.4 px north"
    assert (-Shift(1.21, -0.44)).words(0.5, "m") == "0.6 m west and 0.2 m south"


# Cutting


@given(st.integers(0, 5000), st.integers(0, 5000), st.integers(1, 900), st.integers(1, 900), st.integers(64, 700))
def test_pictures_tile_a_window_without_overlap(left: int, top: int, width: int, height: int, size: int) -> None:
    window = PixelWindow(left, top, left + width, top + height)
    found = list(cells(window, size))
    parts = [cell_window(cell, size).intersection(window) for cell in found]
    assert not any(part.empty for part in parts)
    assert sum(part.width * part.height for part in parts) == width * height
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("size", [256, 320])
def test_pictures_hold_the_pixels_of_their_place(size: int, city: tuple[Path, Path], tmp_path: Path) -> None:
    """Rasters on the grid need no warp: every picture is a crop of them, found by its name alone."""
    pair_set = cut(*city, tmp_path / "pairs", size=size)
    found = pictures_of(tmp_path / "pairs")
    assert len(found) == pair_set.count > 3
    for path in found.values():
        window = cell_window(cell_of(path), size)
        part = Window(window.left - CORNER[0], window.top - CORNER[1], size, size)
        for side, original in zip(load_pair(path), city, strict=True):
            with rasterio.open(original) as dataset:
                np.testing.assert_array_equal(side, np.moveaxis(dataset.read(window=part), 0, -1))


def test_warped_pictures_agree_with_an_independent_warp(tmp_path: Path) -> None:
    make_town(tmp_path / "town.tif", tmp_path / "truth.tif", size=700, seed=2)
    out = tmp_path / "pairs"
    make_pairs(tmp_path / "town.tif", tmp_path / "truth.tif", out, zoom=ZOOM, size=128, map_resampling="nearest")
    compared = 0
    for path in list(pictures_of(out).values())[::3]:
        transform = grid.window_transform(cell_window(cell_of(path), 128), ZOOM)
        sides = zip(load_pair(path), ("town.tif", "truth.tif"), (Resampling.cubic, Resampling.nearest), strict=True)
        for side, name, resampling in sides:
            options = {"crs": "EPSG:3857", "transform": transform, "width": 128, "height": 128, "tolerance": 1e-6}
            with (
                rasterio.open(tmp_path / name) as dataset,
                WarpedVRT(dataset, resampling=resampling, XSCALE=1, YSCALE=1, **options) as vrt,
            ):
                difference = np.abs(side.astype(int) - np.moveaxis(vrt.read(), 0, -1))
            assert (difference <= 1).mean() > 0.995, (name, difference.max())
            compared += 1
    assert compared >= 6


def test_a_folder_of_tiles_is_as_good_as_a_raster(city: tuple[Path, Path], tmp_path: Path) -> None:
    with rasterio.open(city[1]) as dataset:
        pixels = np.moveaxis(dataset.read(), 0, -1)
    window = PixelWindow(CORNER[0], CORNER[1], CORNER[0] + 1300, CORNER[1] + 1000)
    source = ArraySource(window, pixels, np.ones(pixels.shape[:2], dtype=np.bool_))
    layer = PairLayer("drawn", ZOOM, window, source)
    (tmp_path / "tiles").mkdir()
    store, tiles = FolderStore(tmp_path / "tiles", ".png"), grid.tile_range(window)
    for tile in (Tile(x, y, ZOOM) for y in range(tiles.top, tiles.bottom) for x in range(tiles.left, tiles.right)):
        whole = grid.tile_window(tile)
        image, mask = layer.read(whole)
        store.put(tile, encode_tile(image, mask, "png"))
    cut(*city, tmp_path / "of_raster", size=320)
    cut(city[0], tmp_path / "tiles", tmp_path / "of_tiles", size=320)
    of_raster, of_tiles = (pictures_of(tmp_path / name) for name in ("of_raster", "of_tiles"))
    assert of_raster.keys() == of_tiles.keys()
    assert all(of_raster[name].read_bytes() == of_tiles[name].read_bytes() for name in of_raster)
    with pytest.raises(ZoomError, match=r"no tiles at zoom 16; it has zoom 17"):
        cut(city[0], tmp_path / "tiles", tmp_path / "no", zoom=16)


def test_the_same_input_gives_the_same_bytes(city: tuple[Path, Path], tmp_path: Path) -> None:
    for name in ("one", "two"):
        make_pairs(*city, tmp_path / name, zoom=ZOOM, size=256, seed=4)
    one, two = ({path.relative_to(f): path.read_bytes() for path in f.rglob("*.*")} for f in tmp_path.iterdir())
    assert one == two


def test_neighbours_stay_together(city: tuple[Path, Path], tmp_path: Path) -> None:
    pair_set = cut(*city, tmp_path / "pairs", size=128, block=2)
    split_of_block: dict[Cell, set[str]] = {}
    for path in pictures_of(tmp_path / "pairs").values():
        split_of_block.setdefault(cell_of(path).block(2), set()).add(path.parent.name)
    assert all(len(names) == 1 for names in split_of_block.values())
    assert sum(pair_set.split.blocks.values()) == len(split_of_block)


def test_what_the_trainer_reads(city: tuple[Path, Path], tmp_path: Path) -> None:
    pair_set = make_pairs(*city, tmp_path / "pairs", zoom=ZOOM, size=256, format="jpeg", palette=MAPS_PALETTE)
    train, val = list_splits(tmp_path / "pairs")
    assert (len(train), len(val)) == (pair_set.split.pictures["train"], pair_set.split.pictures["val"])
    assert read_facts(tmp_path / "pairs") == (ZOOM, pair_set.ground_resolution)
    facts = json.loads((tmp_path / "pairs" / "pairs.json").read_text(encoding="utf-8"))
    assert facts == pair_set.to_dict()
    assert pair_set.ground_resolution == pytest.approx(0.905, abs=0.002)
    assert str(tmp_path) not in json.dumps(facts)
    for shares in pair_set.class_shares.values():
        assert sum(shares.values()) == pytest.approx(1, abs=1e-4)
        assert shares["land"] > shares["building"] > shares["water"] == 0


# What is left out


@pytest.fixture(scope="module")
def holed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The scene has no data in its western third, the map none in its southern one."""
    folder = tmp_path_factory.mktemp("holed")
    aerial, drawn = draw_city(1000, 1300)
    aerial[:, :430], drawn[700:] = 0, 0
    return write_aligned(folder / "a.tif", aerial, nodata=0), write_aligned(folder / "b.tif", drawn, nodata=0)


@pytest.mark.slow
def test_pictures_without_full_data_are_left_out(holed: tuple[Path, Path], tmp_path: Path) -> None:
    full = cut(*holed, tmp_path / "full", size=128)
    most = cut(*holed, tmp_path / "most", size=128, min_valid=0.4)
    assert 0 < full.count < most.count
    assert full.dropped["nodata"] - most.dropped["nodata"] == most.count - full.count
    for path in pictures_of(tmp_path / "full").values():
        window = cell_window(cell_of(path), 128)
        assert window.left >= CORNER[0] + 430
        assert window.bottom <= CORNER[1] + 700
    for path in pictures_of(tmp_path / "most").values():
        assert all((side > 0).all() for side in load_pair(path)), "holes are filled from nearby"


@pytest.mark.slow
def test_blank_maps_are_kept_as_asked(tmp_path: Path) -> None:
    aerial, drawn = draw_city(1000, 1300)
    drawn[:, :700] = WATER
    scene, sea = write_aligned(tmp_path / "a.tif", aerial), write_aligned(tmp_path / "b.tif", drawn)
    every, half, none = (cut(scene, sea, tmp_path / f"{share}", size=128, keep_blank=share) for share in (1, 0.5, 0))
    assert every.dropped["blank"] == 0 < half.dropped["blank"] < none.dropped["blank"]
    assert not any(is_blank(load_pair(path)[1]) for path in pictures_of(tmp_path / "0").values())


@pytest.mark.slow
def test_a_map_that_lies_off_is_told_and_dropped(city: tuple[Path, Path], tmp_path: Path) -> None:
    _, drawn = draw_city(1000, 1300)
    off = write_aligned(tmp_path / "off.tif", drawn, offset=(7, -4))
    fine = make_pairs(*city, tmp_path / "fine", zoom=ZOOM, size=256)
    assert fine.notes == ()
    assert fine.registration is not None
    assert fine.registration.shift is not None
    assert fine.registration.shift.length < 0.2
    warned = make_pairs(city[0], off, tmp_path / "warned", zoom=ZOOM, size=256)
    assert warned.registration is not None
    assert warned.registration.shift is not None
    assert (warned.registration.shift.x, warned.registration.shift.y) == pytest.approx((7, -4), abs=0.2)
    assert re.search(r"off by 8\.\d px \(7\.3 m\), 7\.0 px east and 4\.0 px north", warned.notes[0])
    assert "move the map 6.3 m west and 3.6 m south" in warned.notes[0]
    assert make_pairs(city[0], off, tmp_path / "allowed", zoom=ZOOM, size=256, max_shift=9).notes == ()
    assert make_pairs(city[0], off, tmp_path / "unseen", zoom=ZOOM, size=256, registration="off").registration is None
    with pytest.raises(DataError, match=r"not one of the .* registration\).*off by 8\.\d px .7.3 m..*max_shift"):
        make_pairs(city[0], off, tmp_path / "dropped", zoom=ZOOM, size=256, registration="drop")
    assert not (tmp_path / "dropped").exists()


@pytest.mark.slow
def test_only_what_lies_off_is_dropped(city: tuple[Path, Path], tmp_path: Path) -> None:
    _, drawn = draw_city(1000, 1300)
    drawn[:, 700:] = drawn[:, 690:1290]
    torn = write_aligned(tmp_path / "torn.tif", drawn)
    warned = make_pairs(city[0], torn, tmp_path / "warned", zoom=ZOOM, size=128)
    kept = make_pairs(city[0], torn, tmp_path / "kept", zoom=ZOOM, size=128, registration="drop")
    assert warned.registration is not None
    assert 0 < warned.registration.misplaced < warned.count
    assert any("set registration to drop" in note for note in warned.notes)
    assert kept.count == warned.count - kept.dropped["registration"]
    lost = pictures_of(tmp_path / "warned").keys() - pictures_of(tmp_path / "kept").keys()
    assert all(cell_window(cell_of(Path(name)), 128).right > CORNER[0] + 700 for name in lost)


# What cannot be


def layer(left: int, right: int) -> PairLayer:
    nothing = ArraySource(PixelWindow(0, 0, 0, 0), np.zeros((0, 0, 3), np.uint8), np.zeros((0, 0), np.bool_))
    return PairLayer("here", 4, PixelWindow(left, 1000, right, 1100), nothing)


def test_scene_and_map_meet_across_the_antimeridian() -> None:
    world = grid.world_window(4).width
    assert common_window(layer(world - 50, world + 40), layer(10, 90)) == (world + 10, 1000, world + 40, 1100)
    assert common_window(layer(0, 30), layer(world - 20, world + 20)) == (0, 1000, 20, 1100)
    with pytest.raises(DataError, match=r"0.0 km|km east"):
        common_window(layer(0, 30), layer(100, 200))


def test_a_map_of_another_place(city: tuple[Path, Path], tmp_path: Path) -> None:
    _, drawn = draw_city(300, 300)
    far = write_aligned(tmp_path / "far.tif", drawn, offset=(1300 + 11_050, 0))
    with pytest.raises(DataError, match=r"do not overlap: the map is 10 km away \(10.0 km east"):
        make_pairs(city[0], far, tmp_path / "pairs", zoom=ZOOM)
    assert not (tmp_path / "pairs").exists()


def test_a_map_with_more_than_8_bits(city: tuple[Path, Path], tmp_path: Path) -> None:
    heights = np.random.default_rng(0).integers(0, 4000, (300, 300, 3)).astype(np.uint16)
    with pytest.raises(DataError, match=r"values range from .* 8-bit RGB"):
        make_pairs(city[0], write_aligned(tmp_path / "dem.tif", heights), tmp_path / "pairs", zoom=ZOOM)


def test_a_16_bit_scene_is_stretched_once(city: tuple[Path, Path], tmp_path: Path) -> None:
    aerial, _ = draw_city(1000, 1300)
    scene = write_aligned(tmp_path / "deep.tif", aerial.astype(np.uint16) * 40)
    pair_set = cut(scene, city[1], tmp_path / "pairs", size=256)
    assert pair_set.stretch is not None
    low, high = pair_set.stretch[0]
    for path in pictures_of(tmp_path / "pairs").values():
        window = cell_window(cell_of(path), 256)
        rows, columns = (slice(window.top - CORNER[1], None), slice(window.left - CORNER[0], None))
        exact = (aerial[rows, columns][:256, :256, 0] * 40.0 - low) / (high - low) * 255
        assert np.abs(load_pair(path)[0][..., 0] - np.clip(exact, 0, 255)).max() <= 0.51


def test_no_picture_is_left(city: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not one of the 4 pictures .* \(4 nodata\); lower size"):
        cut(*city, tmp_path / "pairs", size=1280)


@pytest.mark.parametrize(
    "options",
    [{"size": 10}, {"shares": (0, 50, 50)}, {"min_valid": 0}, {"keep_blank": 2}, {"block": 0}, {"max_shift": 0}],
)
def test_options_that_make_no_sense(options: dict[str, Any], city: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"out of range|unusable shares"):
        cut(*city, tmp_path / "pairs", **options)


def test_a_failure_in_the_middle_leaves_nothing(city: tuple[Path, Path], tmp_path: Path) -> None:
    def fail(stage: str, done: int, total: int) -> None:
        assert (stage, total) == ("pictures", 30)
        if done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut(*city, tmp_path / "new" / "pairs", size=256, progress=fail)
    assert not list(tmp_path.iterdir())


def test_only_pairs_are_overwritten(city: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "pairs"
    cut(*city, out, size=256)
    before = snapshot(tmp_path)
    with pytest.raises(OutputError, match="set overwrite"):
        cut(*city, out, size=320)
    assert snapshot(tmp_path) == before
    cut(*city, out, size=320, overwrite=True)
    assert Pillow.open(next(iter(pictures_of(out).values()))).size == (640, 320)
    (out / "train" / "letter.txt").write_text("dear reader")
    before = snapshot(tmp_path)
    with pytest.raises(OutputError, match=r"letter.txt in it does not belong"):
        cut(*city, out, size=256, overwrite=True)
    assert snapshot(tmp_path) == before


def test_the_report(city: tuple[Path, Path], tmp_path: Path) -> None:
    pair_set = make_pairs(*city, tmp_path / "pairs", zoom=ZOOM, size=256, palette=MAPS_PALETTE)
    assert isinstance(pair_set, PairSet)
    lines = str(pair_set).splitlines()
    assert lines[0] == f"aerial and drawn: {pair_set.count} pairs of 256 x 256 px at zoom 17, 0.905 m per pixel"
    assert lines[1].startswith("pictures (and blocks of 1 x 1): train ")
    assert "off" in lines[3]
    assert lines[4].startswith("train: land ")


def test_a_map_outside_its_folder_is_refused_unless_allowed(tmp_path: Path) -> None:
    """The map is a stranger's file as much as the scene is."""
    (tmp_path / "maps").mkdir()
    write = {"driver": "GTiff", "width": 600, "height": 600, "count": 3, "dtype": "uint8", "crs": "EPSG:32618"}
    with rasterio.open(
        tmp_path / "scene.tif", "w", **write, transform=Affine(0.9, 0, 590_000, 0, -0.9, 4_510_000)
    ) as file:
        file.write(np.random.default_rng(0).integers(1, 255, (3, 600, 600), dtype=np.uint8))
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{band}"><SimpleSource><SourceFilename relativeToVRT="1">../scene.tif'
        f"</SourceFilename><SourceBand>{band}</SourceBand></SimpleSource></VRTRasterBand>"
        for band in (1, 2, 3)
    )
    (tmp_path / "maps" / "map.tif").write_text(
        '<VRTDataset rasterXSize="600" rasterYSize="600"><SRS>EPSG:32618</SRS>'
        f"<GeoTransform>590000,0.9,0,4510000,0,-0.9</GeoTransform>{bands}</VRTDataset>"
    )
    cut = {"zoom": 17, "size": 64, "registration": "off"}
    with pytest.raises(SceneError, match="refers to a file outside its folder") as found:
        make_pairs(tmp_path / "scene.tif", tmp_path / "maps" / "map.tif", tmp_path / "pairs", **cut)
    assert found.value.option == "allow_outside"
    cut["allow_outside"] = True
    make_pairs(tmp_path / "scene.tif", tmp_path / "maps" / "map.tif", tmp_path / "pairs", **cut)
    assert (tmp_path / "pairs" / "pairs.json").is_file()
