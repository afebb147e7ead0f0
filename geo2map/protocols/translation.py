"""What goes into a translator and what comes out. Both are types of their own, so that no caller can forget a step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from geo2map.errors import PlanError
from geo2map.grid.block import BlockImage
from geo2map.grid.noise import add_noise
from geo2map.threads import Budget
from geo2map.types import Batch


@dataclass(frozen=True, eq=False)
class TranslatorInput:
    """A block image that a translator may take: filled beyond the data and cut to the margin.

    `geo2map.pipeline.reading.prepare` makes it; a block image as a source gives it is not one.

    Attributes:
        image: the prepared pixels; its mask is True where there are data to write.
    """

    image: BlockImage

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W, 3) with the margin; a batch holds inputs of one shape."""
        return self.image.pixels.shape

    @property
    def empty(self) -> bool:
        """Whether no pixel is to be written."""
        return not self.image.core().mask.any()

    def trimmed(self) -> TranslatorInput:
        """The fewest tiles around all pixels to write, see `BlockImage.trimmed` (a view)."""
        return TranslatorInput(self.image.trimmed())


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a translator gives for one input.

    Attributes:
        image: the translated block without its margin; the mask is the input's.
        confidence: uint8 (H, W), percent; None where the translator has none.
        probabilities: uint8 (K, H, W), one plane a class; None where the translator has none.
    """

    image: BlockImage
    confidence: npt.NDArray[np.uint8] | None = None
    probabilities: npt.NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        for name, values in (("confidence", self.confidence), ("probabilities", self.probabilities)):
            if values is not None and values.shape[-2:] != self.image.mask.shape:
                raise PlanError(f"{name} of {self.image.block} has shape {values.shape}, not {self.image.mask.shape}")


class PixelTranslator(ABC):
    """A translator that is a function of arrays: a subclass gives `begin_pixels` or `translate_pixels`.

    Attributes:
        batch: most inputs that are worth translating at once; may change.
        ahead: batches that are worth beginning before the first of them is waited for.
        noise: bands of noise that `begin_pixels` takes after red, green and blue, see `geo2map.grid.add_noise`.
    """

    batch: int = 1
    ahead: int = 0
    noise: int = 0

    @property
    def budget(self) -> Budget:
        """See `Translator`."""
        return Budget.make()

    @abstractmethod
    def translate_pixels(self, batch: Batch, margin: int = 0) -> Batch:
        """Translates uint8 (N, H, W, 3 + noise) to uint8 (N, H - 2 margin, W - 2 margin, 3)."""

    def begin_pixels(self, batch: Batch, margin: int = 0) -> Callable[[], Batch]:
        """Starts what `translate_pixels` does; the function returned waits for the result."""
        done = self.translate_pixels(batch, margin)
        return lambda: done

    def translate(self, inputs: Sequence[TranslatorInput]) -> list[Prediction]:
        """See `Translator.translate`."""
        return self.begin(inputs)()

    def begin(self, inputs: Sequence[TranslatorInput]) -> Callable[[], list[Prediction]]:
        """See `Translator.begin`."""
        images = [one.image for one in inputs]
        noisy = [add_noise(image.pixels, image.block.window, image.block.z, self.noise) for image in images]
        wait = self.begin_pixels(np.stack(noisy), images[0].block.margin)
        cores = [image.core() for image in images]
        return lambda: [Prediction(replace(core, pixels=drawn)) for core, drawn in zip(cores, wait(), strict=True)]


class Untranslated:
    """The translator of tiles that are only cut: a block's prediction is its own pixels."""

    batch = 1
    ahead = 0

    def __init__(self) -> None:
        self.budget = Budget.make()

    def translate(self, inputs: Sequence[TranslatorInput]) -> list[Prediction]:
        return [Prediction(one.image.core()) for one in inputs]

    def begin(self, inputs: Sequence[TranslatorInput]) -> Callable[[], list[Prediction]]:
        done = self.translate(inputs)
        return lambda: done
