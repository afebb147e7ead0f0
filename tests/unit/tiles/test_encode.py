"""Tiles as bytes and back."""

from __future__ import annotations

import io
from typing import get_args

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo2map.errors import TileSetError
from geo2map.tiles.codec import decode_tile, encode_tile
from geo2map.types import PictureFormat

RNG = np.random.default_rng(7)
FULL = np.ones((256, 256), dtype=np.bool_)
HALF = FULL.copy()
HALF[:, :100] = False


def _noise() -> np.ndarray:
    return RNG.integers(0, 256, (256, 256, 3), dtype=np.uint8)


def _smooth() -> np.ndarray:
    ramp = np.linspace(40, 200, 256).astype(np.uint8)
    across = np.broadcast_to(ramp, (256, 256))
    return np.dstack([across, across.T, np.full_like(across, 90)])


def _file(mode: str, size: tuple[int, int] = (256, 256), format: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    PIL.Image.new(mode, size, **options).save(file, format=format)
    return file.getvalue()


@given(seed=st.integers(0, 2**32 - 1), density=st.floats(0, 1))
@settings(max_examples=15, deadline=None)
def test_png_round_trip_is_lossless(seed: int, density: float) -> None:
    rng = np.random.default_rng(seed)
    pixels, mask = rng.integers(0, 256, (256, 256, 3), dtype=np.uint8), rng.random((256, 256)) < density
    found, valid = decode_tile(encode_tile(pixels, mask, "png"))
    assert np.array_equal(valid, mask)
    assert np.array_equal(found, pixels * mask[..., None])


def test_png_is_rgb_only_where_fully_valid_and_zero_in_all_bands_where_not() -> None:
    full = PIL.Image.open(io.BytesIO(encode_tile(_noise(), FULL, "png")))
    half = PIL.Image.open(io.BytesIO(encode_tile(_noise(), HALF, "png")))
    assert (full.mode, half.mode) == ("RGB", "RGBA")
    assert not np.array(half)[~HALF].any()


@pytest.mark.parametrize("mask", [FULL, HALF])
def test_webp_keeps_alpha_exactly_and_colours_nearly(mask: np.ndarray) -> None:
    pixels = _smooth()
    found, valid = decode_tile(encode_tile(pixels, mask, "webp"))
    assert np.array_equal(valid, mask)
    assert np.abs(found.astype(int) - pixels)[mask].max() < 16
    assert not found[~mask].any()


def test_jpeg_paints_invalid_pixels_white() -> None:
    pixels = _smooth()
    found, valid = decode_tile(encode_tile(pixels, HALF, "jpeg"))
    assert valid.all()
    assert found[:, :88].min() > 250
    assert np.abs(found.astype(int) - pixels)[:, 112:].max() < 8


def test_jpeg_keeps_colour_at_full_resolution() -> None:
    picture = PIL.Image.open(io.BytesIO(encode_tile(_noise(), FULL, "jpeg")))
    assert [layer[1:3] for layer in picture.layer] == [(1, 1)] * 3


@pytest.mark.parametrize("format", get_args(PictureFormat))
@pytest.mark.parametrize("mask", [FULL, HALF])
def test_bytes_are_deterministic_and_independent_of_memory_layout(format: str, mask: np.ndarray) -> None:
    pixels = _noise()
    frame = np.zeros((300, 300, 3), dtype=np.uint8)
    frame[20:276, 20:276] = pixels
    assert encode_tile(pixels, mask, format) == encode_tile(frame[20:276, 20:276], np.asfortranarray(mask), format)


@pytest.mark.parametrize("format", get_args(PictureFormat))
def test_what_invalid_pixels_held_does_not_reach_the_bytes(format: str) -> None:
    pixels, other = _noise(), _noise()
    other[HALF] = pixels[HALF]
    assert encode_tile(pixels, HALF, format) == encode_tile(other, HALF, format)


def test_webp_does_not_bleed_at_the_rim() -> None:
    pixels = np.full((256, 256, 3), 230, dtype=np.uint8)
    found, _ = decode_tile(encode_tile(pixels, HALF, "webp"))
    assert np.abs(found.astype(int) - 230)[HALF].max() <= 2


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_reads_all_8_bit_kinds(mode: str) -> None:
    pixels, mask = decode_tile(_file(mode))
    assert (pixels.shape, pixels.dtype, mask.dtype) == ((256, 256, 3), np.uint8, np.bool_)
    assert mask.all() == (mode not in {"LA", "RGBA"})


def test_reads_a_palette_with_a_transparent_entry() -> None:
    picture = PIL.Image.fromarray(np.where(HALF, np.uint8(1), np.uint8(0)))
    picture.putpalette([9, 9, 9, 10, 20, 30])
    file = io.BytesIO()
    picture.save(file, format="PNG", transparency=0)
    pixels, mask = decode_tile(file.getvalue())
    assert np.array_equal(mask, HALF)
    assert np.array_equal(np.unique(pixels[HALF], axis=0), [[10, 20, 30]])
    assert not pixels[~HALF].any()


GOOD = encode_tile(_noise(), FULL, "png")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty file"),
        (b"<html>404</html>", "cannot be read"),
        (GOOD[: len(GOOD) // 2], "cannot be read"),
        (GOOD[:60] + bytes(200) + GOOD[260:], "cannot be read"),
        (_file("RGB", (512, 512)), "512 x 512 px"),
        (_file("I;16"), "8 bits"),
        (_file("RGB", format="GIF"), "cannot be read"),
    ],
)
def test_a_broken_tile_is_named_as_such(data: bytes, said: str) -> None:
    with pytest.raises(TileSetError, match=said):
        decode_tile(data)


@given(cut=st.integers(1, 2000), flip=st.integers(0, 255))
@settings(max_examples=60, deadline=None)
def test_damage_never_raises_anything_else(cut: int, flip: int) -> None:
    data = bytearray(encode_tile(_smooth(), HALF, "png"))
    data[cut % len(data)] ^= flip
    try:
        pixels, _ = decode_tile(bytes(data))
    except TileSetError:
        return
    assert pixels.shape == (256, 256, 3)
