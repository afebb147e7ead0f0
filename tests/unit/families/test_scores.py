"""What the scores of a legend tell beside the picture: the right numbers, and the picture's own bits beside them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from geo2map.colour.palette import Palette
from geo2map.engine import Engine
from geo2map.errors import PlanError
from geo2map.families import build, find_family
from geo2map.families.generator import Generator
from geo2map.families.scores import ScorePlanes
from geo2map.families.unet.generator import UNetGenerator
from geo2map.families.unet.inference import FoldedUNet
from geo2map.grid import Block, BlockImage
from geo2map.protocols import EVIDENCE, ScoreKind, TranslatorInput
from geo2map.testing import make_card
from geo2map.types import Batch

CLASSES = ("land", "building", "road", "water", "highway", "highway")
LEGEND = [[10 * number, 0, 0] for number in range(len(CLASSES))]
BOTH: frozenset[ScoreKind] = frozenset({"confidence", "probabilities"})
PROBABILITIES: frozenset[ScoreKind] = frozenset({"probabilities"})
CRISP = {"colours": LEGEND, "sharpen": 1.0, "sigma": 1.3}


def shares_of(scores: Tensor, temperature: float) -> np.ndarray:
    powers = np.exp((scores - scores.amax(1, keepdim=True)).double().numpy() / temperature)
    return powers / powers.sum(1, keepdims=True)


@pytest.mark.parametrize("spread", [1.0, 10.0, 1000.0])
def test_planes_are_softmaxes_at_their_temperatures(spread: float) -> None:
    scores = torch.randn(2, len(CLASSES), 30, 40, generator=torch.Generator().manual_seed(1)) * spread
    found = ScorePlanes(CLASSES, EVIDENCE, certainty=8.0, temperatures=(3.0,))(scores.clone()).numpy().astype(float)
    assert found.shape == (2, 3, 30, 40)
    shares, sure = shares_of(scores, 8.0), shares_of(scores, 3.0)
    sure[:, 4:] = sure[:, 4:].sum(1, keepdims=True)
    drawn = np.take_along_axis(sure, scores.numpy().argmax(1)[:, None], 1)[:, 0]
    expected = (100 * drawn, 255 * (shares[:, 2] + shares[:, 4] + shares[:, 5]), 255 * shares[:, 1])
    for plane, exact in enumerate(expected):
        assert np.abs(found[:, plane] - exact).max() <= 0.501
        assert len(np.unique(found[:, plane])) > 1


def test_two_colours_of_a_class_make_it_likely_together() -> None:
    scores = torch.tensor([0, 0, 0, 0, 0.9, 1.0])[None, :, None, None]
    (confidence,) = ScorePlanes(CLASSES, ())(scores.clone()).flatten().tolist()
    both = np.exp(0.9) + np.exp(1)
    assert confidence == round(100 * both / (both + 4))


@pytest.mark.parametrize("highest", range(len(CLASSES)))
def test_a_favour_makes_nothing_likelier(highest: int) -> None:
    """Scores that were favoured and multiplied tell of what is drawn of them what they told before."""
    before = torch.randn(1, len(CLASSES), 20, 20, generator=torch.Generator().manual_seed(3))
    favours = {"water": -1.5, "building": 0.4, "highway": 0.7}
    added = torch.tensor([favours.get(name, 0.0) for name in CLASSES])[None, :, None, None]
    after = 8 * (before + added)
    after[:, highest] += 8 * 9  # drawn, whatever the favours
    before[:, highest] += 9
    plain = ScorePlanes(CLASSES, (), temperatures=(4,))(before)
    found = ScorePlanes(CLASSES, (), certainty=8, temperatures=(32,), favours=favours)(after)
    assert (found.int() - plain.int()).abs().max() <= 1
    assert len(plain.unique()) > 5


def test_a_class_that_no_colour_has_is_improbable() -> None:
    planes = ScorePlanes(("land", "water"), EVIDENCE)(torch.randn(1, 2, 3, 4))
    assert not planes[:, 1:].any()
    assert planes[:, 0].all()


@pytest.mark.parametrize("crispen", [None, CRISP])
@pytest.mark.parametrize("strip", [None, 8])
def test_strips_and_margins_give_what_the_whole_generator_scores(
    crispen: dict[str, object] | None, strip: int | None
) -> None:
    torch.manual_seed(2)
    network = build("unet", widths=(4, 6), residual_blocks=(0, 1), legend=LEGEND, crispen=crispen).double().eval()
    x = torch.rand(1, 3, 64, 72, dtype=torch.double) * 2 - 1
    with torch.inference_mode():
        folded = FoldedUNet(network, strip)
        plain, scored = folded(x, 20), folded(x, 20, beside=lambda scores: scores)
        raw = network(x, return_logits=True)[:, :, 20:-20, 20:-20]
    assert torch.equal(scored[:, :3], plain)
    torch.testing.assert_close(scored[:, 3:], raw, rtol=0, atol=1e-9)


def scoring_network(norm: str = "batch") -> Generator:
    torch.manual_seed(5)
    network = build("unet", widths=(8, 8, 8), legend=LEGEND, norm=norm).eval()
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data.normal_(0, 0.4)
    return network


def scoring_engine(mode: str, batch: int = 1, norm: str = "batch") -> Engine:
    network, config = scoring_network(norm), {"widths": (8, 8, 8), "legend": LEGEND, "norm": norm}
    palette = Palette(tuple((name, tuple(colour)) for name, colour in zip(CLASSES, LEGEND, strict=True)))
    calibration = {"calibration": {"certainty": 2.0}}
    card = make_card(config=config, size_multiple=8, margin=32, palette=palette, training=calibration)
    return Engine(network, card.in_mode(mode), torch.device("cpu"), torch.float32, batch)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["exact", "faithful"])
@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_an_engine_draws_the_same_pixels_and_tells_the_same_in_any_batch(mode: str, norm: str) -> None:
    """Folded or whole, tile by tile or with a margin."""
    pictures = np.random.default_rng(0).integers(0, 256, (3, 512, 256, 3), dtype=np.uint8)
    engine = scoring_engine(mode, norm=norm)
    found = engine.begin_scored(pictures, 32, BOTH)()
    np.testing.assert_array_equal(found.pixels, engine.translate_pixels(pictures, 32))
    assert found.planes.shape == (3, 3, 448, 192)
    assert found.planes[:, 0].max() <= 100
    assert min(np.ptp(found.planes[:, plane]) for plane in range(3)) > 40
    three = scoring_engine(mode, 3, norm).begin_scored(pictures, 32, BOTH)()
    if norm == "batch":
        np.testing.assert_array_equal(three.planes, found.planes)
    for number in range(3):
        alone = engine.begin_scored(pictures[number : number + 1], 32, BOTH)()
        np.testing.assert_array_equal(alone.planes[0], found.planes[number])


def test_probabilities_are_at_certainty_one() -> None:
    """The card says that scores were multiplied by 2, so twice the scores by a card that says 4 tell the same."""
    pictures = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    engine = scoring_engine("exact")
    before, last = engine.begin_scored(pictures, 0, PROBABILITIES)().planes, engine._runner.last
    with torch.no_grad():
        last.weight.mul_(2)
        last.bias.mul_(2)
    assert (engine.begin_scored(pictures, 0, PROBABILITIES)().planes != before).mean() > 0.1
    engine.card = replace(engine.card, training={"calibration": {"certainty": 4.0}})
    np.testing.assert_array_equal(engine.begin_scored(pictures, 0, PROBABILITIES)().planes, before)


def test_a_model_without_a_legend_has_none() -> None:
    engine = Engine(UNetGenerator((4,) * 4), make_card(size_multiple=16), torch.device("cpu"), torch.float32)
    with pytest.raises(PlanError, match="has none; leave out") as caught:
        engine.begin_scored(np.zeros((1, 16, 16, 3), np.uint8))
    assert caught.value.option == "layers"


def test_each_temperature_has_a_plane_and_the_card_s_is_the_one_told() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    engine = scoring_engine("exact")
    told = engine.begin_scored(pictures, 16)()
    found = engine.translate_tempered(pictures, 16, (1.0, engine.card.temperature, 50.0))
    np.testing.assert_array_equal(found.pixels, told.pixels)
    np.testing.assert_array_equal(found.planes[:, 1], told.planes[:, 0])
    assert found.planes[:, 0].mean() > found.planes[:, 1].mean() > found.planes[:, 2].mean()


def test_an_engine_tells_only_what_is_wanted() -> None:
    """Alone as beside the other kind, in a prediction as in planes."""
    pictures = np.random.default_rng(0).integers(0, 256, (1, 256, 256, 3), dtype=np.uint8)
    engine = scoring_engine("exact")
    both = engine.begin_scored(pictures, 0, BOTH)()
    np.testing.assert_array_equal(engine.begin_scored(pictures)().planes, both.planes[:, :1])
    np.testing.assert_array_equal(engine.begin_scored(pictures, 0, PROBABILITIES)().planes, both.planes[:, 1:])
    block = TranslatorInput(BlockImage(Block(10, 5, 7, 1, 1, 0), pictures[0], np.ones((256, 256), np.bool_)))
    (one,) = engine.translate([block], score_kinds=PROBABILITIES)
    np.testing.assert_array_equal(one.probabilities, both.planes[0, 1:])
    assert one.confidence is None
    (other,) = engine.translate([block], score_kinds={"confidence"})
    np.testing.assert_array_equal(other.confidence, both.planes[0, 0])
    assert other.probabilities is None


def test_an_engine_with_favours_shares_what_fits_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever of the two runs out of memory."""
    pictures = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3), dtype=np.uint8)
    favours = (("road", 0.5),)
    card = replace(scoring_engine("exact").card, training={"calibration": {"elsewhere": dict(favours)}})
    engine = Engine(scoring_network(), card, torch.device("cpu"), torch.float32, 8)
    favoured, forward, sizes, fits = engine.favouring(favours), Engine._forward, [], 4

    def greedy(self: Engine, batch: Batch, *more: Any) -> Any:
        sizes.append((self is favoured, len(batch)))
        if len(batch) > fits:
            raise torch.OutOfMemoryError
        return forward(self, batch, *more)

    monkeypatch.setattr(Engine, "_forward", greedy)
    engine.translate_pixels(pictures)
    assert engine.batch == favoured.batch == 4
    fits = 2
    favoured.translate_pixels(pictures)
    assert engine.batch == favoured.batch == 2
    engine.translate_pixels(pictures[:3])
    assert sizes == [(False, 8), *[(False, 4)] * 2, (True, 4), *[(True, 2)] * 4, (False, 2), (False, 1)]


