"""The stretch: decided once, spelled in few ways, and any other spelling refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geo2map.colour.stretch import SHOWN, make_stretch, parse_stretch
from geo2map.errors import PlanError
from geo2map.plan import PlanOptions
from geo2map.scene import ColourTransform

RAMP = np.linspace(-500, 3000, 3001).round().astype(np.int16)[:, None] + np.array([0, 10, 20], np.int16)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("auto", ("auto", ())),
        ("none", ("none", ())),
        ("minmax", ("minmax", ())),
        ("percentile:2,98", ("percentile", (2, 98))),
        ("percentile:0,100", ("percentile", (0, 100))),
        ("0,3000", ("limits", (0, 3000))),
        ("-1.5e3,1e4", ("limits", (-1500, 10000))),
        ("1,2,3,4,5,6", ("limits", (1, 2, 3, 4, 5, 6))),
    ],
)
def test_spellings(text: str, expected: tuple[str, tuple[float, ...]]) -> None:
    assert parse_stretch(text) == expected
    assert PlanOptions(stretch=text).stretch == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "automatic", "percentile", "percentile:98,2", "percentile:-1,50", "percentile:2,98,3", "5", "1,2,3,4"),
        *("9,1", "nan,nan", "0,inf", "1,2,4,3,5,6", "minmax:1,2", "limits:1,2", "0:5", "1;2"),
    ],
)
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(PlanError, match=r"give auto, none, minmax, percentile:2,98, or LOW,HIGH"):
        PlanOptions(stretch=text)


def test_what_each_does() -> None:
    assert make_stretch(RAMP, "0,3000") == ((0, 3000),) * 3
    assert make_stretch(RAMP, "1,2,3,4,5,6") == ((1, 2), (3, 4), (5, 6))
    assert make_stretch(RAMP, "none") == SHOWN
    assert make_stretch(RAMP, "minmax") == ((-500, 3000), (-490, 3010), (-480, 3020))
    low, high = np.percentile(RAMP, (10, 60), axis=0)
    np.testing.assert_allclose(make_stretch(RAMP, "percentile:10,60"), np.stack((low, high), axis=1))
    np.testing.assert_allclose(make_stretch(RAMP), make_stretch(RAMP, "percentile:2,98"))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "uint32", "float32"])
def test_auto_leaves_8_bit_numbers_alone_wherever_they_are(dtype: str) -> None:
    values = np.arange(30, 240).repeat(3).reshape(-1, 3).astype(dtype)
    rendition = ColourTransform(make_stretch(values))
    np.testing.assert_array_equal(rendition.stretched(values), values.astype(np.uint8))


def test_8_bit_numbers_are_stretched_when_asked() -> None:
    values = np.arange(100, 151).repeat(3).reshape(-1, 3).astype(np.uint8)
    stretched = ColourTransform(make_stretch(values, "minmax")).stretched(values)
    assert (stretched.min(), stretched.max()) == (0, 255)


def test_reflectances_are_stretched() -> None:
    values = np.linspace(0, 0.4, 300).reshape(-1, 3).astype(np.float32)
    stretched = ColourTransform(make_stretch(values)).stretched(values)
    assert (stretched.min(), stretched.max()) == (0, 255)


@pytest.mark.parametrize("asked", ["auto", "none", "minmax", "percentile:2,98"])
def test_without_a_valid_pixel_nothing_wraps_around(asked: str) -> None:
    """The sample may miss the few pixels that there are."""
    stretch = make_stretch(np.zeros((0, 3), np.uint16), asked)
    assert ColourTransform(stretch).stretched(np.array([[256, 300, 65535]], np.uint16)).min() == 255


def test_large_whole_numbers_keep_their_steps() -> None:
    """A 32-bit float knows only every 256th of these."""
    values = (4_000_000_000 + np.arange(256)).repeat(3).reshape(-1, 3).astype(np.uint32)
    stretched = ColourTransform(make_stretch(values, "minmax")).stretched(values)
    np.testing.assert_array_equal(stretched[:, 0], np.arange(256))


@given(
    arrays(np.float32, (40, 3), elements=st.floats(width=32)),
    st.sampled_from(["auto", "none", "minmax", "percentile:2,98", "-5,7"]),
)
def test_any_numbers_become_levels_and_keep_their_order(values: np.ndarray, asked: str) -> None:
    with np.errstate(over="ignore"):
        stretched = ColourTransform(make_stretch(values, asked)).stretched(values)
    assert stretched.dtype == np.uint8
    for band in range(3):
        known = np.isfinite(values[:, band])
        order = np.argsort(values[known, band], kind="stable")
        assert (np.diff(stretched[known, band][order].astype(int)) >= 0).all()
