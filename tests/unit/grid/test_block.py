from __future__ import annotations

import numpy as np
import pytest

from geo2map.errors import PlanError
from geo2map.grid import PixelWindow
from geo2map.grid.block import Block, BlockImage
from geo2map.types import Tile


def test_windows_and_tiles() -> None:
    block = Block(5, 3, 4, 2, 1, margin=10)
    assert block.core == PixelWindow(768, 1024, 1280, 1280)
    assert block.window == PixelWindow(758, 1014, 1290, 1290)
    assert list(block.tiles) == [Tile(3, 4, 5), Tile(4, 4, 5)]


@pytest.mark.parametrize("wrong", [(5, 3, 4, 0, 1, 0), (5, -1, 4, 1, 1, 0), (5, 3, 4, 1, 1, -1)])
def test_a_block_that_exists_is_valid(wrong: tuple[int, ...]) -> None:
    with pytest.raises(PlanError):
        Block(*wrong)


def test_image_refuses_another_size_and_drops_its_margin() -> None:
    block = Block(5, 3, 4, 1, 1, margin=2)
    pixels = np.arange(260 * 260 * 3, dtype=np.uint32).astype(np.uint8).reshape(260, 260, 3)
    mask = np.ones((260, 260), dtype=np.bool_)
    with pytest.raises(PlanError):
        BlockImage(block, pixels[1:], mask)
    core = BlockImage(block, pixels, mask).core()
    assert core.block == Block(5, 3, 4, 1, 1)
    np.testing.assert_array_equal(core.pixels, pixels[2:-2, 2:-2])


def test_tiles_without_a_valid_pixel_are_passed_over() -> None:
    mask = np.zeros((256, 512), dtype=np.bool_)
    mask[255, 511] = True
    image = BlockImage(Block(5, 3, 4, 2, 1), np.zeros((256, 512, 3), dtype=np.uint8), mask)
    assert [tile for tile, _, _ in image.tiles()] == [Tile(4, 4, 5)]


def test_trimmed_to_the_tiles_with_a_valid_pixel() -> None:
    block = Block(10, 4, 5, 4, 3, margin=32)
    rng = np.random.default_rng(0)
    shape = (block.window.height, block.window.width)
    image = BlockImage(block, rng.integers(0, 255, (*shape, 3), dtype=np.uint8), np.zeros(shape, dtype=bool))
    image.mask[:20] = True  # the margin alone counts for nothing
    with pytest.raises(PlanError, match="no valid pixel"):
        image.trimmed()
    image.mask[32 + 256, 32 + 2 * 256] = image.mask[32 + 3 * 256 - 1, 32 + 3 * 256 - 1] = True
    trimmed = image.trimmed()
    assert trimmed.block == Block(10, 6, 6, 1, 2, margin=32)
    assert [tile for tile, _, _ in trimmed.tiles()] == [tile for tile, _, _ in image.tiles()]
    rows, columns = trimmed.block.window.slices(block.window)
    np.testing.assert_array_equal(trimmed.pixels, image.pixels[rows, columns])
