"""Crops as a step gets them: each operation against Pillow, numpy or the code that renders scenes."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image, ImageFilter

from geo2map.grid import PixelWindow, add_noise
from geo2map.grid.fill import fill_pixels
from geo2map.train.augment import HAS_TEACHER, NOISE_ZOOM, SEEN
from geo2map.train.chosen import Chosen
from geo2map.train.compression import compressed
from geo2map.train.config import TrainConfig
from geo2map.train.dataset import Pairs, Sources
from geo2map.train.filling import fill_crops
from geo2map.train.footprint import SHAPES, cut_footprints, draw_footprints
from geo2map.train.noise_bands import noise_bands
from geo2map.train.pictures import ALL_LABELS, list_pairs, list_places
from geo2map.train.positions import Boxes
from geo2map.train.resample import resample, resampling_weights
from geo2map.train.sensors import Sensors, apply_curves, apply_sensors, chain_curves, draw_sensors, light_curves
from geo2map.train.shelf import Keeping

Levels = npt.NDArray[np.uint8]
CONFIG = TrainConfig(batch=4, crop=64, widths=(8, 8, 8), residual_blocks=(), photometric=0.0, elsewhere=0.5, seed=5)


def painted(height: int, width: int, seed: int = 0) -> Levels:
    """A smooth picture with grain: what imagery is like."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 255, (height // 8 + 2, width // 8 + 2, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    return np.clip(smooth + rng.integers(-9, 9, smooth.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    """Three own pairs with a teacher's output; elsewhere labelled ones, large and small. B says where it is from."""
    folder = tmp_path_factory.mktemp("sources")
    sides = {"own": [(90, 100), (64, 70), (120, 96)], "else/oslo": [(80, 90), (70, 64)], "else/bonn": [(30, 40)]}
    for name, shapes in sides.items():
        (folder / name).mkdir(parents=True)
        for number, shape in enumerate(shapes):
            a, b = painted(*shape, seed=number), painted(*shape, seed=number + 50)
            Image.fromarray(np.concatenate((a, b), axis=1)).save(folder / name / f"{number}.png")
            if name != "own":
                codes = np.random.default_rng(number).integers(0, 16, shape, dtype=np.uint8)
                Image.fromarray(codes).save(folder / name / f"{number}_valid.png")
    (folder / "teacher").mkdir()
    for file in list_pairs(folder / "own"):
        np.save(folder / "teacher" / f"{file.a.stem}.npy", file.load()[1] ^ 255)
    return Sources(list_pairs(folder / "own"), list_places(folder / "else"), folder / "teacher")


def reference(picture: Levels, boxes: Boxes, number: int, crop: int) -> Levels:
    """A crop as Pillow and numpy cut it."""
    left, top, side, turns, mirrored = (int(part[number]) for part in boxes[2:])
    piece = picture[max(0, top) : top + side, max(0, left) : left + side]
    starts = (max(0, -top), max(0, -left))
    frame = [(start, side - start - got) for start, got in zip(starts, piece.shape[:2], strict=True)]
    if piece.ndim == 3:
        piece, kernel = np.pad(piece, [*frame, (0, 0)], mode="edge"), Image.Resampling.BICUBIC
    else:
        piece, kernel = np.pad(piece, frame), Image.Resampling.NEAREST
    if side != crop:
        piece = np.asarray(Image.fromarray(piece).resize((crop, crop), kernel))
    piece = np.rot90(piece, turns)
    return np.ascontiguousarray(piece[:, ::-1] if mirrored else piece)


