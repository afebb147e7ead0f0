"""Each step sees no farther than its bound says, and most see as far."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage as ndi

from geo2map.features import Box, ClassMap, Reading, RoadLine, extract
from geo2map.features.areas import AREA_BLUR, CUT_BLUR
from geo2map.features.bridging import BRIDGING_REACH, LONGEST_BRIDGE, NEAR, bridges
from geo2map.features.buildings import BUILDING_BLUR
from geo2map.features.chains import trace
from geo2map.features.evidence import BLUR, WIDEST_ROAD, Evidence, gather_evidence
from geo2map.features.extract import EVIDENCE_REACH
from geo2map.features.pruning import AXIS, ISLAND, LONGEST_SPUR, TAIL, pruned, straightened, without_spurs
from geo2map.features.rasters import EVERY, Depth, smooth_reach, smoothed, without_small
from geo2map.features.thinning import thin_lines
from geo2map.types import Mask

CLASSES = ("land", "building", "road", "water", "park", "highway")
ROAD = 2
Step = Callable[[npt.NDArray[np.generic]], npt.NDArray[np.generic]]


def noise(seed: int, side: int, level: float = 0.0, boxes: tuple[int, ...] = (4, 4)) -> Mask:
    """Blobs, True where they are high."""
    plane = smoothed(np.random.default_rng(seed).integers(0, 256, (side, side)).astype(np.uint8), boxes)
    mask: Mask = plane > np.quantile(plane, 0.5 + level)
    return mask


def agrees(step: Step, plane: npt.NDArray[np.generic], around: int) -> bool:
    """Whether the middle 8 x 8 pixels come out the same from a window with no more than so many pixels around."""
    middle = len(plane) // 2
    whole = step(plane)[middle : middle + 8, middle : middle + 8]
    window = np.s_[middle - around : middle + 8 + around]
    part = step(np.ascontiguousarray(plane[window, window]))[around : around + 8, around : around + 8]
    return bool(np.array_equal(whole, part))


@pytest.mark.parametrize("boxes", [BLUR, AREA_BLUR, CUT_BLUR, BUILDING_BLUR])
def test_smoothing(boxes: tuple[int, ...]) -> None:
    planes = [noise(seed, 64, boxes=(2, 2)) for seed in range(5)]
    assert all(agrees(lambda plane: smoothed(plane, boxes), plane, smooth_reach(boxes)) for plane in planes)
    assert not all(agrees(lambda plane: smoothed(plane, boxes), plane, smooth_reach(boxes) - 1) for plane in planes)


@pytest.mark.parametrize("passes", [1, 2])
def test_thinning(passes: int) -> None:
    rng = np.random.default_rng(0)
    planes = [rng.random((64, 64)) < level for level in rng.uniform(0.4, 0.97, 600)]
    assert all(agrees(lambda plane: thin_lines(plane, passes), plane, 2 * passes) for plane in planes)
    assert not all(agrees(lambda plane: thin_lines(plane, passes), plane, 2 * passes - 1) for plane in planes)


def test_thinning_keeps_each_part() -> None:
    """Up to the border of the raster, beyond which nothing is."""
    for seed in range(40):
        mask = noise(seed, 60, 0.1 * (-1) ** seed)
        assert ndi.label(thin_lines(mask, 60), EVERY)[1] == ndi.label(mask, EVERY)[1]


@pytest.mark.parametrize("most", [3, 7])
def test_depth(most: int) -> None:
    hole = np.ones((80, 80), bool)
    hole[40, 40 - most] = False
    planes = [hole, *(noise(seed, 80, 0.3 * sign, (8, 8)) for seed in range(20) for sign in (-1, 1))]

    def deep(plane: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        return Depth(plane.astype(bool), most).beyond(most)

    assert all(agrees(deep, plane, most) for plane in planes)
    assert not agrees(deep, hole, most - 1)


def test_holes() -> None:
    plane = np.zeros((64, 64), bool)
    plane[32, 32:48] = True  # 16 pixels, as far as it may extend
    longer = plane.copy()
    longer[32, 48] = True

    def step(mask: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        return without_small(mask.astype(bool), 48, 16)

    assert not step(plane).any()
    assert step(longer).any()
    assert agrees(step, longer, 9)
    assert not agrees(step, longer, 7)


@pytest.mark.parametrize("than", [3, 11, 24])
def test_depth_is_the_distance_to_the_nearest_pixel_outside(than: int) -> None:
    rng = np.random.default_rng(than)
    for _ in range(8):
        mask = rng.random((160, 160)) > 0.3 / than**2
        expected = ndi.distance_transform_edt(mask) > than
        assert 0 < expected.mean() < 1
        assert np.array_equal(Depth(mask, 24).beyond(than), expected)
    assert Depth(np.ones((9, 9), bool), 24).beyond(than).all()


def evidence_of(road: Mask, score: int) -> Evidence:
    """Evidence of a mask of roads with one probability; all of it on a plaza, so that half widths are as great as
    they get."""
    zero = np.zeros(road.shape, bool)
    everywhere = ~zero
    kind = np.full(road.shape, ROAD, np.uint8)
    scores = (road * score).astype(np.uint8)
    return Evidence((*CLASSES, "unknown"), kind, everywhere, zero, scores, zero, zero, Depth(everywhere, WIDEST_ROAD))


def inside(plane: npt.NDArray[np.generic]) -> tuple[slice, slice]:
    return slice(0, plane.shape[0]), slice(0, plane.shape[1])


def spur(length: int) -> Mask:
    """A road and a dead end so many steps long that leads from it to the middle."""
    lines = np.zeros((200, 200), bool)
    lines[100, 100 : 100 + length + 1] = True
    lines[:, 100 + length] = True
    return lines


def test_spurs() -> None:
    def step(lines: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        return without_spurs(lines.astype(bool), evidence_of(lines.astype(bool), 255))

    middle = np.s_[100, 100]
    assert not step(spur(LONGEST_SPUR))[middle]
    assert step(spur(LONGEST_SPUR + 1))[middle]
    assert agrees(step, spur(LONGEST_SPUR), LONGEST_SPUR + 1)
    assert not agrees(step, spur(LONGEST_SPUR), LONGEST_SPUR - 8)  # the window's middle is 8 pixels wide


def test_straightening() -> None:
    lines = np.zeros((200, 200), bool)
    lines[100:108, 100] = True  # where a road as wide as they get turns, just before the data end beside it
    lines[108, 100:140] = True
    lines[90:130, 140] = True

    def step(plane: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        mask = plane.astype(bool)
        evidence = evidence_of(mask, 255)
        evidence.kind[:, : mask.shape[1] // 2 - 6] = len(CLASSES)
        return straightened(mask, evidence)

    middle = np.s_[100:104, 100]
    assert lines[middle].all()
    assert not step(lines)[middle].any()
    assert agrees(step, lines, 2 * TAIL + 1)
    assert not agrees(step, lines, TAIL + AXIS - 16)


@pytest.mark.parametrize("more", [0, 1])
def test_islands(more: int) -> None:
    lines = np.zeros((200, 200), bool)
    lines[100, 100 : 100 + ISLAND + more] = True

    def step(plane: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        mask = plane.astype(bool)
        return pruned(mask, evidence_of(mask, 3), inside(mask))

    assert step(lines).any() == bool(more)
    assert agrees(step, lines, ISLAND)
    if more:
        assert not agrees(step, lines, ISLAND - 8)


@pytest.mark.parametrize(("length", "stays"), [(26, False), (30, True)])
def test_how_much_evidence_an_island_needs(length: int, stays: bool) -> None:
    """Of full score: a part of some 25 m is a driveway or a truck, not a road."""
    line = np.zeros((100, 100), bool)
    line[50, 30 : 30 + length] = True
    assert pruned(line, evidence_of(line, 255), inside(line)).any() == stays


def bridged(plane: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Bridges of a skeleton of sure roads, with so much around it that every dead end has room."""
    seam = LONGEST_BRIDGE + NEAR + 1
    whole = np.pad(plane.astype(bool), seam)
    return bridges(whole, trace(whole), evidence_of(whole, 255), inside(whole))[seam:-seam, seam:-seam]


