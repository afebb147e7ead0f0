"""Class tiles: their codes are read without a detour over colours."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo2map.colour.palette import Palette
from geo2map.errors import TileSetError
from geo2map.tiles.classes import ClassCodec, class_colours, read_codes
from geo2map.tiles.codec import decode_tile, encode_tile

TOWN = Palette(
    (
        ("land", (230, 228, 220)),
        ("highway", (250, 160, 40)),
        ("road", (255, 255, 255)),
        ("highway", (255, 225, 100)),
    )
)
OTHER = Palette((("land", (230, 228, 221)), ("highway", (250, 160, 40)), ("road", (255, 255, 255))))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.3, 1.0]))
def test_codes_are_those_of_the_colours(seed: int, valid: float) -> None:
    random = np.random.default_rng(seed)
    mask = random.random((256, 256)) < valid
    data = ClassCodec(TOWN).encode(random.integers(0, 256, (256, 256, 3), np.uint8), mask)
    pixels, decoded = decode_tile(data)
    codes = read_codes(data, TOWN)
    assert codes is not None
    assert np.array_equal(codes, np.where(decoded, TOWN.classify(pixels), 3))
    assert np.array_equal(decoded, mask)


def test_only_tiles_of_the_palette_have_its_codes() -> None:
    pixels, mask = np.full((256, 256, 3), 255, np.uint8), np.ones((256, 256), bool)
    data = ClassCodec(TOWN).encode(pixels, mask)
    assert read_codes(data, OTHER) is None
    assert read_codes(encode_tile(pixels, mask, "png"), TOWN) is None
    first = Palette(tuple(zip(TOWN.classes, map(tuple, class_colours(TOWN).tolist()), strict=True)))
    assert np.array_equal(read_codes(data, first), read_codes(data, TOWN))


@pytest.mark.parametrize("cut", [0, 40, -60])
def test_damaged(cut: int) -> None:
    data = ClassCodec(TOWN).encode(np.zeros((256, 256, 3), np.uint8), np.ones((256, 256), bool))
    with pytest.raises(TileSetError):
        read_codes(data[:cut], TOWN)