def test_crops_are_what_pillow_and_numpy_cut(sources: Sources) -> None:
    """All sides of every pair, at every scale and turn; labels exactly, colours to one level, rims filled."""
    files = [*sources.files, *(file for place in sources.other_places.values() for file in place)]
    pairs = Pairs(sources, CONFIG)
    seen_labels = 0
    for step in range(12):
        draft, crops = pairs.draft(step), pairs.batch(step)
        for number in range(CONFIG.batch):
            shape = (int(draft.boxes.height[number]), int(draft.boxes.width[number]))
            file = next(file for file in files if file.load()[0].shape[:2] == shape)
            labels = file.load_label_mask()
            known = reference(
                np.full(shape, ALL_LABELS | SEEN, np.uint8) if labels is None else labels | SEEN,
                draft.boxes,
                number,
                CONFIG.crop,
            )
            found = crops.known[number].numpy()
            np.testing.assert_array_equal(found & np.uint8(255 - HAS_TEACHER), known)
            assert ((found & HAS_TEACHER) != 0).all() == (labels is None)
            seen = (found & SEEN) != 0
            b = reference(file.load()[1], draft.boxes, number, CONFIG.crop)
            away = np.abs(crops.b[number].numpy().astype(int) - b)[seen]
            assert away.max() <= 2  # Pillow rounds after the first axis, which is another one where a crop is turned
            assert away.mean() < 0.3
            curves = draft.sensors.curves[number]
            a = np.stack(
                [curves[c][reference(file.load()[0], draft.boxes, number, CONFIG.crop)[..., c]] for c in range(3)], -1
            )
            steepest = np.abs(np.diff(curves.astype(int))).max()
            assert np.abs(crops.a[number].numpy().astype(int) - a)[seen].max() <= 2 * steepest
            filled = fill_pixels(crops.a[number].numpy() * seen[..., None], seen, draft.neutral)
            np.testing.assert_array_equal(crops.a[number].numpy(), filled)
            if labels is None:
                assert crops.teacher_output is not None
                taught = reference(file.load()[1] ^ 255, draft.boxes, number, CONFIG.crop)
                assert np.abs(crops.teacher_output[number].numpy().astype(int) - taught)[seen].max() <= 2
            seen_labels += labels is not None
    assert 10 < seen_labels < 38


def test_boxes_turn_mirror_scale_and_stay_inside(sources: Sources) -> None:
    pairs = Pairs(sources, replace(CONFIG, batch=256))
    boxes = pairs.draft(0).boxes
    assert set(boxes.turns.tolist()) == {0, 1, 2, 3}
    assert 0.4 < boxes.mirrored.mean() < 0.6
    scaled = boxes.side != CONFIG.crop
    assert 0.35 < scaled.mean() < 0.6
    assert 64 / 1.2 - 1 <= boxes.side.min() < 60 < 68 < boxes.side.max() <= 64 * 1.2 + 1
    large = np.minimum(boxes.height, boxes.width) >= 64
    assert (boxes.left[large] >= 0).all()
    assert (boxes.left + boxes.side <= boxes.width)[large].all()
    assert (boxes.top + boxes.side >= boxes.height)[~large].all()


@pytest.mark.parametrize(
    "choices", [{"noise": 2, "holes": 0.5, "photometric": 1.0, "rematch": 0.5}, {"elsewhere": 0.0}]
)
def test_a_batch_is_a_function_of_the_step_and_not_of_what_is_kept(sources: Sources, choices: dict[str, float]) -> None:
    config = replace(CONFIG, **choices)  # type: ignore[arg-type]
    kept, decoded = Pairs(sources, config), Pairs(sources, config, keeping=Keeping(memory=30_000 * 6))
    for step in (3, 0, 3):
        ours, theirs = kept.batch(step), decoded.batch(step)
        for name in ("a", "b", "known", "partly", "wholly"):
            assert torch.equal(getattr(ours, name), getattr(theirs, name)), name
        taught = (ours.known & HAS_TEACHER) != 0
        if ours.teacher_output is not None and theirs.teacher_output is not None:
            assert torch.equal(ours.teacher_output[taught], theirs.teacher_output[taught])
        assert (ours.teacher_output is None) == (theirs.teacher_output is None) == (not taught.any())
    assert not torch.equal(kept.batch(0).a, kept.batch(1).a)
    assert not torch.equal(kept.batch(0, rank=1, world=2).a, kept.batch(0, rank=0, world=2).a)


