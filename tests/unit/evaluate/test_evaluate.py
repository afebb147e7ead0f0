"""The evaluation of a translator, with translators whose scores are known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from geo2map.colour.palette import MAPS_PALETTE, Palette
from geo2map.errors import DataError
from geo2map.evaluate import (
    EvaluateConfig,
    Row,
    Scores,
    constant_baseline,
    evaluate,
    land_colour,
    resize_to_256,
    table,
    to_json,
    translate_picture,
)
from geo2map.evaluate.table import COLUMNS, OPTIONAL
from geo2map.evaluate.translate import translate_tiled
from geo2map.metrics import ssim
from geo2map.protocols import PixelTranslator
from geo2map.testing import BlurTranslator, IdentityTranslator
from geo2map.train.pictures import PairFile, list_pairs
from geo2map.types import Batch, Image

LAND, BUILDING, ROAD, WATER, PARK, HIGHWAY, PALE_HIGHWAY = MAPS_PALETTE.colours
NATIVE = EvaluateConfig(size_multiple=8, margin=8, palette=MAPS_PALETTE, name="fake", tile=16)
WHOLE = replace(NATIVE, seams=0)


class Negative(PixelTranslator):
    """Gives 255 - x, which is the truth here, and notes the shapes it saw."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def translate_pixels(self, batch: Batch, _: int = 0) -> Batch:
        self.shapes.append(batch.shape)
        return 255 - batch


class Brightening(PixelTranslator):
    """Adds its own mean to a picture, as a norm over whole pictures does."""

    def translate_pixels(self, batch: Batch, _: int = 0) -> Batch:
        return batch // 2 + (batch.mean(axis=(1, 2, 3), keepdims=True) // 2).astype(np.uint8)


class Shift(PixelTranslator):
    """Each pixel becomes its right neighbour; the last column is black, as a network's zero padding would be."""

    def translate_pixels(self, batch: Batch, _: int = 0) -> Batch:
        return np.concatenate([batch[:, :, 1:], np.zeros_like(batch[:, :, :1])], axis=2)


class Shrinking(PixelTranslator):
    """Breaks the contract."""

    def translate_pixels(self, batch: Batch, _: int = 0) -> Batch:
        return batch[:, 1:]


def map_picture(height: int = 30, width: int = 40) -> Image:
    picture = np.broadcast_to(LAND, (height, width, 3)).copy()
    picture[:, 10:14], picture[20:, 20:] = ROAD, WATER
    return picture


def save_pair(path: Path, b: Image) -> None:
    Pillow.fromarray(np.concatenate([255 - b, b], axis=1)).save(path)


@pytest.fixture
def files(tmp_path: Path) -> list[PairFile]:
    """Three pairs: A is the negative of B; the third has no road."""
    for number, picture in enumerate([map_picture(), map_picture(33, 47), map_picture()[:, 15:]], start=1):
        save_pair(tmp_path / f"{number}.png", picture)
    return list_pairs(tmp_path)


def noise_pair(folder: Path, side: int) -> list[PairFile]:
    save_pair(folder / "1.png", np.random.default_rng(3).integers(0, 256, (side, side, 3), dtype=np.uint8))
    return list_pairs(folder)


def test_a_perfect_translator_has_perfect_scores(files: list[PairFile]) -> None:
    report = evaluate(files, Negative(), NATIVE).report()
    assert (report["name"], report["protocol"], report["direction"]) == ("fake", "native", "a2b")
    assert (report["pictures"], report["rmse"], report["rmse_sum"]) == (3, 0.0, 0.0)
    assert (report["acc5"], report["acc10"], report["road_f1"]) == (1.0, 1.0, 1.0)
    assert report["ssim"] == pytest.approx(1.0)
    assert report["class_iou"] == {
        "land": 1.0, "building": None, "road": 1.0, "water": 1.0, "park": None, "highway": None, "mean": 1.0
    }  # fmt: skip
    assert report["psnr"] > 80  # finite, though each picture's is infinite
    assert report["seams"]["tile_mismatch"]["mean"] == 0.0


def constant_row(files: list[PairFile], config: EvaluateConfig) -> dict[str, Any]:
    constant = constant_baseline(files, config)
    return evaluate(files, constant, replace(config, name=constant.name)).report()