def test_favours_draw_as_a_calibrated_model_does_and_make_nothing_likelier() -> None:
    """The same engine each time, with the weights that `models calibrate` would have written."""
    pictures = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    engine = scoring_engine("exact")
    assert engine.favouring(()) is engine
    with pytest.raises(PlanError, match="no scores"):
        engine.favouring((("road", 3.0),))  # its card knows of none
    favours = (("road", 0.5), ("water", -0.25))
    card = replace(engine.card, training={"calibration": {"certainty": 2.0, "elsewhere": dict(favours)}})
    network = scoring_network()
    engine = Engine(network, card, torch.device("cpu"), torch.float32, 1)
    favoured = engine.favouring(favours)
    assert engine.favouring(favours) is favoured
    added = [2.0 * dict(favours).get(name, 0.0) for name in card.legend_classes or ()]
    network.load_state_dict(find_family("unet").calibrate(network.state_dict(), 1.0, added))
    calibrated = Engine(network, replace(card, training={}), torch.device("cpu"), torch.float32, 1)
    np.testing.assert_array_equal(favoured.translate_pixels(pictures), calibrated.translate_pixels(pictures))
    assert (favoured.translate_pixels(pictures) != engine.translate_pixels(pictures)).mean() > 0.01
    told, drawn_elsewhere = engine.begin_scored(pictures)().planes, favoured.begin_scored(pictures)().planes
    same = favoured.translate_pixels(pictures) == engine.translate_pixels(pictures)
    alike = np.abs(told[:, 0].astype(int) - drawn_elsewhere[:, 0])[same.all(-1)]
    assert np.quantile(alike, 0.9) <= 1
