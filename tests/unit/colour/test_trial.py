"""How far to match: what a network makes of samples decides."""

from __future__ import annotations

import numpy as np
import pytest

from geo2map.colour.trial import Outcome, best_outcome

PLAIN = Outcome(confidence=0.70, road=0.10, water=0.05)


@pytest.mark.parametrize(
    ("matched", "wins"),
    [
        (Outcome(0.70, 0.12, 0.05), True),  # more roads
        (Outcome(0.80, 0.10, 0.05), True),  # surer
        (Outcome(0.70, 0.12, 0.08), False),  # roads, but ground became water
        (Outcome(0.70, 0.12, 0.02), False),  # or water ground
        (Outcome(0.60, 0.12, 0.05), False),  # roads, but much less sure
        (PLAIN, False),  # no reason to change anything
    ],
)
def test_a_match_has_to_show_roads_without_moving_water(matched: Outcome, wins: bool) -> None:
    assert best_outcome([PLAIN, matched]) == int(wins)


def test_the_best_of_several() -> None:
    assert best_outcome([PLAIN, Outcome(0.7, 0.12, 0.05), Outcome(0.7, 0.15, 0.05)]) == 2
    assert best_outcome([PLAIN, Outcome(0.7, 0.12, 0.05), Outcome(0.7, 0.15, 0.15)]) == 1
    assert best_outcome([PLAIN]) == 0


def test_outcomes_are_means_over_pixels_with_data() -> None:
    planes = np.zeros((3, 2, 4), np.uint8)
    planes[0], planes[1, :, :2], planes[2, 0] = 50, 255, 51
    mask = np.ones((2, 4), np.bool_)
    whole = Outcome.of(planes, mask)
    assert whole == Outcome(0.5, 0.5, 0.1, pixels=8)
    mask[:, 2:] = False
    left, right = Outcome.of(planes, mask), Outcome.of(planes, ~mask)
    assert left == Outcome(0.5, 1.0, 0.1, pixels=4)
    both = left + right
    assert (both.confidence, both.road, both.water, both.pixels) == pytest.approx((0.5, 0.5, 0.1, 8))


def test_samples_weigh_by_their_pixels() -> None:
    assert (Outcome(1.0, 0.0, 0.0, pixels=30) + Outcome(0.0, 1.0, 0.0, pixels=10)).road == pytest.approx(0.25)