def test_the_baseline_is_a_picture_of_land(files: list[PairFile]) -> None:
    report = constant_row(files, replace(NATIVE, limit=1))
    road, water = 30 * 4, 10 * 20
    land = 30 * 40 - road - water
    squares = road * ((ROAD - LAND.astype(float)) ** 2).sum() + water * ((WATER - LAND.astype(float)) ** 2).sum()
    assert report["name"] == "constant land colour"
    assert report["rmse_sum"] == pytest.approx(np.sqrt(squares / 1200))
    assert report["acc5"] == pytest.approx(land / 1200)
    assert report["class_iou"]["land"] == pytest.approx(land / 1200)
    assert report["class_iou"]["mean"] == pytest.approx(land / 1200 / 3)
    assert report["road_f1"] == 0.0
    assert report["seam_ratio"] is None


def test_the_baseline_of_photographs_is_their_median_colour(tmp_path: Path) -> None:
    photograph = np.zeros((24, 24, 3), np.uint8)
    photograph[:8], photograph[8:16], photograph[16:] = (10, 90, 3), (20, 80, 2), (30, 70, 1)
    save_pair(tmp_path / "1.png", 255 - photograph)
    constant = constant_baseline(list_pairs(tmp_path), replace(NATIVE, direction="b2a", palette=None))
    assert (constant.name, constant.colour.tolist()) == ("constant median colour", [20, 80, 2])


