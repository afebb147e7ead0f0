"""Few colours: learned the same each time, found exactly, stored in few bytes."""

from __future__ import annotations

import io
import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from geo2map.colour.colours import colours_json, load_colours, maps_colours
from geo2map.colour.learn import learn_palette
from geo2map.colour.palette import MAPS_PALETTE
from geo2map.colour.quantizer import PaletteQuantizer, check_colours
from geo2map.errors import DataError
from geo2map.formats.documents.sidecars import legend_table
from geo2map.tiles.codec import decode_tile, encode_tile
from geo2map.tiles.indexed import IndexedCodec, encode_indexed
from geo2map.tiles.pyramid import make_parent

FIXED = [colour for _, colour in MAPS_PALETTE.entries]
WHOLE = np.ones((256, 256), np.bool_)
levels = st.integers(0, 255)
palettes = st.lists(st.tuples(levels, levels, levels), min_size=1, max_size=40, unique=True)
close = st.lists(st.tuples(*[st.integers(100, 110)] * 3), min_size=1, max_size=40, unique=True)


def brute(pixels: np.ndarray, colours: Any) -> np.ndarray:
    distance = (pixels[..., None, :].astype(int) - np.asarray(colours).astype(int)) ** 2
    return np.asarray(distance.sum(axis=-1).argmin(axis=-1))


def noisy_map(seed: int, noise: float = 4) -> np.ndarray:
    """A tile of fields in the class colours, with soft borders and noise."""
    rng = np.random.default_rng(seed)
    fields = np.array(FIXED, float)[rng.integers(0, len(FIXED), (8, 8))].repeat(32, axis=0).repeat(32, axis=1)
    soft = (fields + np.roll(fields, 1, 0) + np.roll(fields, 1, 1)) / 3
    return np.asarray((soft + rng.normal(0, noise, soft.shape)).round().clip(0, 255).astype(np.uint8))


# Nearest colours


@given(palettes | close, hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_the_nearest_colour_is_found_exactly(colours: list[tuple[int, int, int]], pixels: np.ndarray) -> None:
    assert np.array_equal(PaletteQuantizer(colours).indices(pixels), brute(pixels, colours))


@given(close, hnp.arrays(np.uint8, (40, 3), elements=st.integers(96, 114)))
def test_ties_go_to_the_first_across_borders_of_the_table(
    colours: list[tuple[int, int, int]], pixels: np.ndarray
) -> None:
    assert np.array_equal(PaletteQuantizer(colours).indices(pixels), brute(pixels, colours))


def test_the_packaged_colours_are_found_exactly_on_noise() -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    pixels[:30] = noisy_map(1)[:30, :60]
    quantizer = PaletteQuantizer(maps_colours())
    assert np.array_equal(quantizer.indices(pixels), brute(pixels, maps_colours()))
    assert np.array_equal(quantizer(pixels), maps_colours()[brute(pixels, maps_colours())])


def test_colours_of_the_palette_stay_as_they_are() -> None:
    quantizer = PaletteQuantizer(maps_colours())
    assert quantizer.indices(maps_colours()).tolist() == list(range(255))
    once = quantizer(noisy_map(2))
    assert np.array_equal(quantizer(once), once)


def test_views_and_empty_pictures() -> None:
    quantizer = PaletteQuantizer(FIXED)
    picture = noisy_map(4)
    assert np.array_equal(quantizer.indices(picture[::3, ::-2]), brute(picture[::3, ::-2], FIXED))
    assert quantizer.indices(np.empty((0, 5, 3), np.uint8)).shape == (0, 5)


def test_many_threads_share_one() -> None:
    tiles = [noisy_map(seed) for seed in range(8)]
    quantizer = PaletteQuantizer(maps_colours())
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(quantizer.indices, tiles))
    alone = PaletteQuantizer(maps_colours())
    assert all(np.array_equal(one, alone.indices(tile)) for one, tile in zip(found, tiles, strict=True))


