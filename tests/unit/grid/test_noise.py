"""Noise is a function of global position: what makes texture without making seams."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geo2map.engine import Engine
from geo2map.errors import ModelFileError
from geo2map.evaluate.translate import translate_picture, translate_tiled
from geo2map.families import build
from geo2map.grid import PixelWindow, add_noise, world_window
from geo2map.testing import make_card

windows = st.builds(
    lambda left, top, width, height: PixelWindow(left, top, left + width, top + height),
    st.integers(-300, 2**32),
    st.integers(-300, 2**32),
    st.integers(1, 40),
    st.integers(1, 40),
)


def levels(window: PixelWindow, zoom: int = 18, bands: int = 2) -> np.ndarray:
    pixels = np.zeros((window.height, window.width, 3), np.uint8)
    return add_noise(pixels, window, zoom, bands)[..., 3:]


@given(windows, st.integers(0, 12), st.integers(0, 12))
def test_overlapping_windows_agree(window: PixelWindow, right: int, down: int) -> None:
    moved = PixelWindow(window.left + right, window.top + down, window.right + right, window.bottom + down)
    ours, theirs = levels(window), levels(moved)
    common = window.intersection(moved)
    if not common.empty:
        np.testing.assert_array_equal(ours[common.slices(window)], theirs[common.slices(moved)])


def test_columns_are_counted_modulo_the_world() -> None:
    width = world_window(3).width
    around, first = PixelWindow(width - 9, 40, width + 20, 60), PixelWindow(0, 40, 20, 60)
    np.testing.assert_array_equal(levels(around, 3)[:, 9:], levels(first, 3))


def test_levels_are_evenly_spread_and_know_nothing_of_each_other() -> None:
    found = levels(PixelWindow(70_000, 90_000, 70_512, 90_512), bands=3).astype(float)
    counts = np.bincount(found.astype(int).ravel(), minlength=256)
    expected = found.size / 256
    assert ((counts - expected) ** 2 / expected).sum() < 350  # chi squared, 255 degrees of freedom: 1 in 20,000
    other = levels(PixelWindow(70_000, 90_000, 70_512, 90_512), zoom=17, bands=3).astype(float)
    columns, rows, bands = found[:, 1:], found[1:], found[..., 1:]
    for one, two in (
        (found[:, :-1], columns),
        (found[:-1], rows),
        (found[..., :-1], bands),
        (found, other),
        (found[:256], found[256:]),
    ):
        assert abs(np.corrcoef(one.ravel(), two.ravel())[0, 1]) < 0.01


def test_no_noise_is_the_picture_itself() -> None:
    pixels = np.zeros((4, 4, 3), np.uint8)
    assert add_noise(pixels, PixelWindow(0, 0, 4, 4), 5, 0) is pixels


@pytest.mark.parametrize("channels", [2, 20, "4", None, True, 4.0])
def test_a_card_with_bands_that_cannot_be_is_refused(channels: object) -> None:
    with pytest.raises(ModelFileError, match="bands of noise"):
        make_card(ground_resolution=1.0, size_multiple=16, config={"in_channels": channels})


def noisy_engine(mode: str = "exact") -> Engine:
    torch.manual_seed(5)
    config = {"widths": [8, 8], "in_channels": 4}
    network = build("unet", **config).eval()  # type: ignore[arg-type]
    card = make_card(ground_resolution=1.0, size_multiple=4, margin=network.margin, config=config)
    return Engine(network, card.in_mode(mode), torch.device("cpu"), torch.float32)  # type: ignore[arg-type]


def test_the_engine_wants_all_bands() -> None:
    with pytest.raises(ValueError, match="3 bands given"):
        noisy_engine().translate_pixels(np.zeros((1, 64, 64, 3), np.uint8))


def test_faithful_mode_gives_pictures_back() -> None:
    assert noisy_engine("faithful").translate_pixels(np.zeros((1, 512, 256, 4), np.uint8)).shape == (1, 512, 256, 3)


@pytest.mark.parametrize("offset", [0, 16])
def test_an_evaluations_tiles_equal_its_whole(offset: int) -> None:
    engine = noisy_engine()
    plain = np.full((80, 100, 3), 200, np.uint8)
    margin = engine.card.margin
    whole = translate_picture(plain, engine, 4, margin).astype(int)
    tiled = translate_tiled(plain, engine, margin, 32, offset).astype(int)
    assert np.abs(whole - tiled).max() <= 1
    assert whole[20:60, 20:60].std(axis=(0, 1)).max() > 0  # a network without noise would repeat every 4 px at most
