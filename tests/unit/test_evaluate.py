"""The evaluation of a translator and its command, with translators whose scores are known."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import click
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from geo2map.errors import DataError
from geo2map.evaluate import (
    COLUMNS,
    EvaluateConfig,
    Scores,
    evaluate,
    land_colour,
    resize_to_256,
    table,
    to_json,
    translate_padded,
)
from geo2map.metrics import ssim
from geo2map.palette import MAPS_PALETTE, Palette
from geo2map.types import Batch, Image

LAND, BUILDING, ROAD, WATER, PARK, HIGHWAY, PALE_HIGHWAY = MAPS_PALETTE.colours
NATIVE = EvaluateConfig(size_multiple=8, margin=8, palette=MAPS_PALETTE, name="fake")


class Negative:
    """Gives 255 - x, which is the truth here, and notes the shapes it saw."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def translate(self, batch: Batch) -> Batch:
        self.shapes.append(batch.shape)
        return 255 - batch


class Shift:
    """Each pixel becomes its right neighbour; the last column is black, as a network's zero padding would be."""

    def translate(self, batch: Batch) -> Batch:
        return np.concatenate([batch[:, :, 1:], np.zeros_like(batch[:, :, :1])], axis=2)


class Shrinking:
    """Breaks the contract."""

    def translate(self, batch: Batch) -> Batch:
        return batch[:, 1:]


def map_picture(height: int = 30, width: int = 40) -> Image:
    picture = np.broadcast_to(LAND, (height, width, 3)).copy()
    picture[:, 10:14], picture[20:, 20:] = ROAD, WATER
    return picture


