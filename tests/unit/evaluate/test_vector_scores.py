"""Features read out of translations, against maps whose roads and buildings are known."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from geo2map.colour.palette import MAPS_PALETTE
from geo2map.errors import DataError
from geo2map.evaluate import EvaluateConfig, evaluate, table, to_json
from geo2map.evaluate.vectors import measure_vectors
from geo2map.protocols import PixelTranslator, Scored, ScoreKind
from geo2map.train.pictures import LABEL_BITS, list_pairs
from geo2map.types import Batch, Image

LAND, BUILDING, ROAD, WATER, PARK, HIGHWAY, _ = MAPS_PALETTE.colours
CONFIG = EvaluateConfig(size_multiple=8, margin=8, palette=MAPS_PALETTE, name="fake", seams=0, vectors=True, metres=1.0)


class Negative(PixelTranslator):
    """Gives 255 - x, which is the truth here."""

    def translate_pixels(self, batch: Batch, _: int = 0) -> Batch:
        return 255 - batch


def town() -> Image:
    """Two streets that cross, and four houses."""
    picture = np.broadcast_to(LAND, (240, 320, 3)).copy()
    picture[115:126], picture[:, 155:166] = ROAD, ROAD
    for top, left in ((40, 40), (40, 220), (160, 40), (160, 220)):
        picture[top : top + 30, left : left + 50] = BUILDING
    return picture


def gapped() -> Image:
    """The town with a gap in a street, a speck, and one house less."""
    picture = town()
    picture[110:130, 60:74] = LAND
    picture[20:25, 100:106] = ROAD
    picture[160:190, 220:270] = LAND
    return picture


def test_a_perfect_map_keeps_its_roads_and_houses() -> None:
    found = measure_vectors(town(), town(), None, palette=MAPS_PALETTE, metres=1.0)
    assert found.truth.paths.value == 1.0
    assert found.lines.paths.value > 0.9  # the skeleton's lengths are of pixels
    assert found.lines.kilometres == pytest.approx(0.56, abs=0.02)
    assert (found.lines.parts.value, found.lines.dead_ends.value, found.lines.largest.value) == (1, 0, 1)
    assert found.lines.borders.value == pytest.approx(2, rel=0.15)
    assert (found.squared.precision.value, found.squared.recall.value) == (1, 1)
    assert found.squared.corners.value < 1
    assert found.redrawn.roads.f1 > 0.99


def test_features_mend_what_a_picture_lost() -> None:
    found = measure_vectors(town(), gapped(), None, palette=MAPS_PALETTE, metres=1.0)
    assert found.network.parts.value > 1
    assert found.network.dead_ends.value > 0
    assert (found.lines.parts.value, found.lines.dead_ends.value) == (1, 0)
    assert found.lines.paths.value > found.network.paths.value
    assert found.squared.recall.value == 3 / 4
    assert found.squared.precision.value == 1


def test_probabilities_are_used() -> None:
    likely = np.where((town() == ROAD).all(-1), 120, 0).astype(np.uint8)
    evidence = np.stack((likely, np.zeros_like(likely)))
    bare = np.broadcast_to(LAND, (240, 320, 3)).copy()
    assert measure_vectors(town(), bare, None, palette=MAPS_PALETTE, metres=1.0).lines.kilometres == 0
    found = measure_vectors(town(), bare, evidence, palette=MAPS_PALETTE, metres=1.0)
    assert found.lines.kilometres == pytest.approx(0.56, abs=0.03)
    assert found.redrawn.roads.f1 > 0.9


class Doubtful(Negative):
    """Draws no roads, and knows better."""

    has_scores = True

    def translate_pixels(self, batch: Batch, _: int = 0) -> Batch:
        truth = 255 - batch
        return np.where((truth == ROAD).all(-1, keepdims=True), np.array(LAND, np.uint8), truth)

    def begin_scored(
        self, batch: Batch, margin: int = 0, kinds: Collection[ScoreKind] = frozenset({"confidence"})
    ) -> Callable[[], Scored]:
        road = np.where((255 - batch == ROAD).all(-1), 120, 0).astype(np.uint8)
        planes = {"confidence": (np.full_like(road, 50),), "probabilities": (road, np.zeros_like(road))}
        told = [plane for kind in ("confidence", "probabilities") if kind in kinds for plane in planes[kind]]
        return lambda: Scored(self.translate_pixels(batch, margin), np.stack(told, 1))


def test_an_evaluation_asks_a_translator_for_probabilities(tmp_path: Path) -> None:
    Pillow.fromarray(np.concatenate([255 - town(), town()], axis=1)).save(tmp_path / "1.png")
    row = evaluate(list_pairs(tmp_path), Doubtful(), CONFIG)
    assert row.vectors is not None
    assert row.vectors.network.kilometres == 0
    assert row.vectors.lines.kilometres == pytest.approx(0.56, abs=0.03)
    assert row.scores.reliability.report()


@pytest.mark.parametrize("planes", [0, 1])
def test_a_part_of_the_evidence_is_refused(planes: int) -> None:
    with pytest.raises(DataError, match="a plane of"):
        measure_vectors(town(), town(), np.zeros((planes, 240, 320), np.uint8), palette=MAPS_PALETTE, metres=1.0)


def test_what_is_not_known_is_not_measured() -> None:
    known = np.full((240, 320), LABEL_BITS["road"], np.uint8)
    known[:, 200:] = 0
    found = measure_vectors(town(), town(), None, palette=MAPS_PALETTE, metres=1.0, known=known)
    assert found.lines.kilometres == pytest.approx(0.44, abs=0.02)
    assert found.squared.recall.count == 0


def test_pictures_add_up_and_are_told(tmp_path: Path) -> None:
    for number, picture in enumerate((town(), town()), 1):
        Pillow.fromarray(np.concatenate([255 - picture, picture], axis=1)).save(tmp_path / f"{number}.png")
    row = evaluate(list_pairs(tmp_path), Negative(), CONFIG)
    assert row.vectors is not None
    assert row.vectors.lines.parts.count == 2
    report = json.loads(to_json([row]))[0]["vectors"]
    assert report["truth"]["apls"] == 1.0
    assert report["features"]["road_km"] == pytest.approx(1.12, abs=0.04)
    assert report["redrawn"]["pictures"] == 2
    text = table([row])
    assert text.count("fake, vectors") == 3  # scores, classes, roads
    assert "dead ends/km" in text
    assert "dead ends/km" not in table([replace(row, vectors=None)])


def test_what_has_no_features_is_refused() -> None:
    with pytest.raises(DataError, match="photographs have no classes"):
        replace(CONFIG, palette=None)
    with pytest.raises(DataError, match="take native or scene"):
        replace(CONFIG, protocol="maps256")
