"""How far to match: what a network makes of samples decides."""

from __future__ import annotations

import numpy as np
import pytest

from geo2map.colour.trial import MatchOutcome, best_outcome

PLAIN = MatchOutcome(confidence=0.70, road=0.10, water=0.05)


@pytest.mark.parametrize(
    ("matched", "wins"),
    [
        (MatchOutcome(0.70, 0.12, 0.05), True),  # more roads
        (MatchOutcome(0.80, 0.10, 0.05), True),  # surer
        (MatchOutcome(0.70, 0.12, 0.08), False),  # roads, but ground became water
        (MatchOutcome(0.70, 0.12, 0.02), False),  # or water ground
        (MatchOutcome(0.55, 0.12, 0.05), False),  # roads, but much less sure
        (MatchOutcome(0.68, 0.12, 0.05), False),  # confidence weighs a little more than roads
        (MatchOutcome(0.69, 0.12, 0.05), True),
        (PLAIN, False),  # no reason to change anything
    ],
)
def test_a_match_has_to_show_roads_without_moving_water(matched: MatchOutcome, wins: bool) -> None:
    assert best_outcome([PLAIN, matched]) == int(wins)


def test_the_best_of_several() -> None:
    assert best_outcome([PLAIN, MatchOutcome(0.7, 0.12, 0.05), MatchOutcome(0.7, 0.15, 0.05)]) == 2
    assert best_outcome([PLAIN, MatchOutcome(0.7, 0.12, 0.05), MatchOutcome(0.7, 0.15, 0.15)]) == 1
    assert best_outcome([PLAIN]) == 0


def test_outcomes_are_means_over_pixels_with_data() -> None:
    planes = np.zeros((3, 2, 4), np.uint8)
    planes[0], planes[1, :, :2], planes[2, 0] = 50, 255, 51
    mask = np.ones((2, 4), np.bool_)
    whole = MatchOutcome.of(planes, mask)
    assert whole == MatchOutcome(0.5, 0.5, 0.1, pixels=8)
    mask[:, 2:] = False
    left, right = MatchOutcome.of(planes, mask), MatchOutcome.of(planes, ~mask)
    assert left == MatchOutcome(0.5, 1.0, 0.1, pixels=4)
    both = left + right
    assert (both.confidence, both.road, both.water, both.pixels) == pytest.approx((0.5, 0.5, 0.1, 8))


def test_samples_weigh_by_their_pixels() -> None:
    assert (MatchOutcome(1.0, 0.0, 0.0, pixels=30) + MatchOutcome(0.0, 1.0, 0.0, pixels=10)).road == pytest.approx(0.25)