def save_pair(path: Path, b: Image) -> None:
    Pillow.fromarray(np.concatenate([255 - b, b], axis=1)).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pairs: A is the negative of B; the third has no road."""
    for number, picture in enumerate([map_picture(), map_picture(33, 47), map_picture()[:, 15:]], start=1):
        save_pair(tmp_path / f"{number}.png", picture)
    return tmp_path


def test_a_perfect_translator_has_perfect_scores(folder: Path) -> None:
    model, _ = evaluate(folder, Negative(), NATIVE)
    report = model.report()
    assert (report["name"], report["protocol"], report["direction"]) == ("fake", "native", "a2b")
    assert (report["pictures"], report["rmse"], report["rmse_sum"]) == (3, 0.0, 0.0)
    assert (report["acc5"], report["acc10"], report["road_f1"]) == (1.0, 1.0, 1.0)
    assert report["ssim"] == pytest.approx(1.0)
    assert report["class_iou"] == {
        "land": 1.0, "building": None, "road": 1.0, "water": 1.0, "park": None, "highway": None, "mean": 1.0
    }  # fmt: skip
    assert report["psnr"] > 80  # finite, though each picture's is infinite


def test_the_baseline_is_a_picture_of_land(folder: Path) -> None:
    _, baseline = evaluate(folder, Negative(), replace(NATIVE, limit=1))
    report = baseline.report()
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


def test_pictures_are_padded_to_margin_and_multiple(folder: Path) -> None:
    negative = Negative()
    evaluate(folder, negative, replace(NATIVE, margin=5, limit=2))
    assert negative.shapes == [(1, 40, 56, 3), (1, 48, 64, 3)]  # 30 x 40 and 33 x 47, plus 10


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 16), st.integers(0, 20))
@settings(max_examples=50)
def test_padding_is_cropped_again(height: int, width: int, multiple: int, margin: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    negative = Negative()
    assert np.array_equal(translate_padded(image, negative, multiple, margin), 255 - image)
    assert all(side % multiple == 0 for side in negative.shapes[0][1:3])


def test_context_is_a_reflection() -> None:
    image = map_picture()
    image[:, -2] = PARK
    assert np.array_equal(translate_padded(image, Shift(), 4, 4)[:, -1], image[:, -2])
    assert not translate_padded(image, Shift(), 1, 0)[:, -1].any()


def test_a_translator_that_changes_the_size_is_refused() -> None:
    with pytest.raises(DataError, match="size multiple"):
        translate_padded(map_picture(), Shrinking(), 8, 8)


def test_b2a_swaps_the_halves(folder: Path) -> None:
    (row,) = evaluate(folder, Negative(), replace(NATIVE, direction="b2a", palette=None))
    report = row.report()
    assert (report["rmse"], report["direction"]) == (0.0, "b2a")
    assert (report["class_iou"], report["road_f1"]) == ({"mean": None}, None)
    for direction, side in (("b2a", map_picture()), ("a2b", 255 - map_picture())):
        seen: list[Batch] = []
        spy = SimpleNamespace(translate=lambda batch, seen=seen: seen.append(batch) or batch)
        evaluate(folder, spy, EvaluateConfig(1, 0, direction=direction))
        assert np.array_equal(seen[0][0], side)


def test_maps256_reduces_after_and_maps256_reduced_before(tmp_path: Path) -> None:
    save_pair(tmp_path / "1.png", np.random.default_rng(3).integers(0, 256, (300, 300, 3), dtype=np.uint8))
    after, before = Negative(), Negative()
    rows = evaluate(tmp_path, after, replace(NATIVE, protocol="maps256"))
    evaluate(tmp_path, before, replace(NATIVE, protocol="maps256-reduced"))
    assert (after.shapes, before.shapes) == ([(1, 320, 320, 3)], [(1, 272, 272, 3)])
    assert rows[0].scores.differences.pixel.sum() == 256 * 256
    assert rows[0].scores.differences.rmse == 0.0


def test_resize_is_antialiased_bicubic_and_leaves_256_alone() -> None:
    image = np.random.default_rng(3).integers(0, 256, (600, 600, 3), dtype=np.uint8)
    assert resize_to_256(image).std() < image.std() / 2
    assert np.array_equal(resize_to_256(image[:256, :256]), image[:256, :256])


def test_seam_is_measured_on_the_networks_grid(tmp_path: Path) -> None:
    ramp = np.repeat(np.add.outer(np.arange(32), np.arange(32))[..., None], 3, axis=2).astype(np.uint8)
    save_pair(tmp_path / "1.png", 255 - ramp)

    def blocky(batch: Batch) -> Batch:
        steps = np.arange(batch.shape[2]) // 8 * 5
        return batch + (steps[None, :, None] + steps[: batch.shape[1], None, None]).astype(np.uint8)

    for margin in (0, 3, 8):
        config = replace(NATIVE, margin=margin, palette=None)
        (row,) = evaluate(tmp_path, SimpleNamespace(translate=blocky), config)
        assert row.report()["seam_ratio"] == 6.0
    (row,) = evaluate(tmp_path, Negative(), replace(NATIVE, palette=None))
    assert row.report()["seam_ratio"] == 1.0


def test_limit_and_progress(folder: Path) -> None:
    told: list[tuple[str, int, int]] = []
    rows = evaluate(
        folder, Negative(), replace(NATIVE, limit=2), lambda stage, done, total: told.append((stage, done, total))
    )
    assert told == [("evaluate", 1, 2), ("evaluate", 2, 2)]
    assert [row.report()["pictures"] for row in rows] == [2, 2]


def test_impossible_requests_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        evaluate(tmp_path / "missing", Negative(), NATIVE)
    with pytest.raises(DataError, match="limit 0"):
        replace(NATIVE, limit=0)


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


def test_table_and_json(folder: Path) -> None:
    rows = evaluate(folder, Negative(), NATIVE)
    head, rule, *lines = table(rows).splitlines()
    assert len({len(line) for line in (head, rule, *lines)}) == 1
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in (head, *lines)]
    assert cells[0] == [title for title, _ in COLUMNS.values()]
    assert cells[1][:5] == ["fake", "native", "3", "0.00", "0.00"]
    assert cells[2][-2:] == ["0.000", "-"]
    assert json.loads(to_json(rows)) == [row.report() for row in rows]


@dataclass
class FakeCard:
    name: str = "sat2map"
    margin: int = 8
    size_multiple: int = 16
    palette: Palette | None = None


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> click.Command:
    asked: list[object] = []

    def load_engine(model: str, *, device: str, precision: str, **_: object) -> SimpleNamespace:
        asked.append((model, device, precision))
        return SimpleNamespace(translate=Negative().translate, card=FakeCard(model))

    engine = ModuleType("geo2map.engine")
    engine.load_engine, engine.asked = load_engine, asked  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "geo2map.engine", engine)
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "cli")
    from geo2map_cli.evaluate import command

    return command


def test_command_prints_a_table(command: click.Command, folder: Path) -> None:
    plain, markdown = (CliRunner().invoke(command, ["--data", str(folder), *more]) for more in ([], ["--markdown"]))
    assert plain.exit_code == markdown.exit_code == 0, plain.output
    lines = plain.stdout.splitlines()
    assert lines == markdown.stdout.splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["sat2map", "constant land colour"]
    assert sys.modules["geo2map.engine"].asked[0] == ("sat2map", "auto", "auto")


def test_command_prints_json_of_both_maps256_rows(command: click.Command, folder: Path) -> None:
    options = ["--model", "mine", "--protocol", "maps256", "--limit", "2", "--device", "cpu", "--precision", "fp32"]
    result = CliRunner().invoke(command, ["--data", str(folder), "--json", *options])
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert [(row["name"], row["protocol"]) for row in rows] == [
        ("mine", "maps256"), ("mine", "maps256-reduced"), ("constant land colour", "maps256")
    ]  # fmt: skip
    assert [row["pictures"] for row in rows] == [2, 2, 2]
    assert sys.modules["geo2map.engine"].asked == [("mine", "cpu", "fp32")]


def test_command_of_b2a_has_no_classes(command: click.Command, folder: Path) -> None:
    result = CliRunner().invoke(command, ["--data", str(folder), "--json", "--direction", "b2a"])
    (row,) = json.loads(result.stdout)
    assert (row["rmse"], row["class_iou"]) == (0.0, {"mean": None})


def test_command_leaves_errors_to_main(command: click.Command, tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["--data", str(tmp_path / "missing")])
    assert isinstance(result.exception, DataError)
    for options in (["--limit", "0"], ["--json", "--markdown"]):
        assert CliRunner().invoke(command, ["--data", str(tmp_path), *options]).exit_code == 2
