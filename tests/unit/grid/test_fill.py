from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from geo2map.grid.block import Block, BlockImage
from geo2map.grid.fill import fill

NEUTRAL = (7, 8, 9)


def brute_force(pixels: npt.NDArray[np.uint8], mask: npt.NDArray[np.bool_], radius: int) -> npt.NDArray[np.uint8]:
    """Nearest valid pixel by looking at all of them; ties: nearer column, left column, upper row."""
    filled = pixels.copy()
    valid = np.argwhere(mask)
    for row, column in np.argwhere(~mask):
        candidates = [
            ((r - row) ** 2 + (c - column) ** 2, abs(c - column), c, r)
            for r, c in valid
            if (r - row) ** 2 + (c - column) ** 2 <= radius**2
        ]
        filled[row, column] = pixels[min(candidates)[3], min(candidates)[2]] if candidates else NEUTRAL
    return filled


def image(pixels: npt.NDArray[np.uint8], mask: npt.NDArray[np.bool_]) -> BlockImage:
    """A stand-in of any size: fill looks at pixels and mask alone."""
    made = object.__new__(BlockImage)
    for name, value in (("block", Block(0, 0, 0, 1, 1)), ("pixels", pixels), ("mask", mask)):
        object.__setattr__(made, name, value)
    return made


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.integers(0, 6))
def test_equals_brute_force(seed: int, share: float, radius: int) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (14, 17, 3), dtype=np.uint8)
    mask = rng.random((14, 17)) < share**3
    np.testing.assert_array_equal(fill(image(pixels, mask), NEUTRAL, radius), brute_force(pixels, mask, radius))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(0, 12), st.integers(0, 12))
def test_does_not_depend_on_the_cut(seed: int, top: int, left: int) -> None:
    rng, radius = np.random.default_rng(seed), 5
    pixels = rng.integers(0, 256, (48, 48, 3), dtype=np.uint8)
    mask = rng.random((48, 48)) < 0.05
    whole = fill(image(pixels, mask), NEUTRAL, radius)
    cut = np.s_[top : top + 30, left : left + 30]
    part = fill(image(pixels[cut], mask[cut]), NEUTRAL, radius)
    inner = np.s_[radius:-radius, radius:-radius]
    np.testing.assert_array_equal(part[inner], whole[cut][inner])


def test_a_full_image_is_returned_as_it_is() -> None:
    pixels = np.ones((5, 5, 3), dtype=np.uint8)
    assert fill(image(pixels, np.ones((5, 5), dtype=np.bool_)), NEUTRAL, 3) is pixels
