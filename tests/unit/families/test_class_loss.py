"""The losses of classes: what a colour is taken for, and where only some classes are known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from geo2map.colour.palette import MAPS_PALETTE, Palette
from geo2map.train.class_loss import ClassLoss
from geo2map.train.pictures import ALL_LABELS, LABEL_BITS

CLASSES = MAPS_PALETTE.classes
SHARES = torch.full((len(CLASSES),), 1 / len(CLASSES))


def colour(name: str) -> Tensor:
    """The first colour of a class, (3,)."""
    entry = MAPS_PALETTE.class_of_entry.tolist().index(CLASSES.index(name))
    return torch.from_numpy(MAPS_PALETTE.colours[entry]).float() / 127.5 - 1.0


def picture(*names: str) -> Tensor:
    """A row of pixels, (1, 3, 1, pixels)."""
    return torch.stack([colour(name) for name in names], 1)[None, :, None]


def known(bits: int, pixels: int = 1) -> Tensor:
    return torch.full((1, 1, pixels), bits, dtype=torch.uint8)


@pytest.fixture
def loss() -> ClassLoss:
    return ClassLoss(MAPS_PALETTE, SHARES, 0.0, LABEL_BITS)


def test_the_true_map_costs_next_to_nothing(loss: ClassLoss) -> None:
    truth = picture(*CLASSES)
    cross_entropy, jaccard = loss(truth, truth)
    assert cross_entropy < 0.02
    assert jaccard < 0.03


def test_cross_entropy_is_that_of_the_softmax(loss: ClassLoss) -> None:
    """Between land and road, by hand: squared distances to all seven colours over 100 levels²."""
    guess = (colour("land") + colour("road")) / 2
    levels = (guess + 1) * 127.5
    distances = ((torch.from_numpy(MAPS_PALETTE.colours).float() - levels) ** 2).sum(1) / 100
    shares = torch.softmax(-distances, 0)[MAPS_PALETTE.class_of_entry.tolist().index(CLASSES.index("land"))]
    found = loss(guess[None, :, None, None], picture("land")).cross_entropy
    assert found == pytest.approx(-math.log(shares), rel=1e-3)


def test_scores_of_a_legend_are_taken_as_they_are(loss: ClassLoss) -> None:
    scores = torch.tensor([1.0, -2.0, 0.5, 3.0, 0.0, 2.0, 1.0])[None, :, None, None]
    names = [name for name, _ in MAPS_PALETTE.entries]
    for name in CLASSES:
        share = torch.softmax(scores.flatten(), 0)[[entry == name for entry in names]].sum()
        found = loss(picture("land"), picture(name), scores=scores).cross_entropy
        assert found == pytest.approx(-math.log(share), rel=1e-5)


def test_a_blend_of_two_classes_leaves_the_third_that_it_looks_like(loss: ClassLoss) -> None:
    """Pixels that are land or road, drawn as building: L1 is content with it, and this pushes it away."""
    guess = picture("building", "building").requires_grad_()
    loss(guess, picture("land", "road")).cross_entropy.backward()
    assert guess.grad is not None
    pushed = guess - 0.05 * guess.grad / guess.grad.norm()
    assert (pushed[0, :, 0, 0] < guess[0, :, 0, 0]).all()
    assert (pushed[0, :, 0, 1] > guess[0, :, 0, 1]).all()


def test_colours_of_one_class_are_one(loss: ClassLoss) -> None:
    both = [torch.from_numpy(MAPS_PALETTE.colours[index]).float() / 127.5 - 1.0 for index in (-2, -1)]
    first, second = (entry[None, :, None, None] for entry in both)
    assert loss(first, second).cross_entropy < 0.01


def test_unknown_pixels_cost_nothing(loss: ClassLoss) -> None:
    cross_entropy, jaccard = loss(picture("water"), picture("road"), known(0))
    assert cross_entropy == jaccard == 0


def test_where_roads_alone_are_known_anything_else_is_free(loss: ClassLoss) -> None:
    for guess in ("land", "building", "water", "park"):
        assert loss(picture(guess), picture("land"), known(LABEL_BITS["road"])).cross_entropy < 0.03
    for guess in ("road", "highway"):
        assert loss(picture(guess), picture("land"), known(LABEL_BITS["road"])).cross_entropy > 3
    assert loss(picture("land"), picture("road"), known(LABEL_BITS["road"])).cross_entropy > 3


def test_jaccard_counts_a_class_where_it_is_known(loss: ClassLoss) -> None:
    """Half of the water found, and none of it beside: 1/2 for water; all of the land: 1 where everything is known."""
    guess, truth = picture("water", "land", "land", "land"), picture("water", "water", "land", "land")
    assert loss(guess, truth, known(ALL_LABELS, 4)).jaccard == pytest.approx((1 / 2 + 1 / 3) / 2, abs=0.02)
    assert loss(guess, truth, known(LABEL_BITS["water"], 4)).jaccard == pytest.approx(1 / 2, abs=0.02)
    assert loss(guess, truth, known(LABEL_BITS["park"], 4)).jaccard == 0


def test_rare_classes_count_more_when_balanced() -> None:
    shares = SHARES.clone()
    shares[CLASSES.index("water")] = 0.001
    plain, balanced = (ClassLoss(MAPS_PALETTE, shares, balance, LABEL_BITS) for balance in (0.0, 0.5))
    rare, common = (picture("land"), picture("water")), (picture("water"), picture("land"))
    assert plain(*rare).cross_entropy == pytest.approx(float(plain(*common).cross_entropy), rel=0.01)
    assert balanced(*rare).cross_entropy > 5 * balanced(*common).cross_entropy


def test_where_a_map_has_few_classes_their_bits_are_all_that_is_to_be_known() -> None:
    style = Palette((("land", (232, 228, 222)), ("road", (254, 254, 252))))
    loss = ClassLoss(style, torch.tensor([0.5, 0.5]), 0.0, LABEL_BITS)
    both = picture("land", "road")
    found = loss(both, both, known(LABEL_BITS["road"], 2))
    assert found.cross_entropy < 0.01
    assert loss(picture("road", "road"), both, known(LABEL_BITS["road"], 2)).cross_entropy > 3
    assert loss(picture("road", "road"), both, known(LABEL_BITS["road"], 2)).jaccard == pytest.approx(3 / 4, abs=0.01)


def test_jaccard_pulls_where_a_colour_is_between_two_classes(loss: ClassLoss) -> None:
    blend = (0.5 * picture("land", "land") + 0.5 * picture("building", "building")).requires_grad_()
    loss(blend, picture("land", "building")).jaccard.backward()
    assert blend.grad is not None
    assert (blend.grad[0, :, 0, 0] > 0).all()  # darker, to land
    assert (blend.grad[0, :, 0, 1] < 0).all()