def test_bridges() -> None:
    rng = np.random.default_rng(4)
    seen = False
    for _ in range(12):
        lines = np.zeros((400, 400), bool)
        for row in rng.integers(0, 400, 14):
            start = rng.integers(0, 400)
            lines[row, start : start + rng.integers(10, 150)] = True
        seen = seen or bool(bridged(lines)[200:208, 200:208].any())
        assert agrees(bridged, lines, BRIDGING_REACH)
    assert seen or bridged(lines).any()


def test_a_bridge_sees_its_other_end_and_which_way_that_points() -> None:
    gap = np.zeros((400, 400), bool)
    gap[200, 150:204] = gap[200, 203 + LONGEST_BRIDGE : 330] = True
    assert bridged(gap)[200, 204 : 203 + LONGEST_BRIDGE].all()
    assert agrees(bridged, gap, BRIDGING_REACH)
    assert not agrees(bridged, gap, LONGEST_BRIDGE - 8)  # the window's middle is 8 pixels wide
    turned = gap.copy()  # the other end comes down from above: it does not point back
    turned[200, 206 + LONGEST_BRIDGE :] = False
    turned[100:201, 205 + LONGEST_BRIDGE] = True
    assert not bridged(turned)[200, 204:].any()
    assert agrees(bridged, turned, BRIDGING_REACH)


def test_evidence() -> None:
    rng = np.random.default_rng(2)
    for seed in range(20):
        road = np.where(noise(seed, 240, 0.1 * (-1) ** seed, (8, 8)), 230, 10) + rng.integers(0, 20, (240, 240))

        def step(plane: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
            codes = np.where(plane > 128, ROAD, 0).astype(np.uint8)
            return gather_evidence(Reading(codes, plane.astype(np.uint8)), CLASSES).road

        assert agrees(step, road, EVIDENCE_REACH)
    broad = np.full((240, 240), 255)
    broad[:, : 124 - WIDEST_ROAD] = 0  # so that the depth of the middle is just beyond that of a road
    assert not agrees(step, broad, WIDEST_ROAD - 16)


def crossing(at: int) -> ClassMap:
    """A narrow street that crosses another just before a core's border, and is broad from some way beyond it."""
    codes = np.zeros((300, 1024), np.uint8)
    codes[145:156] = ROAD
    codes[:, 500:511] = ROAD
    codes[140:161, at:] = ROAD

    def read(window: Box) -> Reading:
        return Reading(codes[window.top : window.bottom, window.left : window.right])

    return ClassMap(read, Box(0, 0, 1024, 300), CLASSES, 1.0)


def lines_of(source: ClassMap, core: int) -> list[tuple[float, list[list[int]]]]:
    found = [feature for feature in extract(source, core) if isinstance(feature, RoadLine)]
    return sorted((line.width, line.line.tolist()) for line in found)


@pytest.mark.parametrize("at", [530, 550, 570])
def test_widths_ahead(at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    source = crossing(at)
    whole = lines_of(source, 1024)
    assert lines_of(source, 512) == whole
    extracting = sys.modules["geo2map.features.extract"]
    for name in ("HALO", "NEAR_CORE"):
        monkeypatch.setattr(extracting, name, 4)
    assert lines_of(source, 512) != whole
