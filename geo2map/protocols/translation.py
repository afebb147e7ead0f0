"""What goes into a translator and what comes out. Both are types of their own, so that no caller can forget a step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from geo2map.errors import PlanError
from geo2map.grid.block import BlockImage
from geo2map.grid.noise import add_noise
from geo2map.threads import Budget
from geo2map.types import Batch, Favours

ScoreKind = Literal["confidence", "probabilities"]
"""What the scores of a model tell beside the picture: an attribute of `Prediction` each."""
EVIDENCE: tuple[tuple[str, ...], ...] = (("road", "highway"), ("building",))
"""The classes that each plane of `Prediction.probabilities` adds up."""


class Scored(NamedTuple):
    """Translated pictures, and what the scores tell beside them.

    Attributes:
        pixels: uint8 (N, H, W, 3).
        planes: uint8 (N, K, H, W), of the kinds wanted: confidence, then probabilities, see `Prediction`.
    """

    pixels: Batch
    planes: npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class TranslatorInput:
    """A block image that a translator may take: filled beyond the data and cut to the margin.

    `geo2map.pipeline.reading.prepare` makes it; a block image as a source gives it is not one.

    Attributes:
        image: the prepared pixels; its mask is True where there are data to write.
        favours: of the plan; a batch holds inputs of one plan.
    """

    image: BlockImage
    favours: Favours = ()

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
        return replace(self, image=self.image.trimmed())


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a translator gives for one input.

    Attributes:
        image: the translated block without its margin; the mask is the input's.
        confidence: uint8 (H, W), the probability of the class drawn, in percent; None unless wanted.
        probabilities: uint8 (K, H, W), 255 x the probability of each of `EVIDENCE`; None unless
            wanted.
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
        has_scores: whether `begin_scored` has anything to tell.
    """

    batch: int = 1
    ahead: int = 0
    noise: int = 0
    has_scores: bool = False

    @property
    def budget(self) -> Budget:
        """See `Translator`."""
        return Budget.make()

    @abstractmethod
    def translate_pixels(self, batch: Batch, margin: int = 0) -> Batch:
        """Translates uint8 (N, H, W, 3 + noise) to uint8 (N, H - 2 margin, W - 2 margin, 3)."""

    def favouring(self, favours: Favours) -> PixelTranslator:
        """The translator that adds these to the scores of classes before it draws one of them.

        Raises:
            PlanError: the translator has no scores.
        """
        if favours:
            raise PlanError("favours: this translator has no scores; make the plan without them")
        return self

    def begin_pixels(self, batch: Batch, margin: int = 0) -> Callable[[], Batch]:
        """Starts what `translate_pixels` does; the function returned waits for the result."""
        done = self.translate_pixels(batch, margin)
        return lambda: done

    def begin_scored(
        self,
        batch: Batch,  # noqa: ARG002
        margin: int = 0,  # noqa: ARG002
        kinds: Collection[ScoreKind] = frozenset({"confidence"}),  # noqa: ARG002
    ) -> Callable[[], Scored]:
        """Start what `translate_pixels` does, with the same pixels, and what the scores tell.

        Args:
            batch, margin: see `translate_pixels`.
            kinds: what to tell.

        Raises:
            PlanError: the translator has no scores.
        """
        raise PlanError("scores: this translator has none; leave out layers that need them", option="layers")

    def translate(
        self, inputs: Sequence[TranslatorInput], *, score_kinds: Collection[ScoreKind] = ()
    ) -> list[Prediction]:
        """See `Translator.translate`."""
        return self.begin(inputs, score_kinds=score_kinds)()

    def begin(
        self, inputs: Sequence[TranslatorInput], *, score_kinds: Collection[ScoreKind] = ()
    ) -> Callable[[], list[Prediction]]:
        """See `Translator.begin`."""
        favoured, images = self.favouring(inputs[0].favours), [one.image for one in inputs]
        noisy = [add_noise(image.pixels, image.block.window, image.block.z, self.noise) for image in images]
        batch, margin, cores = np.stack(noisy), images[0].block.margin, [image.core() for image in images]
        if score_kinds:
            wait_scored = favoured.begin_scored(batch, margin, score_kinds)
            return lambda: _scored_predictions(cores, wait_scored(), score_kinds)
        wait = favoured.begin_pixels(batch, margin)
        return lambda: [Prediction(replace(core, pixels=drawn)) for core, drawn in zip(cores, wait(), strict=True)]


def _scored_predictions(cores: Sequence[BlockImage], done: Scored, kinds: Collection[ScoreKind]) -> list[Prediction]:
    first = int("confidence" in kinds)
    return [
        Prediction(
            replace(core, pixels=pixels),
            confidence=planes[0] if first else None,
            probabilities=planes[first:] if "probabilities" in kinds else None,
        )
        for core, pixels, planes in zip(cores, *done, strict=True)
    ]


class Untranslated:
    """The translator of tiles that are only cut: a block's prediction is its own pixels."""

    batch = 1
    ahead = 0

    def __init__(self) -> None:
        self.budget = Budget.make()

    def translate(
        self,
        inputs: Sequence[TranslatorInput],
        *,
        score_kinds: Collection[ScoreKind] = (),  # noqa: ARG002
    ) -> list[Prediction]:
        return [Prediction(one.image.core()) for one in inputs]

    def begin(
        self, inputs: Sequence[TranslatorInput], *, score_kinds: Collection[ScoreKind] = ()
    ) -> Callable[[], list[Prediction]]:
        done = self.translate(inputs, score_kinds=score_kinds)
        return lambda: done
