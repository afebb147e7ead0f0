"""Colour statistics and matching: monotone, the identity where nothing differs, nearer where something does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo2map.colour.statistics import DIFFERENT, PROBABILITIES, ColourStatistics
from geo2map.colour.transform import ColourTransform, make_rendition

levels = st.lists(st.floats(0, 255), min_size=len(PROBABILITIES), max_size=len(PROBABILITIES)).map(
    lambda values: tuple(sorted(round(value, 2) for value in values))
)
statistics = st.tuples(levels, levels, levels).map(ColourStatistics)


def imagery(seed: int = 0, gain: float = 1.0, offset: float = 0.0) -> np.ndarray:
    """Pixels like a city's: dark, skewed, three correlated bands; uint8 (20000, 3)."""
    rng = np.random.default_rng(seed)
    light = rng.gamma(4.0, 22.0, (20_000, 1)) + rng.normal(0, 6, (20_000, 3)) + (4, 6, 0)
    return np.clip(light * gain + offset, 1, 254).astype(np.uint8)


@given(statistics, statistics, st.floats(0, 1))
def test_curves_never_fall_and_keep_the_ends(here: ColourStatistics, there: ColourStatistics, share: float) -> None:
    curves = here.curve_to(there, share)
    assert (curves.shape, curves.dtype) == ((3, 256), np.uint8)
    assert (np.diff(curves.astype(int), axis=1) >= 0).all()
    assert (curves[:, 0] == 0).all()
    assert (curves[:, 255] == 255).all()


@given(statistics)
def test_equal_statistics_change_nothing(here: ColourStatistics) -> None:
    curves = here.curve_to(here).astype(int)
    assert np.abs(curves - np.arange(256)).max() <= 1


@given(statistics, statistics, st.floats(0, 1))
def test_a_share_of_the_way_lies_between_here_and_there(
    here: ColourStatistics, there: ColourStatistics, share: float
) -> None:
    level, whole = np.arange(256), here.curve_to(there).astype(int)
    np.testing.assert_array_equal(here.curve_to(there, 0.0), np.stack([level] * 3))
    assert np.abs(here.curve_to(there, share) - (level + share * (whole - level))).max() <= 1


@given(statistics, statistics, statistics)
def test_distance_is_a_metric(a: ColourStatistics, b: ColourStatistics, c: ColourStatistics) -> None:
    assert a.distance(a) == 0
    assert a.distance(b) == b.distance(a)
    assert a.distance(c) <= a.distance(b) + b.distance(c) + 1e-9


@given(st.floats(0.4, 1.6), st.floats(-20, 90), st.integers(0, 9))
def test_matching_brings_the_colours_near(gain: float, offset: float, seed: int) -> None:
    """Haze, another exposure: a gain and an offset are undone to within a few levels."""
    target, other = ColourStatistics.of(imagery()), imagery(seed, gain, offset)
    before = ColourStatistics.of(other)
    rendition, _ = make_rendition(other, target, "model")
    after = ColourStatistics.of(rendition(other)).distance(target)
    assert after <= max(3.0, 0.4 * before.distance(target))


def test_no_data_looks_like_bright_ground_in_imagery_and_like_most_of_it_in_maps() -> None:
    pixels = imagery()
    found = ColourStatistics.of(pixels)
    assert np.abs(np.array(found.median) - np.median(pixels, axis=0)).max() <= 1
    assert found.neutral("b2a") == found.median
    assert np.abs(np.array(found.neutral("a2b")) - np.quantile(pixels, 0.85, axis=0)).max() <= 1


def test_distance_of_an_offset_is_the_offset() -> None:
    pixels = np.clip(imagery(), 0, 200)
    assert ColourStatistics.of(pixels).distance(ColourStatistics.of(pixels + 20)) == pytest.approx(20)


@pytest.mark.parametrize("bad", [((1.0,) * 35,) * 2, ((1.0, 2.0),) * 3, (tuple(range(35, 0, -1)),) * 3])
def test_statistics_that_are_none(bad: tuple[tuple[float, ...], ...]) -> None:
    with pytest.raises(ValueError, match="rising"):
        ColourStatistics(bad)


@pytest.mark.parametrize(
    ("offset", "match", "matched"),
    [(0, "auto", False), (60, "auto", True), (0, "model", True), (60, "model", True), (60, "none", False)],
)
def test_auto_matches_where_colours_differ(offset: float, match: str, matched: bool) -> None:
    target = ColourStatistics.of(imagery())
    rendition, distance = make_rendition(imagery(1, 1.0, offset), target, match)  # type: ignore[arg-type]
    assert (rendition.curves is not None) == matched
    assert (distance > DIFFERENT) == (offset == 60)


@pytest.mark.parametrize("matching", [0.0, 0.25, 0.5, 1.0])
def test_auto_goes_as_far_as_the_model_says_and_model_all_the_way(matching: float) -> None:
    target, other = ColourStatistics.of(imagery()), imagery(1, 1.0, 60)
    left = {}
    for match in ("none", "auto", "model"):
        rendition, _ = make_rendition(other, target, match, matching=matching)  # type: ignore[arg-type]
        left[match] = ColourStatistics.of(rendition(other)).distance(target)
    assert left["auto"] == pytest.approx((1 - matching) * left["none"], abs=3)
    assert left["model"] < 3


def test_without_a_target_or_pixels_nothing_is_matched() -> None:
    assert make_rendition(imagery(), None, "model") == (ColourTransform(), 0.0)
    assert make_rendition(imagery()[:0], ColourStatistics.of(imagery()), "model") == (ColourTransform(), 0.0)


def test_a_rendition_replaces_each_level_by_its_own_bands_curve() -> None:
    curves = (tuple(range(256)), tuple(range(255, -1, -1)), (7,) * 256)
    pixels = imagery()[:100].reshape(10, 10, 3)
    found = ColourTransform(curves=curves)(pixels)
    np.testing.assert_array_equal(found[..., 0], pixels[..., 0])
    np.testing.assert_array_equal(found[..., 1], 255 - pixels[..., 1])
    assert (found[..., 2] == 7).all()
