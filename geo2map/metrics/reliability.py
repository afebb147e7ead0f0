"""Whether a confidence means what it says, and whether errors are where it is low."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter

from geo2map.metrics.classes import Classes
from geo2map.metrics.pooled import Counts, Summed, finite, ratio
from geo2map.types import Image

PERCENT = 101
"""Levels of a confidence, 0 to 100."""
CALIBRATION_BINS = 15
"""Equal bins of the expected calibration error, as Guo et al. (ICML 2017) have them."""
_REACH = 7
_Shares = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Ranking:
    """Pixels counted by a percent that ranks them, and by whether they are right.

    Attributes:
        counts: wrong and right ones of each percent, int64 (2, 101).
    """

    counts: Counts

    @property
    def error(self) -> float:
        """Share of wrong pixels."""
        return ratio(int(self.counts[0].sum()), int(self.counts.sum()))

    @property
    def aurc(self) -> float:
        """Area under the risk-coverage curve: the mean error of the most certain 0 to 100 % (Geifman, ICLR 2018).

        Pixels of one percent are in no order, so the error grows evenly within it: from w wrong ones of n, the integral
        of (w + e (x - n)) / x over the next pixels, e their own error.
        """
        wrong, right = self.counts[:, ::-1][:, self.counts[:, ::-1].any(axis=0)].astype(np.float64)
        if not wrong.size:
            return float("nan")
        fresh, after = wrong + right, (wrong + right).cumsum()
        error, before, missed = wrong / fresh, after - fresh, wrong.cumsum() - wrong
        spread = np.log(after[1:] / before[1:]) * (missed - error * before)[1:]
        return float(((error * fresh).sum() + spread.sum()) / after[-1])

    @property
    def best_aurc(self) -> float:
        """The same of an oracle that ranks every right pixel before every wrong one."""
        error = self.error
        return error + (1 - error) * float(np.log1p(-error)) if error < 1 else error

    def accuracy_of_most_certain(self, part: float = 0.5) -> float:
        """Share of right pixels among the most certain part; pixels of the percent at its border count partly."""
        wrong, both = self._descending()
        if not both[-1]:
            return float("nan")
        return 1 - float(np.interp(part * both[-1], np.insert(both, 0, 0), np.insert(wrong, 0, 0))) / (part * both[-1])

    def bins(self, count: int = CALIBRATION_BINS) -> tuple[_Shares, _Shares, _Shares]:
        """The reliability diagram: of each equal bin of percents its share of pixels, its mean confidence and its
        share of right pixels, 0 to 1; NaN in empty bins."""
        percents = np.arange(PERCENT)
        number = np.minimum(percents * count // (PERCENT - 1), count - 1)
        both, right = self.counts.sum(axis=0), self.counts[1]
        held, sure, hits = (np.bincount(number, weights, count) for weights in (both, both * percents / 100, right))
        with np.errstate(invalid="ignore"):
            return held / max(1, both.sum()), sure / held, hits / held

    def calibration_error(self, count: int = CALIBRATION_BINS) -> float:
        """Expected calibration error: the mean distance of confidence and accuracy over the bins, by their pixels."""
        held, sure, hits = self.bins(count)
        return float(np.nansum(held * np.abs(sure - hits))) if held.any() else float("nan")

    def _descending(self) -> tuple[_Shares, _Shares]:
        """Wrong pixels and all pixels of each percent and those above."""
        wrong, right = self.counts[:, ::-1].astype(np.float64)
        return wrong.cumsum(), (wrong + right).cumsum()


@dataclass(frozen=True, eq=False)
class Reliability(Summed):
    """The pixels of a confidence and of its control by drawn class; can be pooled.

    A pixel counts where the class drawn there is known, and only if the true maps have that class somewhere: where
    they mark a class as absent and never as present, being right is impossible.

    Attributes:
        truth: pixels of each class where it is known, int64 (classes,).
        drawn, control: wrong and right pixels of each drawn class by percent, int64 (classes, 2, 101).
    """

    truth: Counts = field(default_factory=lambda: np.zeros(0, np.int64))
    drawn: Counts = field(default_factory=lambda: np.zeros((0, 2, PERCENT), np.int64))
    control: Counts = field(default_factory=lambda: np.zeros((0, 2, PERCENT), np.int64))

    @classmethod
    def of(
        cls,
        confidence: npt.NDArray[np.uint8],
        control: npt.NDArray[np.uint8],
        both: tuple[Classes, Classes],
        known: npt.NDArray[np.bool_],
    ) -> Reliability:
        """Count the pixels of a picture.

        Args:
            confidence: percent, uint8 (H, W).
            control: another percent that ranks pixels, uint8 (H, W), see `plainness`.
            both: true and drawn classes, int64 (H, W) each.
            known: bool (classes, H, W).
        """
        truth, drawn = both
        right, certain = truth == drawn, np.take_along_axis(known, drawn[None], 0)[0]

        def count(percent: npt.NDArray[np.uint8]) -> Counts:
            where = (2 * drawn + right) * PERCENT + percent
            return np.bincount(where[certain], minlength=2 * PERCENT * len(known)).reshape(-1, 2, PERCENT)

        present = [int((known[index] & (truth == index)).sum()) for index in range(len(known))]
        return cls(np.array(present, np.int64), count(confidence), count(control))

    @property
    def ranking(self) -> Ranking:
        """The pixels by confidence."""
        return Ranking(self.drawn[self.truth > 0].sum(axis=0))

    @property
    def control_ranking(self) -> Ranking:
        """The same pixels by the control."""
        return Ranking(self.control[self.truth > 0].sum(axis=0))

    def report(self) -> dict[str, Any]:
        """Figures ready for JSON, fractions of 1; empty without pixels."""
        found = self.ranking
        if not found.counts.any():
            return {}
        return {
            "error": finite(found.error),
            "calibration_error": finite(found.calibration_error()),
            "aurc": finite(found.aurc),
            "aurc_best": finite(found.best_aurc),
            "aurc_control": finite(self.control_ranking.aurc),
            "accuracy_of_certain_half": finite(found.accuracy_of_most_certain()),
        }


def plainness(image: Image) -> npt.NDArray[np.uint8]:
    """How plain imagery is around each pixel, the control that a confidence has to beat: 100 - the standard deviation
    of grey levels within 7 px, uint8 (H, W)."""
    grey = image.astype(np.float64).mean(axis=2)
    side = 2 * _REACH + 1
    spread = uniform_filter(grey**2, side) - uniform_filter(grey, side) ** 2
    return (100 - np.sqrt(spread.clip(0)).clip(0, 100)).round().astype(np.uint8)
