"""Scores against hand-computed cases, skimage, torchmetrics, scipy and numpy as referees, and their own algebra."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import distance_transform_edt
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from geo2map.colour.palette import MAPS_PALETTE
from geo2map.errors import DataError
from geo2map.metrics import (
    Differences,
    Mean,
    RoadMatches,
    SeamGradient,
    accuracy,
    class_iou,
    classify,
    confusion,
    mean_iou,
    pooled,
    psnr,
    rmse,
    rmse_sum,
    road_f1,
    seam_gradient_ratio,
    ssim,
    tile_mismatch,
)
from geo2map.train.pictures import list_pairs
from geo2map.types import Image, Mask

SIDES = st.tuples(st.integers(1, 24), st.integers(1, 24))
HALVES = (slice(None, 7), slice(7, None))


@st.composite
def pictures(draw: st.DrawFn) -> tuple[Image, Image, Mask]:
    """Truth, prediction and mask of one size."""
    height, width = draw(SIDES)
    truth, prediction = (draw(arrays(np.uint8, (height, width, 3))) for _ in range(2))
    return truth, prediction, draw(arrays(bool, (height, width)))


def noise(seed: int, height: int = 40, width: int = 50) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def flat(level: int, height: int = 16, width: int = 16) -> Image:
    return np.full((height, width, 3), level, np.uint8)


def stripe(column: int, width: int = 30) -> Mask:
    return np.broadcast_to(np.arange(width) == column, (9, width)).copy()


def test_pixelwise_scores_of_a_hand_computed_case() -> None:
    truth = np.zeros((1, 4, 3), np.uint8)
    prediction = np.array([[[0, 0, 0], [3, 4, 0], [5, 0, 0], [0, 0, 10]]], np.uint8)
    assert rmse(truth, prediction) == pytest.approx(np.sqrt(150 / 12))
    assert rmse_sum(truth, prediction) == pytest.approx(np.sqrt(150 / 4))
    assert psnr(truth, prediction) == pytest.approx(10 * np.log10(255**2 / 12.5))
    assert accuracy(truth, prediction, 5) == 0.5  # largest differences 0, 4, 5, 10: strict
    assert accuracy(truth, prediction, 6) == accuracy(truth, prediction, 10) == 0.75
    assert accuracy(truth, prediction, 11) == 1.0


def test_full_range_does_not_wrap_around() -> None:
    assert rmse(flat(0), flat(255)) == rmse(flat(255), flat(0)) == 255.0
    assert psnr(flat(0), flat(255)) == 0.0


@given(pictures())
def test_a_picture_is_perfect_against_itself(case: tuple[Image, Image, Mask]) -> None:
    truth, _, _ = case
    classes = classify(truth, MAPS_PALETTE)
    assert rmse(truth, truth) == rmse_sum(truth, truth) == 0.0
    assert psnr(truth, truth) == float("inf")
    assert accuracy(truth, truth, 1) == 1.0
    assert mean_iou(confusion(classes, classes, 6)) == 1.0
    assert tile_mismatch(truth, truth) == (0.0, 0, 0.0, 0.0)


@given(pictures())
def test_symmetric_scores_are_symmetric(case: tuple[Image, Image, Mask]) -> None:
    a, b, mask = case
    assert [rmse(a, b, mask), accuracy(a, b, 9, mask)] == pytest.approx(
        [rmse(b, a, mask), accuracy(b, a, 9, mask)], nan_ok=True
    )
    assert ssim(a, b) == pytest.approx(ssim(b, a), nan_ok=True)
    roads = a[..., 0] > 200, b[..., 0] > 200
    assert road_f1(*roads, mask) == pytest.approx(road_f1(*roads[::-1], mask), nan_ok=True)
    counts = [confusion(*(classify(i, MAPS_PALETTE) for i in pair), 6, mask) for pair in ((a, b), (b, a))]
    assert np.array_equal(counts[0], counts[1].T)
    np.testing.assert_array_equal(class_iou(counts[0]), class_iou(counts[1]))


@given(pictures())
def test_masked_pixels_do_not_count(case: tuple[Image, Image, Mask]) -> None:
    truth, prediction, mask = case
    other = np.where(mask[..., None], prediction, 255 - prediction)
    assert np.array_equal(Differences.of(truth, prediction, mask).channel, Differences.of(truth, other, mask).channel)
    kept = Differences.of(truth[mask][None], prediction[mask][None])
    assert np.array_equal(Differences.of(truth, prediction, mask).pixel, kept.pixel)
    roads = (truth[..., 0] > 128, prediction[..., 0] > 128, other[..., 0] > 128)
    assert RoadMatches.of(roads[0], roads[1], mask) == RoadMatches.of(roads[0], roads[2], mask)
    assert SeamGradient.of(prediction, 4, 1, 2, mask) == SeamGradient.of(other, 4, 1, 2, mask)
    assert SeamGradient.between(truth, prediction, 4, mask) == SeamGradient.between(truth, other, 4, mask)


@given(pictures())
def test_counts_of_parts_add_up_to_the_whole(case: tuple[Image, Image, Mask]) -> None:
    truth, prediction, mask = case
    whole = Differences.of(truth, prediction, mask)
    upper, lower = (Differences.of(truth[part], prediction[part], mask[part]) for part in HALVES)
    assert np.array_equal((upper + lower).channel, whole.channel)
    assert (upper + lower).rmse == pytest.approx(whole.rmse, nan_ok=True)
    classes = classify(truth, MAPS_PALETTE), classify(prediction, MAPS_PALETTE)
    parts = [confusion(classes[0][part], classes[1][part], 6, mask[part]) for part in HALVES]
    assert np.array_equal(parts[0] + parts[1], confusion(*classes, 6, mask))


@given(pictures(), st.integers(1, 60))
@settings(max_examples=50)
def test_strips_do_not_show(case: tuple[Image, Image, Mask], strip: int) -> None:
    truth, prediction, mask = case
    roads = truth[..., 0] > 240, prediction[..., 0] > 240

    def scores() -> list[object]:
        differences = Differences.of(truth, prediction, mask)
        seam = SeamGradient.of(truth, 5, 2, 1, mask)
        classes = classify(truth, MAPS_PALETTE).tolist()
        return [*differences.channel, *differences.pixel, RoadMatches.of(*roads, mask), seam, classes]

    with pytest.MonkeyPatch.context() as patch:
        expected, similarity = scores(), ssim(truth, prediction, mask)
        patch.setattr(pooled, "_STRIP_PIXELS", strip)
        assert scores() == expected
        assert ssim(truth, prediction, mask) == pytest.approx(similarity, nan_ok=True)


@pytest.mark.parametrize("spread", [3, 40, 255])
def test_ssim_and_psnr_equal_skimage(spread: int) -> None:
    truth = noise(1)
    prediction = np.clip(truth + (noise(2).astype(int) - 128) * spread // 255, 0, 255).astype(np.uint8)
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    referee = structural_similarity(truth, prediction, data_range=255, channel_axis=-1, **settings)
    assert ssim(truth, prediction) == pytest.approx(referee, abs=1e-9)
    assert psnr(truth, prediction) == pytest.approx(peak_signal_noise_ratio(truth, prediction))
    assert ssim(truth, truth) == pytest.approx(1.0)


@pytest.mark.parametrize("spread", [3, 40, 255])
def test_scores_equal_torchmetrics(spread: int) -> None:
    torch = pytest.importorskip("torch")
    referee = pytest.importorskip("torchmetrics.functional", reason="torchmetrics is the referee")
    truth = noise(1)
    prediction = np.clip(truth + (noise(2).astype(int) - 128) * spread // 255, 0, 255).astype(np.uint8)
    a, b = (
        torch.from_numpy(picture.astype(np.float64).transpose(2, 0, 1).copy())[None] for picture in (truth, prediction)
    )
    assert rmse(truth, prediction) == pytest.approx(float(referee.mean_squared_error(b, a, squared=False)))
    assert psnr(truth, prediction) == pytest.approx(
        float(referee.image.peak_signal_noise_ratio(b, a, data_range=255.0)), abs=1e-4
    )
    _, local = referee.image.structural_similarity_index_measure(b, a, data_range=255.0, return_full_image=True)
    inside = local[..., 5:-5, 5:-5]  # its own mean counts windows over the rim, reflected, which skimage's does not
    assert ssim(truth, prediction) == pytest.approx(float(inside.mean()), abs=1e-6)
    classes = classify(truth, MAPS_PALETTE), classify(prediction, MAPS_PALETTE)
    counts = confusion(*classes, 6)
    known, guessed = (torch.from_numpy(side) for side in classes)
    matrix = referee.confusion_matrix(guessed, known, task="multiclass", num_classes=6)
    assert np.array_equal(counts, matrix.numpy())
    overlap = referee.jaccard_index(guessed, known, task="multiclass", num_classes=6, average="none")
    assert class_iou(counts) == pytest.approx(overlap.numpy(), abs=1e-6)


def test_ssim_looks_at_no_window_with_a_hole() -> None:
    truth, prediction, mask = noise(1, 30, 30), noise(2, 30, 30), np.ones((30, 30), bool)
    mask[:, 17:] = False
    assert ssim(truth, prediction, mask) == pytest.approx(ssim(truth[:, :17], prediction[:, :17]))
    assert np.isnan(ssim(truth[:10], prediction[:10]))


def test_two_colours_of_a_class_are_one_class() -> None:
    image = np.array([[(250, 158, 37), (255, 224, 104), (232, 228, 222)]], np.uint8)
    names = [MAPS_PALETTE.classes[index] for index in classify(image, MAPS_PALETTE)[0]]
    assert names == ["highway", "highway", "land"]


@given(arrays(np.uint8, (5, 6, 3)))
def test_classes_are_the_palettes(image: Image) -> None:
    assert np.array_equal(classify(image, MAPS_PALETTE), MAPS_PALETTE.classify(image))


def test_iou_of_a_hand_computed_case() -> None:
    truth, prediction = np.array([[0, 0, 0, 1]]), np.array([[0, 0, 1, 2]])
    counts = confusion(truth, prediction, 4)
    assert counts.tolist() == [[2, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert class_iou(counts) == pytest.approx([2 / 3, 0.0, 0.0, np.nan], nan_ok=True)
    assert mean_iou(counts) == pytest.approx(2 / 9)  # class 3 is in neither
    assert np.isnan(mean_iou(np.zeros((4, 4), np.int64)))


@pytest.mark.parametrize(("shift", "f1"), [(0, 1.0), (3, 1.0), (-3, 1.0), (4, 0.0)])
def test_roads_match_up_to_three_pixels(shift: int, f1: float) -> None:
    assert road_f1(stripe(12), stripe(12 + shift)) == f1


def test_road_distance_is_euclidean() -> None:
    truth, near, far = np.zeros((3, 9, 9), bool)
    truth[4, 4] = near[6, 6] = far[7, 6] = True  # 2.83 and 3.61 px
    assert road_f1(truth, near) == 1.0
    assert road_f1(truth, far) == 0.0
    assert road_f1(truth, far, tolerance=4) == 1.0


@given(arrays(bool, SIDES), st.sampled_from([0.0, 1.0, 2.5, 3.0, 4.0]))
def test_road_distance_is_scipys(roads: Mask, tolerance: float) -> None:
    near = distance_transform_edt(~roads) <= tolerance if roads.any() else roads
    everywhere = np.ones_like(roads)
    assert RoadMatches.of(roads, everywhere, tolerance=tolerance).precision == Mean(near.sum(), roads.size)


@pytest.mark.parametrize("strip", [1, 9, 27])
def test_roads_match_across_strips(strip: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooled, "_STRIP_PIXELS", strip)
    assert road_f1(stripe(12).T, stripe(15).T) == 1.0
    assert road_f1(stripe(12).T, stripe(16).T) == 0.0


def test_road_f1_of_a_hand_computed_case() -> None:
    found = RoadMatches.of(stripe(5) | stripe(15), stripe(5) | stripe(6) | stripe(25))
    assert (found.precision, found.recall) == (Mean(18, 27), Mean(9, 18))
    assert found.f1 == pytest.approx(2 * (2 / 3) * (1 / 2) / (2 / 3 + 1 / 2))
    both = found + RoadMatches.of(stripe(1), stripe(1))  # pooled by counts, not a mean of two F1
    assert (both.precision, both.recall) == (Mean(27, 36), Mean(18, 27))
    assert both.f1 == pytest.approx(2 * 0.75 * (2 / 3) / (0.75 + 2 / 3))


def test_road_f1_without_roads() -> None:
    nothing = np.zeros((9, 30), bool)
    assert np.isnan(road_f1(nothing, nothing))
    assert road_f1(stripe(3), nothing) == road_f1(nothing, stripe(3)) == 0.0


def test_tile_mismatch_of_a_hand_computed_case() -> None:
    a, b = flat(100, 10, 10), flat(100, 10, 10)
    b[0, :3, 1], b[0, 3], b[1, 0, 2] = 103, 105, 106  # 3 pixels by 3, one by 5, one by 6
    assert tile_mismatch(a, b) == pytest.approx(((3 * 3 + 3 * 5 + 6) / 300, 5, 0.05, 0.01))


@given(pictures())
def test_p99_is_numpys(case: tuple[Image, Image, Mask]) -> None:
    a, b, _ = case
    largest = np.abs(a.astype(int) - b).max(axis=2)
    assert tile_mismatch(a, b).p99 == np.percentile(largest, 99, method="inverted_cdf")


def checkered(tile: int, step: int, side: int = 24) -> Image:
    """A ramp of 2 levels a pixel, and `step` levels more wherever a tile begins."""
    line = np.arange(side) * 2 + np.arange(side) // tile * step
    return np.repeat((line[:, None] + line[None, :])[..., None], 3, axis=2).astype(np.uint8)


def test_seam_ratio_of_a_hand_computed_case() -> None:
    assert seam_gradient_ratio(checkered(8, 0), 8, phase=1) == 1.0
    assert seam_gradient_ratio(checkered(8, 6), 8, phase=1) == 4.0  # 2 + 6 levels across, 2 inside
    assert seam_gradient_ratio(checkered(8, 6)[3:, 3:], 8, offset=5, phase=1) == 4.0
    assert seam_gradient_ratio(checkered(8, 6)[3:, 3:], 8, offset=-3, phase=1) == 4.0
    assert seam_gradient_ratio(checkered(8, 6)[3:, 3:], 8, phase=1) < 1.0
    assert seam_gradient_ratio(checkered(8, 6)[:, :10], 8, phase=1) == 4.0  # not square


def test_seam_ratio_compares_equal_phases() -> None:
    """A grid of 4 px of the picture itself, such as JPEG's, is no seam of tiles of 12 px; a step there is one."""
    blocky = checkered(4, 6)
    assert seam_gradient_ratio(blocky, 12, phase=4) == 1.0
    assert seam_gradient_ratio(blocky, 12, phase=1) > 2.0
    assert seam_gradient_ratio(blocky + checkered(12, 6) // 2, 12, phase=4) > 1.2


def test_seam_ratio_between_two_tilings_of_a_hand_computed_case() -> None:
    first, second = checkered(8, 6), checkered(8, 6)[4:, 4:]  # the second's tiles begin half a tile later
    side = (slice(0, 20), slice(0, 20))
    assert SeamGradient.between(first[side], second[side], 8).ratio == 4.0
    assert SeamGradient.between(noise(1), noise(1), 8).ratio == 1.0
    with pytest.raises(DataError, match="shapes differ"):
        SeamGradient.between(first, second, 8)


@given(pictures(), st.integers(1, 6))
def test_tilings_that_agree_have_no_seam(case: tuple[Image, Image, Mask], half: int) -> None:
    truth, _, mask = case
    ratio = SeamGradient.between(truth, truth, 2 * half, mask).ratio
    assert ratio == 1.0 or np.isnan(ratio)


def test_seam_ratio_of_flat_and_borderless_pictures() -> None:
    assert np.isnan(seam_gradient_ratio(flat(9), 4, phase=1))
    assert np.isnan(seam_gradient_ratio(noise(0, 8, 8), 8, phase=1))
    steps = flat(0)
    steps[8:] = 9
    assert seam_gradient_ratio(steps, 8, phase=1) == float("inf")


def test_true_pictures_have_no_seam(shared: Path) -> None:
    """JPEG's blocks show in true maps and aerials (1.3 and 1.1 without the phase), tiles that are not there do not."""
    files = list_pairs(shared / "maps" / "val")[::14]
    for side in (0, 1):
        found = SeamGradient(Mean(), Mean())
        for file in files:
            picture = file.load()[side]
            found += SeamGradient.of(picture, 256) + SeamGradient.of(picture, 256, offset=128)
        assert found.ratio == pytest.approx(1.0, abs=0.04)


def test_differing_shapes_are_refused() -> None:
    with pytest.raises(DataError, match="shapes differ"):
        rmse(flat(0), flat(0, 8))
    with pytest.raises(DataError, match="shapes differ"):
        ssim(flat(0), flat(0), np.ones((16, 15), bool))


def test_nothing_valid_has_no_scores() -> None:
    nowhere = np.zeros((16, 16), bool)
    scores = [function(flat(0), flat(9), mask=nowhere) for function in (rmse, rmse_sum, psnr, ssim)]
    assert np.isnan([*scores, accuracy(flat(0), flat(9), 5, nowhere), Mean().value]).all()
