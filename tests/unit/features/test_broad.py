"""Broad roads have even borders, and are otherwise where they were."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage as ndi

from geo2map.features import Reading
from geo2map.features.broad import BROAD_REACH, evened
from geo2map.features.evidence import gather_evidence
from geo2map.features.extract import SKELETON_REACH
from geo2map.types import Mask

CLASSES = ("land", "road", "highway")
LAND, ROAD, HIGHWAY, UNKNOWN = range(4)
CodesArray = npt.NDArray[np.uint8]


def band(height: int, width: int, half: float, waves: float, kind: int = HIGHWAY) -> CodesArray:
    """A level road whose borders waver by up to so many pixels, each in its own way."""
    row, column = np.mgrid[:height, :width].astype(float)
    row -= height // 2
    upper, lower = (half + waves * np.sin(2 * np.pi * column / wave) for wave in (23, 31))
    return np.where((row > -upper) & (row < lower), kind, LAND).astype(np.uint8)


def highway(codes: CodesArray) -> Mask:
    return evened(gather_evidence(Reading(codes), CLASSES)).highway


def wavering(mask: Mask, of: slice) -> float:
    """Standard deviation of where a level road's borders lie, pixels."""
    inside = mask[:, of]
    upper, lower = inside.argmax(0), len(inside) - inside[::-1].argmax(0)
    return float(max(upper.std(), lower.std()))


def test_borders_do_not_waver() -> None:
    codes = band(200, 700, 16, 4)
    middle = slice(100, 600)
    before, even = codes == HIGHWAY, highway(codes)
    assert wavering(before, middle) > 2.5
    assert wavering(even, middle) < 0.5 * wavering(before, middle)
    assert even[:, middle].sum() == pytest.approx(before[:, middle].sum(), rel=0.1)  # the nearest border counts


@pytest.mark.parametrize("half", [7.0, 7.5, 12.0, 20.5])
def test_even_roads_stay_as_they_are(half: float) -> None:
    codes = band(160, 500, half, 0)
    assert np.array_equal(highway(codes)[:, 60:440], (codes == HIGHWAY)[:, 60:440])


def test_lots_and_what_lies_where_the_data_end_stay() -> None:
    codes = np.full((300, 700), LAND, np.uint8)
    codes[60:240, 60:300] = HIGHWAY
    codes[140:170, 300:] = HIGHWAY
    codes[:, 600:] = UNKNOWN
    even = highway(codes)
    assert even[90:210, 90:270].all()
    assert even[142:168, 500:600].all()  # to the last column, as broad as before
    assert not even[:135, 340:].any()
    assert not even[175:, 340:].any()


def test_a_plaza_is_broad_and_a_street_is_not() -> None:
    codes = band(200, 500, 6, 0, ROAD)
    codes[70:130, 200:300] = ROAD
    found = evened(gather_evidence(Reading(codes), CLASSES))
    assert found.broad[75:125, 210:290].all()
    assert not found.broad[:, :170].any()
    assert not found.broad[:, 330:].any()
    assert not found.highway.any()


def test_nothing_is_evened_where_there_is_nothing() -> None:
    found = evened(gather_evidence(Reading(np.zeros((40, 40), np.uint8)), CLASSES))
    assert not found.highway.any()
    assert not found.broad.any()


def test_a_window_sees_what_the_whole_sees() -> None:
    rng = np.random.default_rng(5)
    side, middle = 2 * BROAD_REACH + 60, slice(BROAD_REACH, BROAD_REACH + 60)
    large = side + 300
    for scale in (4.0, 9.0):
        blobs = ndi.gaussian_filter(rng.normal(size=(large, large)), scale)
        streets = np.abs(ndi.gaussian_filter(rng.normal(size=(large, large)), 4 * scale))
        codes = np.where(blobs > 0.8 * blobs.std(), ROAD, LAND).astype(np.uint8)
        codes[streets < 0.25 * streets.std()] = HIGHWAY
        codes[blobs < -2.6 * blobs.std()] = UNKNOWN
        whole = evened(gather_evidence(Reading(codes), CLASSES))
        assert whole.highway.any()
        assert whole.broad.any()
        for top, left in ((0, 300), (150, 150), (300, 0)):
            window = np.s_[top : top + side, left : left + side]
            part = evened(gather_evidence(Reading(np.ascontiguousarray(codes[window])), CLASSES))
            for name in ("highway", "broad"):
                assert np.array_equal(getattr(part, name)[middle, middle], getattr(whole, name)[window][middle, middle])


def test_the_halo_is_wide_enough() -> None:
    assert BROAD_REACH <= SKELETON_REACH  # areas need what lies around them as skeletons do
