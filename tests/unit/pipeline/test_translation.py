"""The translator contract: a raw block image cannot be translated, and what a translator adds reaches its caller."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import numpy as np
import pytest

from geo2map.errors import PlanError
from geo2map.grid import Block, BlockImage, add_noise
from geo2map.protocols import PixelTranslator, Prediction, ScoreKind, Translator, TranslatorInput, Untranslated
from geo2map.testing import IdentityTranslator
from geo2map.types import Batch


def block_input(x: int = 5, margin: int = 32) -> TranslatorInput:
    block = Block(10, x, 7, 1, 1, margin)
    shape = (block.window.height, block.window.width)
    pixels = np.random.default_rng(x).integers(0, 256, (*shape, 3), dtype=np.uint8)
    return TranslatorInput(BlockImage(block, pixels, np.ones(shape, np.bool_)))


class Noisy(PixelTranslator):
    """Returns its band of noise in place of each colour, and notes the bands that it was given."""

    noise = 1

    def translate_pixels(self, batch: Batch, margin: int = 0) -> Batch:
        inside = slice(margin, batch.shape[1] - margin)
        return np.repeat(batch[:, inside, inside, 3:], 3, axis=3)


def test_the_translator_adds_its_noise_where_the_block_lies() -> None:
    inputs = [block_input(5), block_input(6)]
    for one, prediction in zip(inputs, Noisy().translate(inputs), strict=True):
        core = one.image.core()
        expected = add_noise(core.pixels, core.block.window, core.block.z, 1)[..., 3]
        np.testing.assert_array_equal(prediction.image.pixels[..., 0], expected)
        assert prediction.image.block == core.block


def test_a_prediction_is_the_core_with_the_input_s_mask() -> None:
    one = block_input()
    one.image.mask[40:60] = False
    for translator in (IdentityTranslator(), Untranslated()):
        assert isinstance(translator.batch + translator.ahead, int)
        found = translator.translate([one])[0]
        np.testing.assert_array_equal(found.image.pixels, one.image.core().pixels)
        np.testing.assert_array_equal(found.image.mask, one.image.core().mask)
        assert (found.confidence, found.probabilities) == (None, None)


class Confident(IdentityTranslator):
    """An engine of a later kind: it has more to tell than pixels."""

    def begin(
        self,
        inputs: Sequence[TranslatorInput],
        *,
        score_kinds: Collection[ScoreKind] = (),  # noqa: ARG002
    ) -> Callable[[], list[Prediction]]:
        wait = super().begin(inputs)
        return lambda: [replace(one, confidence=np.full(one.image.mask.shape, 90, np.uint8)) for one in wait()]


def test_what_an_engine_adds_reaches_its_caller() -> None:
    translator: Translator = Confident()
    (found,) = translator.translate([block_input()])
    assert found.confidence is not None
    assert found.confidence.shape == (256, 256)


def test_a_prediction_of_another_size_is_refused() -> None:
    core = block_input().image.core()
    with pytest.raises(PlanError, match="probabilities of"):
        Prediction(core, probabilities=np.zeros((4, 128, 256), np.uint8))