def test_pictures_are_padded_to_margin_and_multiple(files: list[PairFile]) -> None:
    negative = Negative()
    evaluate(files, negative, replace(WHOLE, limit=2))
    assert negative.shapes == [(1, 48, 56, 3), (1, 56, 64, 3)]  # 30 x 40 and 33 x 47


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 16), st.integers(0, 3), st.integers(-9, 30))
@settings(max_examples=50)
def test_padding_is_cropped_again(height: int, width: int, multiple: int, reach: int, offset: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    negative, margin = Negative(), reach * multiple
    assert np.array_equal(translate_picture(image, negative, multiple, margin), 255 - image)
    assert np.array_equal(translate_tiled(image, negative, margin, 2 * multiple, offset), 255 - image)
    assert all(side % multiple == 0 for shape in negative.shapes for side in shape[1:3])


def test_context_is_a_reflection() -> None:
    image = map_picture()
    image[:, -2] = PARK
    assert np.array_equal(translate_picture(image, Shift(), 4, 4)[:, -1], image[:, -2])
    assert not translate_picture(image, Shift(), 1, 0)[:, -1].any()


def test_a_translator_that_changes_the_size_is_refused() -> None:
    with pytest.raises(DataError, match="size multiple"):
        translate_picture(map_picture(), Shrinking(), 8, 8)


class Spy(PixelTranslator):
    """Notes what it is given, and returns it."""

    def __init__(self) -> None:
        self.seen: list[Batch] = []

    def translate_pixels(self, batch: Batch, _: int = 0) -> Batch:
        self.seen.append(batch)
        return batch


def test_b2a_swaps_the_halves(files: list[PairFile]) -> None:
    report = evaluate(files, Negative(), replace(WHOLE, direction="b2a", palette=None)).report()
    assert (report["rmse"], report["direction"]) == (0.0, "b2a")
    assert (report["class_iou"], report["road_f1"]) == ({"mean": None}, None)
    for direction, side in (("b2a", map_picture()), ("a2b", 255 - map_picture())):
        spy = Spy()
        evaluate(files, spy, EvaluateConfig(1, 0, direction=direction, seams=0))
        assert np.array_equal(spy.seen[0][0], side)


def test_two_folders_are_pairs_too(tmp_path: Path) -> None:
    for name, picture in (("A", 255 - map_picture()), ("B", map_picture())):
        (tmp_path / name).mkdir()
        Pillow.fromarray(picture).save(tmp_path / name / "1.png")
    assert evaluate(list_pairs(tmp_path), Negative(), NATIVE).report()["rmse"] == 0.0


def test_maps256_reduces_after_and_maps256_reduced_before(tmp_path: Path) -> None:
    files = noise_pair(tmp_path, 300)
    after, before = Negative(), Negative()
    row = evaluate(files, after, replace(WHOLE, protocol="maps256"))
    evaluate(files, before, replace(WHOLE, protocol="maps256-reduced"))
    assert (after.shapes, before.shapes) == ([(1, 320, 320, 3)], [(1, 272, 272, 3)])
    assert row.scores.differences.pixel.sum() == 256 * 256
    assert row.scores.differences.rmse == 0.0


def test_resize_is_antialiased_bicubic_and_leaves_256_alone() -> None:
    image = np.random.default_rng(3).integers(0, 256, (600, 600, 3), dtype=np.uint8)
    assert resize_to_256(image).std() < image.std() / 2
    assert np.array_equal(resize_to_256(image[:256, :256]), image[:256, :256])


def test_enough_context_leaves_no_seam_and_none_leaves_one(tmp_path: Path) -> None:
    save_pair(
        tmp_path / "1.png",
        np.kron(np.random.default_rng(0).integers(0, 256, (10, 10, 3)), np.ones((9, 9, 1))).astype(np.uint8),
    )
    files = list_pairs(tmp_path)
    for margin, exact in ((8, True), (0, False)):
        row = evaluate(files, BlurTranslator(7), replace(NATIVE, margin=margin, tile=32))
        report = row.report()
        seams = report["seams"]
        assert (seams["pictures"], (seams["tile_mismatch"]["mean"] == 0)) == (1, exact)
        assert (seams["whole_vs_tiled"] == {"mean": 0.0, "max": 0}) == exact
        assert report["seam_ratio"] == 1.0 if exact else report["seam_ratio"] > 1.5


def test_a_norm_over_whole_tiles_shows(tmp_path: Path) -> None:
    """Tiles that are translated by themselves: one pass makes the same seams, so it is no referee."""
    ramp = np.repeat(np.add.outer(np.arange(96), np.arange(96))[..., None], 3, axis=2).astype(np.uint8)
    save_pair(tmp_path / "1.png", ramp)
    faithful = EvaluateConfig(size_multiple=32, margin=0, tile=32)
    report = evaluate(list_pairs(tmp_path), Brightening(), faithful).report()
    assert report["seam_ratio"] > 2.0
    assert report["seams"]["tile_mismatch"]["mean"] > 1.0
    assert report["seams"]["whole_vs_tiled"] is None


def test_seams_are_measured_on_pictures_spread_evenly(tmp_path: Path) -> None:
    for number in range(7):
        save_pair(tmp_path / f"{number}.png", np.full((24, 24, 3), 10 * number, np.uint8))
    spy = Spy()
    row = evaluate(list_pairs(tmp_path), spy, EvaluateConfig(8, 0, seams=3, tile=16))
    assert row.seams.pictures == 3
    tiled = [255 - int(batch[0, 0, 0, 0]) for batch in spy.seen if len(batch) > 1]
    assert tiled == [0, 0, 30, 30, 60, 60]


def test_limit_and_progress(files: list[PairFile]) -> None:
    told: list[tuple[str, int, int]] = []
    row = evaluate(
        files, Negative(), replace(NATIVE, limit=2), lambda stage, done, total: told.append((stage, done, total))
    )
    assert told == [("evaluate", 1, 2), ("evaluate", 2, 2)]
    assert row.report()["pictures"] == 2


def test_distances_get_what_is_compared(tmp_path: Path) -> None:
    class Shapes:
        def __init__(self) -> None:
            self.seen: list[tuple[int, ...]] = []

        def add(self, truth: Image, prediction: Image) -> None:
            self.seen += [truth.shape, prediction.shape]

        def report(self) -> dict[str, Any]:
            return {"fid": 12.0, "kid": None}

    shapes = Shapes()
    row = evaluate(
        noise_pair(tmp_path, 300), IdentityTranslator(), replace(WHOLE, protocol="maps256"), distances=shapes
    )
    assert shapes.seen == [(256, 256, 3)] * 2
    assert row.report()["fid"] == 12.0
    assert "| FID " in table([row])
    assert "| 12.0" in table([row])


def test_impossible_requests_are_refused() -> None:
    with pytest.raises(DataError, match="no pairs"):
        evaluate([], Negative(), NATIVE)
    for wrong in ({"limit": 0}, {"margin": -8}, {"margin": 5}, {"seams": -1}, {"tile": 1}, {"size_multiple": 0}):
        with pytest.raises(DataError, match=next(iter(wrong)).replace("_", " ")):
            replace(NATIVE, **wrong)


def test_pooling_of_two_pictures() -> None:
    truth, worse = map_picture(), np.roll(map_picture(), 6, axis=1)
    one, two = Scores.of(truth, truth, MAPS_PALETTE), Scores.of(truth[:20], worse[:20], MAPS_PALETTE)
    both = one + two
    whole = Scores.of(np.concatenate([truth, truth[:20]]), np.concatenate([truth, worse[:20]]), MAPS_PALETTE)
    assert both.differences.rmse == pytest.approx(whole.differences.rmse)  # pooled over pixels
    assert both.report()["class_iou"] == whole.report()["class_iou"]
    assert both.rmse_sum.value == pytest.approx((0 + two.differences.rmse_sum) / 2)  # mean over pictures
    assert both.ssim.value == pytest.approx((1 + ssim(truth[:20], worse[:20])) / 2)
    assert both.psnr.value == pytest.approx((10 * np.log10(255**2 * 3600) + two.differences.psnr) / 2)
    with pytest.raises(DataError, match="two palettes"):
        one + Scores.of(truth, truth)


def test_a_highway_is_a_road_unless_told_otherwise() -> None:
    truth = np.where((np.arange(40) == 9)[None, :, None], HIGHWAY, map_picture()).astype(np.uint8)
    truth[:, 10:14] = LAND
    prediction = np.where((np.arange(40) == 9)[None, :, None], ROAD, truth)
    assert Scores.of(truth, prediction, MAPS_PALETTE).report()["road_f1"] == 1.0
    assert Scores.of(truth, prediction, MAPS_PALETTE, road_classes=("road",)).report()["road_f1"] == 0.0


def test_a_hole_in_the_truth_does_not_count() -> None:
    truth, mask = map_picture(), np.ones((30, 40), bool)
    truth[:15, :5], mask[:15, :5] = 0, False
    report = Scores.of(truth, map_picture(), MAPS_PALETTE, mask).report()
    assert (report["rmse"], report["road_f1"], report["class_iou"]["mean"]) == (0.0, 1.0, 1.0)
    nothing = Scores.of(truth, map_picture(), MAPS_PALETTE, np.zeros((30, 40), bool)).report()
    assert (nothing["pictures"], nothing["rmse"], nothing["psnr"], nothing["road_f1"]) == (0, None, None, None)


def test_land_colour_is_found_by_name() -> None:
    assert land_colour(Palette((("sea", (0, 0, 9)), ("land", (9, 9, 9))))).tolist() == [9, 9, 9]
    assert land_colour(Palette((("sea", (0, 0, 9)), ("isle", (9, 9, 9))))).tolist() == [0, 0, 9]


def cells(text: str) -> list[list[str]]:
    head, _, *lines = text.splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in (head, *lines)]


