"""The engine on a GPU: the CPU's pixels, whatever the batch, two batches in flight, little memory."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from geo2map.engine import Engine, load_engine
from geo2map.types import Batch, Precision

pytestmark = pytest.mark.cuda

MARGIN = 96
LEVELS: dict[Precision, float] = {"bf16": 3.0, "fp16": 0.5}
"""Grey levels that a precision may be off in the mean."""


@contextmanager
def strict() -> Iterator[None]:
    """Without TF32, which torch allows convolutions in fp32 by default."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def pictures(count: int, side: int = 384) -> Batch:
    """Blots and grain, uint8 (count, side, side, 3)."""
    rng = np.random.default_rng(count)
    coarse = np.kron(rng.integers(0, 255, (count, side // 16, side // 16, 3)), np.ones((1, 16, 16, 1), int))
    return np.clip(coarse + rng.integers(-20, 20, coarse.shape), 0, 255).astype(np.uint8)


def away(found: Batch, expected: Batch) -> np.ndarray:
    """Differences in grey levels."""
    return np.abs(found.astype(int) - expected)


@pytest.fixture(scope="module")
def on_device(accelerator: torch.device) -> Iterator[Engine]:
    with load_engine("sat2map", device=str(accelerator), precision="fp32", batch=4) as engine:
        yield engine


def test_pixels_are_the_cpus(on_device: Engine, engine: Engine) -> None:
    blocks = pictures(3)
    with strict():
        found = on_device.translate_pixels(blocks, MARGIN)
    assert away(found, engine.translate_pixels(blocks, MARGIN)).max() <= 1


def test_a_picture_is_the_same_in_every_batch(on_device: Engine) -> None:
    """To one level: convolution libraries may sum otherwise for other shapes. The same call gives the same bytes."""
    blocks = pictures(7)
    with strict():
        together = on_device.translate_pixels(blocks, MARGIN)
        again = on_device.translate_pixels(blocks, MARGIN)
        alone = np.concatenate([on_device.translate_pixels(block[None], MARGIN) for block in blocks])
        turned = on_device.translate_pixels(np.ascontiguousarray(blocks[::-1]), MARGIN)[::-1]
    np.testing.assert_array_equal(again, together)
    assert away(alone, together).max() <= 1
    assert away(turned, together).max() <= 1


def test_two_batches_in_flight(on_device: Engine) -> None:
    first, second = pictures(4), pictures(4)[::-1].copy()
    expected = [on_device.translate_pixels(blocks, MARGIN) for blocks in (first, second)]
    waiting = [on_device.begin_pixels(blocks, MARGIN) for blocks in (first, second)]
    first[:], second[:] = 0, 0  # what was begun no longer needs them
    for wait, pixels in zip(reversed(waiting), reversed(expected), strict=True):
        np.testing.assert_array_equal(wait(), pixels)


def test_little_memory_halves_the_batch(accelerator: torch.device, caplog: pytest.LogCaptureFixture) -> None:
    """With the device's memory capped to a little more than one block needs."""
    if accelerator.type != "cuda":
        pytest.skip("memory can be capped on CUDA alone")
    blocks = pictures(8, 1344)
    with load_engine("sat2map-large", device=str(accelerator), precision="fp32", batch=1) as engine:
        engine.translate_pixels(blocks[:1], 160)
        torch.cuda.reset_peak_memory_stats(accelerator)
        expected = engine.translate_pixels(blocks, 160)
        needed = torch.cuda.max_memory_reserved(accelerator)
    gc.collect()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(accelerator).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, 2.5 * needed / total), accelerator)
    try:
        with (
            load_engine("sat2map-large", device=str(accelerator), precision="fp32", batch=8) as engine,
            caplog.at_level(logging.WARNING),
        ):
            found = engine.translate_pixels(blocks, 160)
            assert engine.batch < 8
        assert "out of memory: continuing with batches of" in caplog.text
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, accelerator)
    assert away(found, expected).max() <= 2


@pytest.mark.parametrize("precision", list(LEVELS))
def test_half_precisions_are_near(accelerator: torch.device, engine: Engine, precision: Precision) -> None:
    if precision == "fp16" and accelerator.type == "cpu":
        pytest.skip("fp16 is refused on the CPU")
    blocks = pictures(2)
    with load_engine("sat2map", device=str(accelerator), precision=precision) as half:
        found = half.translate_pixels(blocks, MARGIN)
    assert away(found, engine.translate_pixels(blocks, MARGIN)).mean() < LEVELS[precision]