@pytest.mark.parametrize(
    ("given", "wanted", "cubic"), [(77, 64, True), (54, 64, True), (64, 40, True), (40, 64, False)]
)
def test_resampling_is_pillows(given: int, wanted: int, cubic: bool) -> None:
    picture = painted(80, 80)
    kernel = Image.Resampling.BICUBIC if cubic else Image.Resampling.BILINEAR
    expected = np.asarray(Image.fromarray(picture[:given, :given]).resize((wanted, wanted), kernel))
    sides = torch.tensor([float(given)]), torch.tensor([float(wanted)])
    weights = resampling_weights(*sides, (wanted, 80), torch.tensor([cubic]))
    found = resample(torch.from_numpy(picture)[None], weights, (given / wanted, given / wanted))[0].numpy()
    assert np.abs(found.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("quality", [40, 63, 89])
def test_compression_is_jpegs(quality: int) -> None:
    """To the rounding of libjpeg's integers, far less than what the compression itself changes; any side will do."""
    picture = painted(72, 100)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "jpeg", quality=quality)
    expected = np.asarray(Image.open(file)).astype(int)
    found = compressed(torch.from_numpy(picture)[None], torch.tensor([float(quality)]))[0].numpy()
    assert np.abs(found - expected).mean() < 0.2 * np.abs(expected - picture).mean()
    assert np.abs(found - expected).mean() < 1.4


def test_the_fill_is_that_of_scenes() -> None:
    """Byte for byte: rims, small scenes, holes, nothing at all."""
    valid = cut_footprints(torch.from_numpy(draw_footprints(40, np.random.default_rng(3))), 100)
    valid[0] = False
    pictures = np.stack([painted(100, 100, seed) for seed in range(40)])
    found = fill_crops(torch.from_numpy(pictures), valid, (1, 2, 3)).numpy()
    for picture, mask, filled in zip(pictures, valid.numpy(), found, strict=True):
        np.testing.assert_array_equal(filled, fill_pixels(picture, mask, (1, 2, 3)))


def test_noise_is_that_of_places_in_the_world() -> None:
    corners = torch.tensor([[5, 40_000_000], [123_456, 7]])
    found = noise_bands(corners[:, 0], corners[:, 1], 32, NOISE_ZOOM, 3).numpy()
    for (left, top), bands in zip(corners.tolist(), found, strict=True):
        window = PixelWindow(left, top, left + 32, top + 32)
        expected = add_noise(np.zeros((32, 32, 0), np.uint8), window, NOISE_ZOOM, 3)
        np.testing.assert_array_equal(bands, expected)


def test_footprints_are_rims_small_scenes_and_holes() -> None:
    drawn = draw_footprints(2000, np.random.default_rng(0))
    masks = cut_footprints(torch.from_numpy(drawn), 64).numpy()
    shares, outside = masks.mean((1, 2)), drawn[:, 0] > 0.5
    assert 0.16 < outside.mean() < 0.24
    assert 0.85 < shares[outside].mean() < 0.9
    assert 0.4 < np.median(shares[~outside]) < 0.75
    rims = drawn[:, 3] == 4.0
    assert 0.46 < rims.mean() < 0.54
    assert np.mean([0.02 < share < 0.999 for share in shares]) > 0.9
    y, x = np.mgrid[:64, :64] / 64
    for footprint, mask in zip(drawn[:60], masks, strict=False):
        expected = np.zeros((64, 64), bool)
        for cx, cy, across, along, angle in footprint[1:].reshape(SHAPES, 5):
            u = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
            v = (y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)
            expected |= (np.abs(u) < across) & (np.abs(v) < along)
        assert (mask == (expected ^ (footprint[0] > 0.5))).mean() > 0.999


def test_light_curves_are_monotone_and_vary_as_cameras_do() -> None:
    curves = light_curves(2000, 1.0, np.random.default_rng(0)).astype(int)
    assert (np.diff(curves, axis=2) >= 0).all()
    middle = curves[:, :, 128].mean(1)
    assert 40 < middle.std() < 60
    assert 125 < np.median(middle) < 150
    assert (curves[:, :, 0] == 0).mean() == pytest.approx(0.5, abs=0.05)  # haze in the other half


def test_curves_are_applied_one_after_the_other() -> None:
    rng = np.random.default_rng(0)
    first, then = light_curves(3, 1.0, rng), light_curves(3, 1.0, rng)
    pictures = np.stack([painted(16, 16, seed) for seed in range(3)])
    found = apply_curves(torch.from_numpy(pictures), torch.from_numpy(chain_curves(first, then))).numpy()
    for number, picture in enumerate(pictures):
        for band in range(3):
            expected = then[number, band][first[number, band][picture[..., band]]]
            np.testing.assert_array_equal(found[number, ..., band], expected)


