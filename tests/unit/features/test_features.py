"""Features are the same however a map is cut up, valid, apart, and hang together."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import ndimage as ndi

from geo2map.colour.palette import MAPS_PALETTE
from geo2map.demo import make_town
from geo2map.errors import DataError
from geo2map.features import Box, ClassMap, Reading, Region, RoadLine, cores, extract, extract_core, stitch
from geo2map.features.extract import WINDOW
from geo2map.metrics import classify

CLASSES = ("land", "building", "road", "water", "park", "highway", "highway")
LAND, BUILDING, ROAD, WATER, PARK, HIGHWAY = range(6)
CodesArray = npt.NDArray[np.uint8]


def class_map(codes: CodesArray, road: CodesArray | None = None, at: tuple[int, int] = (0, 0)) -> ClassMap:
    left, top = at

    def read(window: Box) -> Reading:
        part = np.s_[window.top - top : window.bottom - top, window.left - left : window.right - left]
        return Reading(codes[part], None if road is None else road[part])

    height, width = codes.shape
    return ClassMap(read, Box(left, top, left + width, top + height), CLASSES, 0.9)


def blank(height: int, width: int, kind: int = LAND) -> CodesArray:
    return np.full((height, width), kind, np.uint8)


def noise(seed: int, size: int, scale: float) -> tuple[CodesArray, CodesArray]:
    """Blobs of all classes, a net of streets over them, and a probability of road that fits half of it."""
    rng = np.random.default_rng(seed)
    fields = [ndi.gaussian_filter(rng.normal(size=(size, size)), scale) for _ in range(4)]
    codes = np.array([LAND, BUILDING, WATER, PARK], np.uint8)[np.argmax(fields, axis=0)]
    ridges = np.abs(ndi.gaussian_filter(rng.normal(size=(size, size)), 4 * scale))
    likely = np.exp(-ridges / ridges.mean() * 4)
    codes[likely > 0.6] = ROAD
    codes[(likely > 0.6) & (fields[0] > 0.5 * fields[0].max())] = HIGHWAY
    return codes, np.rint(255 * likely).astype(np.uint8)


def key(feature: RoadLine | Region) -> str:
    if isinstance(feature, RoadLine):
        return repr((feature.kind, feature.width, feature.bridged, feature.confidence, feature.line.tolist()))
    return repr((feature.kind, feature.confidence, shapely.to_wkt(feature.polygon)))


def keys(source: ClassMap, core: int | None) -> list[str]:
    return sorted(key(feature) for feature in extract(source, core))


def roads(source: ClassMap) -> list[RoadLine]:
    return [feature for feature in extract(source) if isinstance(feature, RoadLine)]


def regions(source: ClassMap, kind: str) -> list[Region]:
    return [feature for feature in extract(source) if isinstance(feature, Region) and feature.kind == kind]


@pytest.mark.slow
@pytest.mark.parametrize("scored", [True, False])
@pytest.mark.parametrize("at", [(0, 0), (-700, 333)])
def test_cores_do_not_matter(scored: bool, at: tuple[int, int]) -> None:
    codes, road = noise(3, 1050, 8)
    source = class_map(codes, road if scored else None, at)
    whole = keys(source, 4096)
    assert len(whole) > 100
    assert keys(source, 512) == whole
    assert keys(source, 1024) == whole


@pytest.mark.slow
@settings(max_examples=3, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([6.0, 9.0]))
@example(168, 9.0)
@example(57904072, 6.0)  # a highway of the classes that is none when its borders are even
def test_cores_do_not_matter_on_noise(seed: int, scale: float) -> None:
    source = class_map(*noise(seed, 600, scale))
    assert keys(source, 512) == keys(source, 1024)


@pytest.mark.slow
def test_a_smaller_halo_does_not_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """With less than half of the halo cores do matter: the other tests can fail."""
    codes, road = noise(3, 700, 7)
    source = class_map(codes, road)
    whole = keys(source, 1024)
    extracting = sys.modules["geo2map.features.extract"]  # the package has a function of this name
    for name in ("HALO", "NEAR_CORE"):
        monkeypatch.setattr(extracting, name, 40)
    assert keys(source, 512) != whole


@pytest.mark.slow
def test_cores_do_not_matter_in_a_town(tmp_path: Path) -> None:
    make_town(tmp_path / "town.tif", tmp_path / "map.tif", size=1400)
    with rasterio.open(tmp_path / "map.tif") as truth:
        picture = np.moveaxis(truth.read((1, 2, 3)), 0, 2)
    codes = classify(picture, MAPS_PALETTE).astype(np.uint8)
    blurred = ndi.gaussian_filter(np.isin(codes, (ROAD, HIGHWAY, HIGHWAY + 1)).astype(np.float32), 3)
    lost = np.random.default_rng(1).random((codes.shape[0] // 16 + 1, codes.shape[1] // 16 + 1)) < 0.15
    codes[np.kron(lost, np.ones((16, 16), bool))[: codes.shape[0], : codes.shape[1]]] = LAND
    source = class_map(codes, np.rint(255 * blurred).astype(np.uint8), (-800, 300))
    whole = keys(source, 2048)
    assert len(whole) > 300
    assert keys(source, 512) == whole
    assert keys(source, 1024) == whole


@given(
    st.integers(-9000, 9000), st.integers(-9000, 9000), st.integers(1, 9000), st.integers(1, 9000), st.integers(0, 6)
)
def test_cores_are_even(left: int, top: int, width: int, height: int, blocks: int) -> None:
    bounds, most = Box(left, top, left + width, top + height), 512 * blocks
    found = cores(bounds, most or None)
    for low, high in (("left", "right"), ("top", "bottom")):
        sides = sorted({(getattr(core, low), getattr(core, high)) for core in found})
        assert all(start % 512 == stop % 512 == 0 for start, stop in sides)
        assert all(before[1] == after[0] for before, after in pairwise(sides))
        assert sides[0][0] <= getattr(bounds, low) < sides[0][0] + 512
        assert sides[-1][1] - 512 < getattr(bounds, high) <= sides[-1][1]
        lengths = [stop - start for start, stop in sides]
        assert max(lengths) <= min(lengths) + 512
        read = [min(stop, getattr(bounds, high)) - max(start, getattr(bounds, low)) for start, stop in sides]
        assert max(lengths) <= most if most else max(read) <= WINDOW - 2 * 128
        if len(sides) > 2 and not most:  # the inner ones have a whole halo on both sides
            assert max(lengths[1:-1]) <= 2048
    assert len(set(found)) == len(found) == len({core[0] for core in found}) * len({core[1] for core in found})


def test_order_of_cores_does_not_matter() -> None:
    source = class_map(*noise(5, 600, 6))
    found = [extract_core(source, core) for core in cores(source.bounds, 512)]
    assert sorted(map(key, stitch(source, found))) == sorted(map(key, stitch(source, found[::-1])))


@pytest.mark.slow
@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1.5, 3.0, 6.0]))
def test_valid_and_apart(seed: int, scale: float) -> None:
    codes, road = noise(seed, 400, scale)
    found = list(extract(class_map(codes, road), 512))
    areas = [feature for feature in found if isinstance(feature, Region)]
    for area in areas:
        assert area.polygon.is_valid
        assert area.polygon.geom_type == "Polygon"
        coordinates = shapely.get_coordinates(area.polygon)
        assert (coordinates == np.rint(coordinates)).all()
    for kind in {area.kind for area in areas}:
        shapes = np.array([area.polygon for area in areas if area.kind == kind])
        one, two = shapely.STRtree(shapes).query(shapes, predicate="intersects")
        pairs = one < two
        assert shapely.area(shapely.intersection(shapes[one[pairs]], shapes[two[pairs]])).sum() == 0


def crossings(lines: list[RoadLine]) -> int:
    """Pairs of lines that meet elsewhere than at ends of both."""
    shapes = np.array([shapely.LineString(line.line) for line in lines])
    ends = shapely.multipoints(np.array([line.line[[0, -1]] for line in lines]))
    one, two = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    one, two = one[one < two], two[one < two]
    common = shapely.intersection(shapes[one], shapes[two])
    return int((~shapely.is_empty(shapely.difference(common, shapely.intersection(ends[one], ends[two])))).sum())


@pytest.mark.slow
@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([3.0, 5.0]))
def test_the_graph_is_noded(seed: int, scale: float) -> None:
    source = class_map(*noise(seed, 600, scale), at=(300, 300))
    lines = [feature for feature in extract(source, 512) if isinstance(feature, RoadLine)]
    assert not crossings(lines)
    assert all(len(line.line) > 1 and line.length > 0 for line in lines)


def crossing_streets() -> CodesArray:
    codes = blank(300, 400)
    codes[140:151] = ROAD
    codes[:, 195:206] = ROAD
    return codes


def test_two_streets_that_cross_are_four_roads_and_one_node() -> None:
    lines = roads(class_map(crossing_streets()))
    assert len(lines) == 4
    ends = [tuple(point) for line in lines for point in line.line[[0, -1]].tolist()]
    node = max(set(ends), key=ends.count)
    assert ends.count(node) == 4
    assert np.hypot(node[0] / 16 - 200.5, node[1] / 16 - 145.5) < 1.5
    assert all(line.width == pytest.approx(10, abs=1) and not line.bridged for line in lines)
    assert sum(line.length for line in lines) == pytest.approx((300 + 400) * 0.9, rel=0.02)


def test_a_gap_is_bridged_and_told() -> None:
    codes = crossing_streets()
    codes[135:156, 80:100] = LAND
    lines = roads(class_map(codes))
    bridged = [line for line in lines if line.bridged]
    assert len(bridged) == 1
    assert 15 * 0.9 < bridged[0].length < 35 * 0.9
    assert bridged[0].width == pytest.approx(10, abs=1)


@pytest.mark.parametrize("kind", [WATER, PARK])
def test_no_bridge_over_water_or_through_a_park(kind: int) -> None:
    codes = crossing_streets()
    codes[100:190, 80:100] = kind
    assert not any(line.bridged for line in roads(class_map(codes)))


def test_a_wide_gap_needs_a_score() -> None:
    codes = blank(300, 400)
    codes[140:151, :150] = codes[140:151, 195:] = ROAD
    codes[60:230, 300:311] = ROAD
    codes[:, 195:240] = LAND  # no road points back from so far away
    score = np.where(codes == ROAD, 255, 0).astype(np.uint8)
    assert not any(line.bridged for line in roads(class_map(codes, score)))
    codes[140:151, 190:300] = ROAD
    score = np.where(codes == ROAD, 255, 0).astype(np.uint8)
    score[100:190, 150:190] = 60
    assert any(line.bridged for line in roads(class_map(codes, score)))


def test_scores_hold_roads_that_the_classes_lost() -> None:
    codes = blank(200, 400)
    score = blank(200, 400, 0)
    score[95:106] = 120
    assert not roads(class_map(codes))
    found = roads(class_map(codes, score))
    assert sum(line.length for line in found) == pytest.approx(400 * 0.9, rel=0.05)
    assert found[0].confidence == pytest.approx(120 / 255, abs=0.05)


def test_a_faint_speck_is_no_road() -> None:
    codes, score = blank(200, 200), blank(200, 200, 0)
    score[95:103, 80:110] = 110
    assert not roads(class_map(codes, score))


def test_buildings_get_square_corners() -> None:
    codes = blank(120, 120)
    rows, columns = np.mgrid[:120, :120]
    u, v = (columns - 60) * 0.9 + (rows - 60) * 0.436, (rows - 60) * 0.9 - (columns - 60) * 0.436
    codes[(np.abs(u) < 25) & (np.abs(v) < 12)] = BUILDING
    (house,) = regions(class_map(codes), "building")
    assert len(house.polygon.exterior.coords) == 5
    assert house.area == pytest.approx(50 * 24 * 0.81, rel=0.04)


def test_a_building_in_the_shape_of_an_l_has_six_corners() -> None:
    codes = blank(120, 120)
    codes[30:90, 30:50] = BUILDING
    codes[70:90, 30:95] = BUILDING
    (house,) = regions(class_map(codes), "building")
    assert len(house.polygon.exterior.coords) == 7


def test_a_speck_is_no_building() -> None:
    codes = blank(100, 100)
    codes[50:54, 50:54] = BUILDING
    assert not regions(class_map(codes), "building")
    codes[50:56, 50:56] = BUILDING
    assert regions(class_map(codes), "building")


@pytest.mark.parametrize("long", [30, 200])
def test_a_building_ends_at_the_border_of_the_map(long: int) -> None:
    codes = blank(60, 300)
    codes[20:40, :long] = BUILDING
    (house,) = regions(class_map(codes), "building")
    assert house.area == pytest.approx(20 * long * 0.81, rel=0.06)
    assert abs(house.polygon.bounds[0]) <= 16


def test_large_buildings_are_kept_whole_over_blocks() -> None:
    codes = blank(300, 1200)
    codes[100:160, 100:1100] = BUILDING
    (hall,) = regions(class_map(codes), "building")
    assert hall.area == pytest.approx(60 * 1000 * 0.81, rel=0.01)


def test_a_road_cuts_a_park_and_leaves_no_sliver() -> None:
    codes = blank(300, 300, PARK)
    codes[:, 145:156] = ROAD
    parks = regions(class_map(codes), "park")
    (road,) = roads(class_map(codes))
    assert len(parks) == 2
    drawn = shapely.LineString(road.line).buffer(road.width / 0.9 * 16 / 2, cap_style="flat")
    left = shapely.box(0, 0, 300 * 16, 300 * 16) - shapely.union_all([park.polygon for park in parks]) - drawn
    assert left.area / 256 < 30


def test_park_and_water_share_their_border() -> None:
    codes = blank(300, 700, PARK)
    rows, columns = np.mgrid[:300, :700]
    codes[rows > 150 + 40 * np.sin(columns / 40)] = WATER
    source = class_map(codes)
    (park,), (water,) = regions(source, "park"), regions(source, "water")
    assert park.polygon.intersection(water.polygon).area == 0
    assert park.polygon.area + water.polygon.area == 300 * 700 * 256


def test_highways_are_areas_with_a_line() -> None:
    codes = blank(200, 600)
    codes[80:120] = HIGHWAY
    source = class_map(codes)
    (area,) = regions(source, "highway")
    assert area.area == pytest.approx(40 * 600 * 0.81, rel=0.02)
    assert all(line.kind == "highway" and line.area for line in roads(source))


def test_what_only_scores_show_of_a_highway_leaves_no_gap_in_a_park() -> None:
    codes = blank(300, 300, PARK)
    codes[140:161] = HIGHWAY
    road = np.where(codes == HIGHWAY, 250, 0).astype(np.uint8)
    spur = road.copy()
    spur[161:177, 147:154] = 110
    assert len(roads(class_map(codes, spur))) > 1
    source = class_map(codes, spur)
    shown = [area.polygon for kind in ("park", "highway") for area in regions(source, kind)]
    shown += [
        shapely.LineString(line.line).buffer(line.width / 0.9 * 16 / 2) for line in roads(source) if not line.area
    ]
    assert (shapely.box(0, 0, 300 * 16, 300 * 16) - shapely.union_all(shown)).area < 20 * 256


def test_areas_have_the_mean_probability_of_their_pixels() -> None:
    codes = blank(300, 1200)
    codes[100:160, 100:1100] = BUILDING  # over three blocks
    codes[200:260] = HIGHWAY
    codes[220:240, 500:520] = LAND  # a hole
    likely = np.where(np.arange(1200) < 600, 200, 100).astype(np.uint8) * np.ones((300, 1), np.uint8)
    source = ClassMap(
        lambda window: Reading(
            *(plane[window.top : window.bottom, window.left : window.right] for plane in (codes, likely, likely))
        ),
        Box(0, 0, 1200, 300),
        CLASSES,
        0.9,
    )
    (hall,), (highway,) = regions(source, "building"), regions(source, "highway")
    assert hall.confidence == pytest.approx(150 / 255, abs=0.002)
    assert len(highway.polygon.interiors) == 1
    assert highway.confidence == pytest.approx(150 / 255, abs=0.005)
    assert all(park.confidence is None for park in regions(class_map(blank(300, 300, PARK)), "park"))


def test_nothing_known_nothing_there() -> None:
    assert not list(extract(class_map(blank(600, 600, 255))))


@pytest.mark.parametrize("half", [5, 8, 12])
@pytest.mark.parametrize("slope", [0.0, 0.1, -0.3, 0.5])
def test_a_street_is_straight_to_where_the_data_end(half: int, slope: float) -> None:
    y, x = np.mgrid[:400, :400]
    away = (x - 200 - slope * (y - 200)) / np.hypot(1, slope)
    codes = np.where(np.abs(away) < half, ROAD, LAND).astype(np.uint8)
    codes[:40] = codes[360:] = 255
    (street,) = roads(class_map(codes))
    found_x, found_y = (street.line / 16).T
    assert (np.abs(found_x - 200 - slope * (found_y - 200)) / np.hypot(1, slope)).max() < 2.5
    assert found_y.min() < 41 + half
    assert found_y.max() > 359 - half


@pytest.mark.slow
def test_cores_do_not_matter_where_data_end() -> None:
    codes, road = noise(8, 1050, 8)
    y, x = np.mgrid[:1050, :1050]
    outside = (x + 0.1 * y < 480) | ((x - 700) ** 2 + (y - 500) ** 2 < 60**2)
    source = class_map(np.where(outside, 255, codes).astype(np.uint8), np.where(outside, 0, road).astype(np.uint8))
    whole = keys(source, 2048)
    assert len(whole) > 50
    assert keys(source, 512) == whole


def test_a_ring_begins_where_it_does_whichever_core_sees_all_of_it() -> None:
    y, x = np.mgrid[:1000, :1000]
    ring = np.abs(np.hypot(x - 560, y - 500) - 200) < 5
    source = class_map(np.where(ring, ROAD, LAND).astype(np.uint8))
    assert keys(source, 512) == keys(source, 1024)
    (street,) = roads(source)
    assert street.line[0].tolist() == street.line[-1].tolist() == min(street.line.tolist(), key=lambda at: at[::-1])


@pytest.mark.slow
@settings(max_examples=3, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1.0, 3.0, 12.0]), st.booleans())
@example(17, 12.0, True)
def test_cores_do_not_matter_where_little_is_known(seed: int, scale: float, scored: bool) -> None:
    """Noise with holes, from single pixels to wide ones."""
    rng = np.random.default_rng(seed)
    codes, road = noise(seed, 900, rng.choice([6.0, 9.0, 14.0]))
    unseen = ndi.gaussian_filter(rng.normal(size=codes.shape), scale)
    holes = unseen > np.quantile(unseen, rng.choice([0.8, 0.97, 0.995]))
    codes[holes], road[holes] = 255, 0
    left, top = rng.integers(-600, 600, 2).tolist()
    source = class_map(codes, road if scored else None, (left, top))
    whole = keys(source, 4096)
    assert any("coverage" in found for found in whole)
    assert all(keys(source, core) == whole for core in (512, 1024, None))


def test_only_what_is_unfinished_is_held() -> None:
    source = class_map(*noise(7, 1024, 4))
    seen = 0
    for found in extract(source, 512):
        seen += 1
        assert found is not None
        break
    assert seen == 1  # before the second core is read


@pytest.mark.parametrize("core", [0, 100, 513])
def test_cores_are_made_of_blocks(core: int) -> None:
    with pytest.raises(DataError, match="multiple of 512"):
        list(extract(class_map(blank(10, 10)), core))


def test_a_reading_of_the_wrong_size_is_refused() -> None:
    source = ClassMap(lambda _: Reading(blank(3, 3)), Box(0, 0, 50, 50), CLASSES, 1.0)
    with pytest.raises(DataError, match="one size"):
        list(extract(source))