def test_table_and_json(files: list[PairFile]) -> None:
    rows: list[Row] = [evaluate(files, Negative(), NATIVE)]
    constant = constant_baseline(files, NATIVE)
    rows.append(evaluate(files, constant, replace(NATIVE, name=constant.name)))
    scores, by_class = table(rows).split("\n\n")
    assert all(len({len(line) for line in part.splitlines()}) == 1 for part in (scores, by_class))
    assert cells(scores)[0] == [title for key, (title, _) in COLUMNS.items() if key not in OPTIONAL]
    assert cells(scores)[1][:5] == ["fake", "native", "3", "0.00", "0.00"]
    assert cells(scores)[2][-2:] == ["0.00", "-"]
    assert cells(by_class)[0][2:] == list(MAPS_PALETTE.classes)
    assert cells(by_class)[1][2:] == ["1.000", "-", "1.000", "1.000", "-", "-"]
    assert json.loads(to_json(rows)) == [row.report() for row in rows]


def test_a_table_without_classes_is_one_table(files: list[PairFile]) -> None:
    assert "\n\n" not in table([evaluate(files, Negative(), replace(NATIVE, palette=None))])


def test_json_keys_are_the_agreed_ones(files: list[PairFile]) -> None:
    report = evaluate(files, Negative(), NATIVE).report()
    agreed = {"rmse", "rmse_sum", "psnr", "ssim", "acc5", "acc10", "class_iou", "road_f1", "seam_ratio"}
    assert agreed <= set(report)
    assert set(report["class_iou"]) == {*MAPS_PALETTE.classes, "mean"}