def only(**which: Chosen) -> Sensors:
    nothing = Chosen.of(np.zeros(1, bool), np.zeros(1))
    names = ("season", "coarser", "oversharp", "grain", "compression")
    plain = np.broadcast_to(np.arange(256, dtype=np.uint8), (1, 3, 256))
    return Sensors(curves=plain, grain_seed=1, **{name: which.get(name, nothing) for name in names})


def sensed(picture: Levels, **values: tuple[float, ...]) -> npt.NDArray[np.float64]:
    pixels = torch.from_numpy(picture.copy())[None]
    chosen = {name: Chosen.of(np.ones(1, bool), np.array([value])) for name, value in values.items()}
    apply_sensors(pixels, only(**chosen))
    return pixels[0].numpy().astype(float)


def coarsened(picture: Levels) -> Levels:
    small = Image.fromarray(picture).resize((43, 43), Image.Resampling.BICUBIC)
    return np.asarray(small.resize((64, 64), Image.Resampling.BILINEAR))


def sharpened(picture: Levels) -> Levels:
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.UnsharpMask(1.5, 80, 0)))


def autumnal(picture: Levels) -> Levels:
    light = picture.astype(np.float32)
    green = np.maximum(0.0, light[..., 1] - np.maximum(light[..., 0], light[..., 2]))
    return np.clip(light + green[..., None] * (0.5, -0.2, 0.1), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "values", "expected", "most"),
    [
        ("coarser", (1.5, 0.0), coarsened, 0.1),
        ("oversharp", (1.5, 0.8), sharpened, 1.0),  # Pillow's Gaussian is three boxes
        ("season", (0.5, -0.2, 0.1), autumnal, 0.01),
    ],
)
def test_sensors_are_those_of_pillow_and_numpy(
    name: str, values: tuple[float, ...], expected: Callable[[Levels], Levels], most: float
) -> None:
    picture = painted(64, 64)
    found, reference = sensed(picture, **{name: values}), expected(picture).astype(float)
    assert np.abs(reference - picture).mean() > 2 * most + 0.5
    assert np.abs(found - reference).mean() < most


def test_grain_has_its_deviation() -> None:
    plain = np.full((64, 64, 3), 100, np.uint8)
    grain = sensed(plain, grain=(4.0,)) - 100
    assert grain.std() == pytest.approx(4.0, rel=0.05)
    assert grain.mean() == pytest.approx(-0.5, abs=0.15)  # levels are cut off, not rounded


def test_how_often_a_sensor_is_another() -> None:
    drawn = draw_sensors(4000, 0.5, np.random.default_rng(0))
    shares = {name: len(getattr(drawn, name).which) / 4000 for name in ("season", "grain", "compression")}
    assert shares == {
        name: pytest.approx(share, abs=0.02) for name, share in zip(shares, (0.15, 0.1, 0.15), strict=True)
    }
    refocused = len(drawn.coarser.which), len(drawn.oversharp.which)
    assert sum(refocused) / 4000 == pytest.approx(0.25, abs=0.025)
    assert refocused[0] / sum(refocused) == pytest.approx(0.6, abs=0.05)
    assert (drawn.curves != np.arange(256)).any((1, 2)).mean() == pytest.approx(0.7, abs=0.03)
    assert drawn.season.values.std(0) == pytest.approx((0.5, 0.25, 0.25), rel=0.15)
    off = draw_sensors(50, 0.0, np.random.default_rng(0))
    assert (off.curves == np.arange(256)).all()
    assert not any(len(getattr(off, name).which) for name in ("season", "coarser", "oversharp", "grain", "compression"))


def test_light_and_holes_change_the_input_alone(sources: Sources) -> None:
    config = replace(CONFIG, holes=1.0, photometric=1.0, elsewhere=0.0)
    changed, plain = Pairs(sources, config), Pairs(sources, replace(config, photometric=0.0, holes=0.0))
    for step in range(4):
        theirs, ours = plain.batch(step), changed.batch(step)
        assert torch.equal(theirs.b, ours.b)
        assert not torch.equal(theirs.a, ours.a)
        assert ((ours.known == theirs.known) | (ours.known == 0)).all()
        assert (ours.known == 0).flatten(1).any(1).sum() >= 3
