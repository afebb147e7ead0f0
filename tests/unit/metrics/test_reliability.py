"""Confidence: calibration error, risk-coverage, and which pixels count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo2map.metrics.reliability import PERCENT, Ranking, Reliability, plainness


def ranking(percent: np.ndarray, right: np.ndarray) -> Ranking:
    counts = [np.bincount(percent[right == side], minlength=PERCENT) for side in (False, True)]
    return Ranking(np.array(counts, np.int64))


def brute_aurc(percent: np.ndarray, right: np.ndarray, draws: int = 200) -> float:
    """The mean error over all prefixes, in many random orders of equal percents."""
    rng, found = np.random.default_rng(0), []
    for _ in range(draws):
        order = np.lexsort((rng.random(len(percent)), -percent))
        found.append((np.cumsum(~right[order]) / np.arange(1, len(right) + 1)).mean())
    return float(np.mean(found))


def test_aurc_is_the_mean_error_over_all_coverages() -> None:
    rng = np.random.default_rng(1)
    percent = rng.integers(0, 101, 4000)
    right = rng.random(4000) < percent / 100
    assert ranking(percent, right).aurc == pytest.approx(brute_aurc(percent, right), abs=2e-3)


def test_who_knows_nothing_has_the_error_rate_and_who_knows_all_the_best() -> None:
    right = np.arange(10_000) % 10 > 2
    blind, oracle = ranking(np.full(10_000, 50), right), ranking(np.where(right, 90, 10), right)
    assert blind.aurc == pytest.approx(blind.error) == pytest.approx(0.3)
    assert oracle.best_aurc == pytest.approx(brute_aurc(np.where(right, 90, 10), right, 1), abs=1e-3)
    assert oracle.aurc < blind.aurc
    assert oracle.accuracy_of_most_certain(0.7) == pytest.approx(1.0)
    assert blind.accuracy_of_most_certain(0.2) == pytest.approx(0.7)


@given(st.integers(1, 50))
def test_a_calibrated_confidence_has_no_calibration_error(seed: int) -> None:
    rng = np.random.default_rng(seed)
    percent = rng.integers(0, 101, 50_000)
    honest, boasting = rng.random(50_000) < percent / 100, rng.random(50_000) < percent / 200
    assert ranking(percent, honest).calibration_error() < 0.02
    assert ranking(percent, boasting).calibration_error() == pytest.approx(0.25, abs=0.02)


def test_a_bin_of_one_percent_counts_by_its_pixels() -> None:
    counts = np.zeros((2, PERCENT), np.int64)
    counts[:, 80] = 30, 70
    counts[:, 20] = 100, 100
    held, sure, right = Ranking(counts).bins()
    assert sorted(held[held > 0]) == pytest.approx([1 / 3, 2 / 3])
    assert sorted(sure[held > 0]) == pytest.approx([0.2, 0.8])
    assert sorted(right[held > 0]) == pytest.approx([0.5, 0.7])
    assert Ranking(counts).calibration_error() == pytest.approx(0.1 / 3 + 2 * 0.3 / 3)


def test_only_classes_that_the_truth_has_somewhere_count() -> None:
    """Where maps mark water as absent and never as present, no drawn water can be right."""
    truth, drawn = np.array([[0, 0, 1, 1]]), np.array([[0, 1, 1, 2]])
    confidence, control = np.array([[90, 80, 70, 60]], np.uint8), np.array([[1, 2, 3, 4]], np.uint8)
    known = np.ones((3, 1, 4), bool)
    found = Reliability.of(confidence, control, (truth, drawn), known)
    assert found.truth.tolist() == [2, 2, 0]
    assert np.argwhere(found.ranking.counts).tolist() == [[0, 80], [1, 70], [1, 90]]
    assert np.argwhere(found.control_ranking.counts).tolist() == [[0, 2], [1, 1], [1, 3]]
    known[0, 0, 0] = False
    fewer = Reliability.of(confidence, control, (truth, drawn), known)
    assert fewer.ranking.counts.sum() == 2
    both = found + fewer
    assert both.ranking.counts.sum() == 5
    assert both.report()["error"] == pytest.approx(2 / 5)
    assert Reliability().report() == {}


def test_plain_imagery_is_plainer() -> None:
    image = np.full((60, 60, 3), 90, np.uint8)
    image[:, 30:] = np.random.default_rng(0).integers(0, 256, (60, 30, 3))
    found = plainness(image)
    assert (found[:, :20] == 100).all()
    assert found[:, 40:].max() < 80
