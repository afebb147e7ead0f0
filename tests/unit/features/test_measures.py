"""Measures of road graphs and buildings, against cases counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from geo2map.metrics.buildings import BuildingMatches, outlines
from geo2map.metrics.road_graph import Connectedness, RoadGraph, apls, roughness
from geo2map.types import Mask

VALID = np.ones((300, 400), bool)
CROSS = [np.array([(0.0, 150), (200, 150)]), np.array([(200.0, 150), (400, 150)]), np.array([(200.0, 150), (200, 50)])]


def graph(lines: list[np.ndarray]) -> RoadGraph:
    return RoadGraph.of_lines(lines, VALID)


def cross() -> Mask:
    mask = np.zeros((300, 400), bool)
    mask[145:156] = True
    mask[50:150, 195:206] = True
    return mask


def test_a_graph_is_counted() -> None:
    found = Connectedness.of(graph(CROSS), 1.0)
    assert found.kilometres == pytest.approx(0.5, rel=0.02)
    assert found.dead_ends * found.kilometres == pytest.approx(1)  # two of the three ends lie at the border
    assert (found.parts, found.largest) == (1, 1.0)


def test_a_mask_has_the_graph_of_its_lines() -> None:
    found = Connectedness.of(RoadGraph.of_mask(cross()), 1.0)
    assert found.kilometres == pytest.approx(0.5, rel=0.1)
    assert found.parts == 1
    assert apls(graph(CROSS), RoadGraph.of_mask(cross()), 1.0) > 0.85


def test_the_same_graph_has_an_apls_of_one() -> None:
    assert apls(graph(CROSS), graph(CROSS[::-1]), 1.0) == 1.0


def test_a_gap_costs_the_paths_across() -> None:
    broken = [CROSS[0][::-1], CROSS[1], np.array([(200.0, 140), (200, 50)])]
    assert Connectedness.of(graph(broken), 1.0).parts == 2
    assert 0.6 < apls(graph(CROSS), graph(broken), 1.0) < 0.95


def test_no_roads_at_all() -> None:
    none = graph([])
    assert np.isnan(apls(none, graph(CROSS), 1.0))
    assert apls(graph(CROSS), none, 1.0) == 0.0
    assert Connectedness.of(none, 1.0).parts == 0


def test_what_is_not_known_is_not_measured() -> None:
    valid = VALID.copy()
    valid[:, 300:] = False
    assert RoadGraph.of_lines(CROSS, valid).length == pytest.approx(400, rel=0.02)


def test_arrows_and_railways_do_not_cut_a_true_road() -> None:
    mask = cross()
    mask[149:152, 60:75] = False
    mask[:, 100:103] = False
    assert Connectedness.of(RoadGraph.of_mask(mask), 1.0).parts == 1


def test_borders_of_a_straight_road_are_twice_its_length() -> None:
    mask = np.zeros((300, 400), bool)
    mask[145:156] = True
    assert roughness(mask, RoadGraph.of_mask(mask)) == pytest.approx(2, rel=0.12)
    rough = mask.copy()
    rough[156, ::2] = True
    assert roughness(rough, RoadGraph.of_mask(mask)) > roughness(mask, RoadGraph.of_mask(mask)) + 0.3


def test_buildings_are_matched_once_and_their_corners_measured() -> None:
    truth = [shapely.box(0, 0, 20, 10), shapely.box(50, 0, 60, 10), shapely.box(100, 0, 120, 20)]
    found = [shapely.box(1, 0, 21, 10), shapely.box(0, 0, 19, 10), shapely.box(56, 6, 70, 20)]
    matches = BuildingMatches.of(truth, found)
    assert matches.precision.value == pytest.approx(1 / 3)
    assert matches.recall.value == pytest.approx(1 / 3)
    assert matches.corners.value == pytest.approx(0.5)
    assert (matches + matches).recall.value == matches.recall.value


def test_outlines_of_a_mask() -> None:
    mask = np.zeros((60, 60), bool)
    mask[10:20, 10:40] = mask[30:50, 0:10] = True
    areas = sorted(polygon.area for polygon in outlines(mask))
    assert areas == pytest.approx([200, 300], rel=0.01)
