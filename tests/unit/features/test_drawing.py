"""Drawings: seamless, in the style's colours and order, as sharp at any scale."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from geo2map.errors import DataError
from geo2map.features import Region, RoadLine, find_style
from geo2map.features.draw import Drawing

MAPS = find_style("maps")
LAND, PARK, ROAD = MAPS.background, MAPS.colour_of("park"), MAPS.colour_of("road")


def street(points: list[tuple[float, float]], width: float = 10.0, kind: str = "road") -> RoadLine:
    line = np.array(points)
    return RoadLine(kind, (line * 16).astype(np.int64), width, 1.0, None, False, False)


def square(left: int, top: int, right: int, bottom: int, kind: str = "park") -> Region:
    return Region(kind, shapely.box(16 * left, 16 * top, 16 * right, 16 * bottom), 1.0)


def town() -> list[RoadLine | Region]:
    rng = np.random.default_rng(1)
    streets = [street(np.cumsum(rng.normal(0, 60, (12, 2)), 0) + 250, float(w)) for w in rng.integers(4, 20, 12)]
    holed = shapely.Polygon(
        [(-8000, -8000), (16000, -9000), (17000, 12000), (-7000, 16000)],
        [[(1600, 1700), (3000, 1500), (3100, 4000), (1500, 3600)]],
    )
    return [
        *streets,
        Region("park", holed, 1.0),
        square(100, 300, 150, 420, "building"),
        square(40, 60, 90, 80, "water"),
    ]


@pytest.mark.parametrize("style", ["maps", "dark", "print"])
@pytest.mark.parametrize("scale", [0.25, 1.0, 4.0])
def test_tiles_are_parts_of_one_picture(style: str, scale: float) -> None:
    drawing = Drawing(town(), find_style(style), 0.9)
    whole = drawing.draw(0, 0, 512, scale)
    for left, top in ((0, 0), (256, 0), (0, 256), (256, 256), (64, 192)):
        assert np.array_equal(drawing.draw(left, top, 256, scale), whole[top : top + 256, left : left + 256])


def test_the_order_of_features_does_not_matter() -> None:
    assert np.array_equal(Drawing(town(), MAPS, 0.9).draw(0, 0, 512), Drawing(town()[::-1], MAPS, 0.9).draw(0, 0, 512))


def test_areas_are_drawn_to_the_pixel() -> None:
    picture = Drawing([square(10, 20, 30, 50)], MAPS, 1.0).draw(0, 0, 64)
    expected = np.full((64, 64, 3), LAND, np.uint8)
    expected[20:50, 10:30] = PARK
    assert np.array_equal(picture, expected)


@pytest.mark.parametrize("scale", [1, 2])
def test_streets_are_as_wide_as_they_are(scale: int) -> None:
    picture = Drawing([street([(-50, 20), (150, 20)], 10.0)], MAPS, 1.0).draw(0, 0, 64, scale)
    assert (picture[:, 32] == ROAD).all(1).sum() == 10 * scale


def test_streets_far_out_keep_their_least_width() -> None:
    picture = Drawing([street([(-5000, 3008), (15000, 3008)], 4.0)], MAPS, 1.0).draw(0, 0, 64, 1 / 64)
    assert (picture[:, 32] != LAND).any()


def test_roads_lie_on_parks_and_highways_on_roads() -> None:
    features = [street([(0, 32), (64, 32)]), street([(32, 0), (32, 64)], 10.0, "highway"), square(0, 0, 64, 64)]
    picture = Drawing(features, MAPS, 1.0).draw(0, 0, 64)
    assert tuple(picture[5, 5]) == PARK
    assert tuple(picture[32, 5]) == ROAD
    assert tuple(picture[32, 32]) == MAPS.colour_of("highway")


def test_a_casing_lies_beside_its_road_and_not_across_crossings() -> None:
    style = find_style("dark")
    features = [street([(0, 32), (64, 32)]), street([(32, 0), (32, 64)])]
    picture = Drawing(features, style, 1.0).draw(0, 0, 64)
    casing = next(rule.colour for rule in style.rules if rule.shape == "casing")
    assert (picture[5] == casing).all(1).any()
    assert not (picture[32] == casing).all(1).any()


def test_an_unknown_style_is_refused() -> None:
    with pytest.raises(DataError, match="give one of maps, dark, print"):
        find_style("bright")


def test_a_class_that_a_style_does_not_draw_is_told() -> None:
    with pytest.raises(DataError, match="no class forest"):
        MAPS.colour_of("forest")
