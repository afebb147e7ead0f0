"""Training on other places: what is known of a pair, rims, sensors, a teacher."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from geo2map.colour import ColourStatistics
from geo2map.colour.palette import MAPS_PALETTE, Palette
from geo2map.colour.statistics import HALFWAY
from geo2map.colour.transform import make_rendition
from geo2map.errors import DataError
from geo2map.train.config import TrainConfig
from geo2map.train.dataset import Pairs, Sources
from geo2map.train.export import export
from geo2map.train.losses import BalancedL1, near_border, nearest_entry, palette_commitment
from geo2map.train.pictures import ALL_LABELS, LABEL_BITS, has_places, list_pairs, list_places
from geo2map.train.places import Places
from geo2map.train.run import Run
from geo2map.train.teacher import distill, load_teacher_output
from geo2map.train.trainer import Trainer

LAND, BUILDING, ROAD, WATER, PARK, HIGHWAY, _ = (torch.from_numpy(MAPS_PALETTE.colours).float() / 127.5 - 1.0).unbind()
SHARES = torch.full((6,), 1 / 6)
TINY = TrainConfig(
    steps=4,
    batch=3,
    crop=64,
    widths=(8, 8, 8),
    residual_blocks=(),
    discriminator_width=4,
    autocast="none",
    recalibrate=0,
)


def picture(colour: torch.Tensor, side: int = 4) -> torch.Tensor:
    return colour.reshape(1, 3, 1, 1).expand(1, 3, side, side).clone()


def known(*classes: str, side: int = 4) -> torch.Tensor:
    return torch.full((1, side, side), sum(LABEL_BITS[name] for name in classes), dtype=torch.uint8)


@pytest.fixture
def loss() -> BalancedL1:
    return BalancedL1(MAPS_PALETTE, SHARES, 0.0, bits=LABEL_BITS)


def test_a_known_class_is_the_truth(loss: BalancedL1) -> None:
    """A road where roads are known costs what it costs where everything is."""
    everywhere = loss(picture(LAND), picture(ROAD))
    assert loss(picture(LAND), picture(ROAD), known("road")) == pytest.approx(float(everywhere))
    assert loss(picture(LAND), picture(ROAD), known("road", "building", "water", "park")) == pytest.approx(
        float(everywhere)
    )


def test_unknown_pixels_cost_nothing(loss: BalancedL1) -> None:
    assert loss(picture(WATER), picture(ROAD), known()) == 0
    assert loss(picture(WATER), picture(ROAD), known("building")) == 0  # it might be water: it is no building


def test_land_where_roads_alone_are_known_is_only_no_road(loss: BalancedL1) -> None:
    """Anything but a road is free; a road is pulled to the nearest colour that may be right."""
    for guess in (LAND, BUILDING, WATER, PARK):
        assert loss(picture(guess), picture(LAND), known("road")) == 0
    wrong = picture(ROAD).requires_grad_()
    cost = loss(wrong, picture(LAND), known("road"))
    assert cost.item() == pytest.approx(float((ROAD - BUILDING).abs().mean()), rel=1e-4)
    cost.backward()
    assert (wrong.grad > 0).all()  # darker is nearer
    assert loss(picture(HIGHWAY), picture(LAND), known("road")) > 0


def test_the_mean_is_over_what_is_known(loss: BalancedL1) -> None:
    half = known("road")
    half[:, 2:] = 0
    assert loss(picture(LAND), picture(ROAD), half) == pytest.approx(float((LAND - ROAD).abs().mean()), rel=1e-4)


def test_the_mean_is_over_pixels_also_where_the_map_has_none_of_the_classes_with_a_bit() -> None:
    style = Palette((("sand", (200, 180, 120)), ("lake", (20, 90, 200))))
    sand, lake = (picture(torch.tensor(rgb) / 127.5 - 1) for _, rgb in style.entries)
    loss = BalancedL1(style, torch.tensor([0.5, 0.5]), 0.0, bits=LABEL_BITS)
    everything = known("road", "building", "water", "park")
    assert loss(sand, lake, everything) == pytest.approx(float(loss(sand, lake)))


def test_borders_count_more() -> None:
    truth = picture(LAND, 12)
    truth[..., 6:] = ROAD.reshape(1, 3, 1, 1)
    entries = nearest_entry(truth, torch.stack((LAND, ROAD)))
    assert near_border(entries)[0, 0].tolist() == [0.0] * 4 + [1.0] * 4 + [0.0] * 4
    plain, sharp = (BalancedL1(MAPS_PALETTE, SHARES, 0.0, border) for border in (0.0, 2.0))
    far, near = truth.clone(), truth.clone()
    far[..., 0] += 0.1
    near[..., 5] += 0.1
    assert sharp(far, truth) == pytest.approx(float(plain(far, truth)))
    assert sharp(near, truth) == pytest.approx(3 * float(plain(near, truth)))


def test_commitment_pulls_to_the_class_a_pixel_has() -> None:
    colours = torch.stack((LAND, WATER))
    mask = torch.ones(1, 4, 4, dtype=torch.bool)
    assert palette_commitment(picture(WATER), colours, mask) == 0
    blend = (0.3 * picture(WATER) + 0.7 * picture(LAND)).requires_grad_()
    palette_commitment(blend, colours, mask).backward()
    assert (nearest_entry(blend - 0.01 * blend.grad.sign(), colours) == 0).all()
    assert palette_commitment(blend, colours, ~mask) == 0


def test_strength_rises() -> None:
    config = replace(TINY, ramp=0.5)
    assert [config.ramped(p) for p in (0.0, 0.25, 0.5, 0.9)] == pytest.approx([1 / 3, 2 / 3, 1, 1])
    assert TINY.ramped(0.0) == 1.0


def test_places_are_drawn_by_the_root_of_their_area() -> None:
    rng = np.random.default_rng(0)
    big, small = ([rng.integers(0, 255, (count, 3), dtype=np.uint8)] for count in (900, 100))
    own = ColourStatistics.of(rng.integers(0, 99, (500, 3), dtype=np.uint8))
    places = Places({"big": big, "small": small}, own)
    assert places.shares.tolist() == pytest.approx([0.75, 0.25])
    assert 0.18 < np.mean(places.draw(400, rng)[0]) < 0.32


def test_pairs_of_places_are_counted_through_all_of_them() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (7, 100, 3), dtype=np.uint8)
    places = Places({"few": [*pixels[:2]], "many": [*pixels[2:]]}, ColourStatistics.of(pixels[0]))
    found, _ = places.draw(300, np.random.default_rng(1))
    assert sorted(set(found.tolist())) == list(range(7)) == list(range(len(places)))


def test_colours_of_places_are_matched_as_a_renderer_matches() -> None:
    """One time in five not at all, in two to the whole place's colours, in two to the picture's."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (500, 3), dtype=np.uint8)
    own = ColourStatistics.of(rng.integers(0, 99, (500, 3), dtype=np.uint8))
    matches = Places({"there": [pixels]}, own).draw(1000, rng)[1]
    rendition, _ = make_rendition(pixels, own, "auto", matching=HALFWAY)
    matched = (matches == rendition.curves).all((1, 2))
    assert 0.75 < matched.mean() < 0.85
    assert (matches[~matched] == np.arange(256)).all()
    assert (matches[matched, :, 128] < 110).all()  # towards the darker colours of the card


