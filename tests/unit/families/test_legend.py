"""A generator that scores the colours of a legend, and draws their mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from geo2map.api import preview
from geo2map.colour.palette import MAPS_PALETTE
from geo2map.engine import Engine
from geo2map.families import build
from geo2map.families.legend import Legend
from geo2map.families.unet.cost import gflop_per_tile
from geo2map.families.unet.generator import UNetGenerator
from geo2map.families.unet.transplant import transplanted

COLOURS = MAPS_PALETTE.colours.tolist()


def scores(spread: float = 3.0) -> Tensor:
    return torch.randn(2, len(COLOURS), 5, 6, dtype=torch.double, generator=torch.Generator().manual_seed(2)) * spread


def test_it_is_the_mean_of_the_colours_by_a_softmax() -> None:
    given = scores()
    shares = np.exp(given.numpy())
    expected = np.einsum("nkhw,kc->nchw", shares / shares.sum(1, keepdims=True), np.array(COLOURS, dtype=float))
    np.testing.assert_allclose((Legend(COLOURS)(given).numpy() + 1) * 127.5, expected, atol=1e-9)


def test_whoever_is_certain_draws_the_colours_themselves() -> None:
    certain = (torch.eye(len(COLOURS)) * 1e4)[:, :, None, None].to(torch.bfloat16)
    levels = (Legend(COLOURS).to(torch.bfloat16)(certain) + 1) * 127.5
    assert levels[:, :, 0, 0].round().int().tolist() == COLOURS


def test_it_passes_gradients_on() -> None:
    torch.autograd.gradcheck(Legend(COLOURS), scores(1.0)[:1, :, :2, :2].requires_grad_())


@pytest.mark.parametrize("wrong", [[[1, 2]], [[1, 2, 3]] * 33, [1, 2, 3]])
def test_what_cannot_be_is_refused(wrong: list[object]) -> None:
    with pytest.raises(ValueError, match="legend"):
        Legend(wrong)  # type: ignore[arg-type]


def test_a_network_with_a_legend_has_a_score_a_colour() -> None:
    network = build("unet", widths=(4, 6), legend=COLOURS)
    x = torch.rand(1, 3, 16, 16) * 2 - 1
    raw = network(x, return_logits=True)
    assert raw.shape == (1, len(COLOURS), 16, 16)
    assert torch.equal(network.head(raw), network(x))
    more = gflop_per_tile((4, 6), legend=COLOURS) - gflop_per_tile((4, 6))
    assert more == pytest.approx(2 * 16 * 8 * (len(COLOURS) - 3) * 128**2 / 1e9)


def test_a_legend_put_in_place_of_tanh_prefers_the_colours_that_were_drawn() -> None:
    """Every colour of the style, drawn by tanh from one input each, is the one with the highest score afterwards."""
    plain, scoring = (build("unet", widths=(4,), legend=legend).double() for legend in ((), COLOURS))
    weights = plain.state_dict()
    weights["up.0.1.weight"] = torch.ones_like(weights["up.0.1.weight"]) * torch.eye(4, 3)[:, :, None, None]
    fitted = transplanted(weights, scoring)
    z = (torch.from_numpy(MAPS_PALETTE.colours).double() / 127.5 - 1).clamp(-0.97, 0.97).atanh()
    found = z @ fitted["up.0.1.weight"][:3, :, 0, 0] + fitted["up.0.1.bias"]
    assert MAPS_PALETTE.class_of_entry[found.argmax(1)].tolist() == MAPS_PALETTE.class_of_entry.tolist()


def test_a_legend_becomes_another_one_or_none() -> None:
    """By way of what tanh would take: the way there and back is the same where three numbers say all."""
    torch.manual_seed(4)
    plain, other = (build("unet", widths=(4,), legend=legend).double() for legend in ((), COLOURS[::-1]))
    scores = transplanted(plain.state_dict(), build("unet", widths=(4,), legend=COLOURS).double())
    back = transplanted(scores, plain, COLOURS)
    for name, values in plain.state_dict().items():
        torch.testing.assert_close(back[name], values)
    turned = transplanted(scores, other, COLOURS)
    torch.testing.assert_close(turned["up.0.1.weight"], scores["up.0.1.weight"].flip(1))
    assert transplanted(turned, other, COLOURS[::-1]) == turned


def test_fewer_channels_at_the_innermost_keep_those_that_matter() -> None:
    """Channels that nobody uses go first, and the function stays."""
    torch.manual_seed(1)
    wide, slim = UNetGenerator((4, 6, 8)).eval(), UNetGenerator((4, 6, 5)).eval()
    with torch.no_grad():
        wide.up[2][1].weight[[1, 4, 6]] = 0
    slim.load_state_dict(transplanted(wide.state_dict(), slim))
    x = torch.rand(1, 3, 32, 32) * 2 - 1
    torch.testing.assert_close(slim(x), wide(x), rtol=0, atol=1e-6)


@pytest.mark.slow
def test_the_legend_of_the_default_model_is_what_it_draws(town: Path, engine: Engine) -> None:
    """Each class once, and no colour of the map style that never comes."""
    palette = engine.card.palette
    assert palette is not None
    assert len(palette.entries) == len(palette.classes) == 6
    _, drawn, _ = preview(town, engine=engine, span=4)
    distance = ((drawn[..., None, :].astype(int) - MAPS_PALETTE.colours.astype(int)) ** 2).sum(-1)
    found = {MAPS_PALETTE.entries[number] for number in np.unique(distance.argmin(-1))}
    assert found <= set(palette.entries)