def test_the_whole_table_says_the_same() -> None:
    table = PaletteQuantizer(FIXED).table()
    assert (table.shape, table.dtype) == ((256, 256, 256), np.uint8)
    pixels = np.random.default_rng(5).integers(0, 256, (500, 3), dtype=np.uint8)
    assert np.array_equal(table[tuple(pixels.T)], brute(pixels, FIXED))


@pytest.mark.parametrize(
    ("colours", "says"),
    [
        ([], "give 1 to 255"),
        ([[1, 2]], "give 1 to 255"),
        ([1, 2, 3], "give 1 to 255"),
        ([(i % 256, i // 256, 0) for i in range(256)], "give 1 to 255"),
        ([(0, 0, 256)], "whole numbers"),
        ([(0, 0, -1)], "whole numbers"),
        ([(0.5, 0, 0)], "whole numbers"),
        ([(1, 2, 3), (1, 2, 3)], "twice"),
    ],
)
def test_colours_that_cannot_be(colours: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        check_colours(colours)


# Learning


def test_the_packaged_colours_are_the_classes_and_those_between() -> None:
    assert maps_colours().shape == (255, 3)
    assert maps_colours()[: len(FIXED)].tolist() == [list(colour) for colour in FIXED]
    distance = np.abs(maps_colours()[7:, None].astype(int) - np.array(FIXED)).max(axis=-1).min(axis=1)
    assert (distance > 2).all()


def test_learning_is_the_same_each_time_and_in_each_order() -> None:
    pictures = [noisy_map(seed) for seed in range(5)]
    first = learn_palette(pictures, FIXED, size=64)
    assert np.array_equal(first, learn_palette(iter(pictures[::-1]), FIXED, size=64))
    assert first[:7].tolist() == [list(colour) for colour in FIXED]
    assert 40 < len(first) <= 64
    assert not np.array_equal(first, learn_palette(pictures, FIXED, size=64, calm=12))


def test_noise_around_a_flat_colour_teaches_nothing_and_snaps_to_it() -> None:
    rng = np.random.default_rng(0)
    flat = np.array([200, 100, 50]) + rng.integers(-3, 4, (200, 200, 3))
    flat[:9, :9] = (20, 220, 220)
    learned = learn_palette([flat.astype(np.uint8)], [(200, 100, 50)])
    assert learned.tolist() == [[200, 100, 50], [20, 220, 220]]
    assert (PaletteQuantizer(learned)(flat[9:].astype(np.uint8)) == (200, 100, 50)).all()


def test_more_colours_come_nearer() -> None:
    pictures = [noisy_map(seed) for seed in range(3)]
    errors = []
    for size in (7, 16, 64, 255):
        quantizer = PaletteQuantizer(learn_palette(pictures, FIXED, size=size))
        errors.append(sum(float(((quantizer(p).astype(float) - p) ** 2).mean()) for p in pictures))
    assert all(after < 0.9 * before for before, after in itertools.pairwise(errors))


@pytest.mark.parametrize(
    ("pictures", "fixed", "size"), [(0, FIXED, 255), (1, FIXED, 6), (1, FIXED, 256), (1, [], 9), (1, FIXED[:1] * 2, 9)]
)
def test_learning_that_cannot_be(pictures: int, fixed: list[tuple[int, int, int]], size: int) -> None:
    with pytest.raises(DataError):
        learn_palette([noisy_map(0)] * pictures, fixed, size=size)


# Files


def test_colours_come_back_from_their_file(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(colours_json(maps_colours()))
    assert np.array_equal(load_colours(tmp_path / "c.json"), maps_colours())
    (tmp_path / "c.tsv").write_bytes(legend_table([*MAPS_PALETTE.entries, ("river", FIXED[3])]))
    assert load_colours(tmp_path / "c.tsv").tolist() == [list(colour) for colour in FIXED]


@pytest.mark.parametrize("text", ["[", "[]", "[1]", '["#12345"]', '["#12345g"]', '["#000000", "#000000"]', "", "{}"])
def test_a_broken_file_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(DataError, match=r"c\.json"):
        load_colours(tmp_path / "c.json")
    with pytest.raises(DataError, match="nowhere"):
        load_colours(tmp_path / "nowhere")


# Indexed tiles


def holed() -> np.ndarray:
    mask = WHOLE.copy()
    mask[40:90, 30:200] = False
    return mask


@pytest.mark.parametrize("mask", [WHOLE, holed(), ~WHOLE], ids=["whole", "holed", "empty"])
@pytest.mark.parametrize("colours", [FIXED, "packaged"], ids=["seven", "packaged"])
def test_an_indexed_tile_comes_back_as_it_was_snapped(colours: Any, mask: np.ndarray) -> None:
    quantizer = PaletteQuantizer(maps_colours() if colours == "packaged" else colours)
    pixels = noisy_map(1, noise=12)
    codec = IndexedCodec(quantizer)
    data = codec.encode(pixels, mask)
    found, valid = codec.decode(data)
    assert np.array_equal(valid, mask)
    assert np.array_equal(found, quantizer(pixels) * mask[..., None])
    assert codec.encode(found, valid) == data == codec.encode(pixels.copy(), mask)
    with PIL.Image.open(io.BytesIO(data)) as picture:
        assert (picture.mode, picture.format) == ("P", "PNG")


def test_all_255_colours_and_transparency_fit() -> None:
    indices = (np.arange(256 * 256) % 255).astype(np.uint8).reshape(256, 256)
    mask = holed()
    found, valid = decode_tile(encode_indexed(indices, mask, maps_colours()))
    assert np.array_equal(valid, mask)
    assert np.array_equal(found[mask], maps_colours()[indices][mask])


def test_what_invalid_pixels_held_never_reaches_the_bytes() -> None:
    mask = holed()
    one = noisy_map(1)
    other = np.where(mask[..., None], one, noisy_map(2, noise=50))
    codec = IndexedCodec(PaletteQuantizer(maps_colours()))
    assert codec.encode(one, mask) == codec.encode(other, mask)


def test_few_colours_take_few_bytes() -> None:
    codec = IndexedCodec(PaletteQuantizer(maps_colours()))
    assert len(codec.encode(np.full((256, 256, 3), FIXED[3], np.uint8), WHOLE)) < 150
    pixels = noisy_map(5, noise=2)
    assert len(codec.encode(pixels, WHOLE)) < len(encode_tile(pixels, WHOLE, "png")) / 3


def test_a_parent_is_averaged_in_colour_and_snapped() -> None:
    codec = IndexedCodec(PaletteQuantizer(maps_colours()))
    children = {
        place: codec.decode(codec.encode(noisy_map(seed), WHOLE))
        for seed, place in enumerate([(0, 0), (1, 0), (0, 1), (1, 1)])
    }
    pixels, mask = make_parent(children)
    found, _ = codec.decode(codec.encode(pixels, mask))
    assert np.array_equal(found, codec.quantizer(pixels))


def test_gdal_reads_the_colours_of_an_indexed_tile(tmp_path: Path) -> None:
    mask = holed()
    codec = IndexedCodec(PaletteQuantizer(maps_colours()))
    (tmp_path / "t.png").write_bytes(codec.encode(noisy_map(1), mask))
    with rasterio.open(tmp_path / "t.png") as dataset:
        table = np.array([dataset.colormap(1)[i] for i in range(256) if i in dataset.colormap(1)], dtype=np.uint8)
        seen = table[dataset.read(1)]
    assert np.array_equal(seen[..., 3] > 0, mask)
    assert np.array_equal(seen[..., :3][mask], codec.quantizer(noisy_map(1))[mask])