def make_pairs(folder: Path, count: int, side: int, known: int | None = None) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(count)
    for number in range(count):
        a = rng.integers(0, 255, (side, side, 3), dtype=np.uint8)
        b = np.broadcast_to(MAPS_PALETTE.colours[number % 3], a.shape)
        Image.fromarray(np.concatenate((a, b), axis=1)).save(folder / f"{number}.png")
        if known is not None:
            Image.fromarray(np.full((side, side), known, np.uint8)).save(folder / f"{number}_valid.png")


def test_listing_places(tmp_path: Path) -> None:
    make_pairs(tmp_path / "here" / "oslo", 2, 40, known=1)
    make_pairs(tmp_path / "here" / "bonn", 3, 40)
    folder = tmp_path / "here"
    assert has_places(folder)
    assert not has_places(folder / "oslo")
    assert {place: len(files) for place, files in list_places(folder).items()} == {"bonn": 3, "oslo": 2}
    (tmp_path / "aside.txt").write_text("oslo/0.png\nbonn/1.png\n")
    kept = list_places(folder, tmp_path / "aside.txt")
    assert [file.name for file in kept["oslo"]] == ["1.png"]
    assert kept["bonn"][0].load_label_mask() is None
    found = kept["oslo"][0].load_label_mask()
    assert found is not None
    assert found.tolist() == [[1] * 40] * 40
    (tmp_path / "aside.txt").write_text("oslo/9.png")
    with pytest.raises(DataError, match=r"oslo/9.png of .* is not a pair in"):
        list_places(folder, tmp_path / "aside.txt")
    with pytest.raises(DataError, match="holds no folder of pairs"):
        list_places(folder / "oslo")


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    make_pairs(tmp_path / "oslo", 1, 40, known=1)
    Image.new("L", (20, 40)).save(tmp_path / "oslo" / "0_valid.png")
    with pytest.raises(DataError, match=r"0_valid.png is 20 x 40 px"):
        list_pairs(tmp_path / "oslo")[0].load_label_mask()


def test_training_with_places_and_a_teacher(tmp_path: Path) -> None:
    """The teacher writes once, all losses are told, and the discriminator leaves partly known crops out."""
    make_pairs(tmp_path / "own", 3, 80)
    make_pairs(tmp_path / "else" / "oslo", 2, 40, known=1)
    files = list_pairs(tmp_path / "own")
    first = Trainer(Pairs(files, TINY, MAPS_PALETTE))
    export(first, tmp_path / "teacher.safetensors", name="t", zoom=17, ground_resolution=0.9)
    told: list[int] = []
    for _ in range(2):
        distill(
            files,
            tmp_path / "teacher.safetensors",
            tmp_path / "teacher_output",
            torch.device("cpu"),
            lambda done, _: told.append(done),
        )
    assert told == [1, 2, 3]
    assert load_teacher_output(tmp_path / "teacher_output", files[0]).shape == (80, 80, 3)
    config = replace(
        TINY,
        elsewhere=0.5,
        holes=0.5,
        rematch=0.5,
        teacher="t",
        lambda_commit=1.0,
        lambda_features=1.0,
        border=1.0,
        adversarial_from=0.0,
        gan_mode="hinge",
        discriminator_layers=2,
    )
    sources = Sources(files, list_places(tmp_path / "else"), tmp_path / "teacher_output")
    trainer = Trainer(Pairs(sources, config, MAPS_PALETTE))
    Run(folder=tmp_path / "run").train(trainer)
    assert {"l1", "teacher", "commit"} <= trainer.losses.keys()
    partial = 0
    for step in range(6):
        crops = trainer.batch(step)
        whole = [bool((part[part != 0] & ALL_LABELS == ALL_LABELS).all()) for part in crops.known]
        assert [whole[number] for number in crops.partly] == [False] * len(crops.partly)
        assert [whole[number] for number in crops.wholly] == [True] * len(crops.wholly)
        assert sorted([*crops.partly.tolist(), *crops.wholly.tolist()]) == list(range(len(whole)))
        partial += len(crops.partly)
    assert 0 < partial < 18
    with pytest.raises(DataError, match="of the teacher cannot be read"):
        load_teacher_output(tmp_path / "nowhere", files[0])
